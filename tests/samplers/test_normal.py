"""The normal sampler against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from tests.samplers.shared import clouds
from zspace.core import Density
from zspace.functional import tensors
from zspace.samplers import Mixture, Normal
from zspace.samplers.normal import moments


def test_normal_against_scipy() -> None:
    z = clouds()
    normal = Normal(3).fit(z)
    reference = multivariate_normal(z.numpy().mean(0), np.cov(z.numpy().T, bias=True))
    np.testing.assert_allclose(
        normal.log_prob(z), reference.logpdf(z.numpy()), rtol=1e-4, atol=1e-4
    )


def test_moments_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = moments(clouds())
    monkeypatch.setattr(tensors, "HELD", 3 * 37)
    torch.testing.assert_close(moments(clouds()), whole)


def test_codes_that_agree_have_the_same_width_whatever_they_are() -> None:
    for value in (0.0, 0.1, 1.0, 1e6):
        normal = Normal(3).fit(torch.full((700, 3), value))
        torch.testing.assert_close(normal.factor, 1e-9 * torch.eye(3), rtol=1e-3, atol=0)


@pytest.mark.parametrize("sampler", [Normal(), Mixture(components=1), Mixture(components=3)])
def test_a_narrow_dimension_stays_narrow(sampler: Density) -> None:
    random = np.random.default_rng(0)
    z = np.c_[random.normal(0, 1000, 4000), random.normal(5, 0.01, 4000), np.full(4000, 3.0)]
    drawn = sampler.fit(z).sample(4000, seed=0)
    assert drawn.std(0)[:2] == pytest.approx([1000, 0.01], rel=0.1)
    assert drawn.mean(0) == pytest.approx([0, 5, 3], abs=60)
    assert np.isfinite(sampler.log_prob(z)).all()
