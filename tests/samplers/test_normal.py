"""The normal sampler against SciPy."""

from __future__ import annotations

import numpy as np
from scipy.stats import multivariate_normal

from tests.samplers.shared import clouds
from zspace.samplers import Normal


def test_normal_against_scipy() -> None:
    z = clouds()
    normal = Normal(3).fit(z)
    reference = multivariate_normal(z.numpy().mean(0), np.cov(z.numpy().T, bias=True))
    np.testing.assert_allclose(
        normal.log_prob(z), reference.logpdf(z.numpy()), rtol=1e-4, atol=1e-4
    )
