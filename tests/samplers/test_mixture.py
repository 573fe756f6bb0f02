"""Gaussian mixtures, fitted and of known parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture
from torch.distributions import MultivariateNormal

from tests.memory import printed
from tests.samplers.shared import clouds
from zspace.errors import InputError
from zspace.functional import tensors
from zspace.recipes.gen import ring
from zspace.samplers import Mixture


def test_mixture_against_scikit_learn() -> None:
    z = clouds()
    mixture = Mixture(3, components=2).fit(z)
    reference = GaussianMixture(2, random_state=0, max_iter=200).fit(z.double().numpy())
    expected = reference.score_samples(z.double().numpy())
    np.testing.assert_allclose(mixture.log_prob(z), expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(sorted(mixture.weights.tolist()), [1 / 3, 2 / 3], atol=0.02)


def test_more_components_than_codes() -> None:
    with pytest.raises(InputError, match="5 codes are fewer than the mixture's 10 components"):
        Mixture(3).fit(clouds()[:5])


def test_mixture_of_known_parameters() -> None:
    weights = torch.tensor([1.0, 3.0])
    means = torch.tensor([[0.0, 0.0], [4.0, 0.0]])
    covariances = torch.stack([torch.eye(2), torch.tensor([[2.0, 0.5], [0.5, 1.0]])])
    mixture = Mixture.of(weights, means, covariances, labelled=True)
    z = torch.randn(6, 2)
    each = [MultivariateNormal(m, c).log_prob(z) for m, c in zip(means, covariances, strict=True)]
    expected = torch.logsumexp(torch.stack(each) + torch.tensor([[0.25], [0.75]]).log(), 0)
    torch.testing.assert_close(mixture.log_prob(z), expected)
    drawn = mixture.sample(40_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.std(0), mixture.deviation(), rtol=0.02, atol=0)
    one = mixture.sample(20_000, 1, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(one.mean(0), means[1], rtol=0, atol=0.05)
    torch.testing.assert_close(one.T.cov(), covariances[1], rtol=0, atol=0.06)
    with pytest.raises(InputError, match="label 2"):
        mixture.sample(3, 2)
    with pytest.raises(InputError, match="knows no labels"):
        Mixture.of(weights, means, covariances).sample(3, 1)
    with pytest.raises(InputError, match="weights must be above 0"):
        Mixture.of(torch.tensor([1.0, 0.0]), means, covariances)
    with pytest.raises(InputError, match="positive definite"):
        Mixture.of(weights, means, torch.zeros(2, 2, 2))


def test_a_deconvolved_mixture_and_the_kernel_make_the_mixture() -> None:
    mixture = ring(5, 2, 4.0)
    generator = torch.Generator().manual_seed(0)
    drawn = mixture.deconvolved(0.6).sample(50_000, generator=generator)
    noisy = drawn + 0.6 * torch.randn(50_000, 2, generator=generator)
    both = [x.T.cov() for x in (noisy, mixture.sample(50_000, generator=generator))]
    torch.testing.assert_close(both[0], both[1], rtol=0.02, atol=0.1)
    of_one = noisy[(noisy - mixture.means[0]).norm(dim=1) < 1.5]
    theirs = mixture.sample(50_000, generator=generator)
    theirs = theirs[(theirs - mixture.means[0]).norm(dim=1) < 1.5]
    assert len(of_one) == pytest.approx(len(theirs), rel=0.05)
    with pytest.raises(InputError, match="below 1"):
        mixture.deconvolved(1.0)


def test_densities_of_many_components_against_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Narrow, correlated components far from 0; in one block and in many."""
    generator = torch.Generator().manual_seed(0)
    count, dim = 7, 5
    roots = torch.randn(count, dim, dim, generator=generator)
    covariances = 0.05 * roots @ roots.mT + 0.01 * torch.eye(dim)
    means = 10 * torch.randn(count, dim, generator=generator)
    weights = torch.rand(count, generator=generator) + 0.1
    mixture = Mixture.of(weights, means, covariances)
    z = mixture.sample(50, generator=generator)
    expected = np.stack(
        [
            multivariate_normal(m, c).logpdf(z.double())
            for m, c in zip(means.double().numpy(), covariances.double().numpy(), strict=True)
        ]
    )
    each = mixture.component_log_probs(z)
    np.testing.assert_allclose(each, expected, rtol=2e-3, atol=2e-3)
    log_weights = (weights / weights.sum()).log().double().numpy()
    whole = logsumexp(expected + log_weights[:, None], 0)
    np.testing.assert_allclose(mixture.log_prob(z), whole, rtol=2e-3, atol=2e-3)
    monkeypatch.setattr(tensors, "HELD", 8 * count * dim)
    torch.testing.assert_close(mixture.component_log_probs(z), each)
    np.testing.assert_allclose(mixture.log_prob(z), whole, rtol=2e-3, atol=2e-3)


@pytest.mark.slow
def test_a_density_holds_some_of_its_terms_at_a_time() -> None:
    """All of them, 1000 components at 20,000 codes of 32 dimensions, would take 2.4 GiB."""
    code = """
import torch
from zspace.samplers import Mixture
mixture = Mixture(32, components=1000)
z = torch.zeros(20_000, 32)
mixture.log_prob(z[:10])
before = peak()
mixture.log_prob(z)
print(peak() - before)
"""
    assert printed(code) < 600
