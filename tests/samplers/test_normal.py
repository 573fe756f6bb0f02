"""The normal sampler against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from tests.samplers.shared import clouds
from zspace.functional import tensors
from zspace.samplers import Normal
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
