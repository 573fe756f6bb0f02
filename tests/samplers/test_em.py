"""Expectation-maximisation against scikit-learn, its laws, and codes that are hard to fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from tests.memory import printed
from tests.samplers.shared import clouds
from zspace.core import Progress
from zspace.recipes import catalogue
from zspace.samplers import Mixture, em
from zspace.samplers.em import Components, fitted, one_round, statistics
from zspace.samplers.mixture import best_count
from zspace.samplers.normal import RIDGE
from zspace.storage.files import open_tensors


class Told(Progress):
    """A receiver that keeps what it is told."""

    def __init__(self) -> None:
        self.figures: list[float] = []
        self.said: list[str] = []

    def __call__(self, done: int, total: int | None = None, figures: object = None) -> None:
        assert isinstance(figures, dict)
        self.figures.append(figures["log p"])

    def about(self, what: str) -> Progress:
        return self

    def say(self, message: str) -> None:
        self.said.append(message)


def apart(count: int, dim: int) -> Components:
    """Components of different weights, means and correlated covariances."""
    generator = torch.Generator().manual_seed(1)
    weights = torch.rand(count, generator=generator).double() + 0.2
    roots = torch.randn(count, dim, dim, generator=generator).double()
    means = 2 * torch.randn(count, dim, generator=generator).double()
    covariances = 0.3 * roots @ roots.mT + 0.2 * torch.eye(dim, dtype=torch.float64)
    return Components(weights / weights.sum(), means, covariances)


def codes(n: int = 900, dim: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return 1.5 * torch.randn(n, dim, generator=generator).double()


@pytest.mark.parametrize("dtype, error", [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_a_round_is_scikit_learns(dtype: torch.dtype, error: float) -> None:
    """From the same components: the same log density, shares, and likeliest components."""
    start, z = apart(5, 4), codes()
    blocks = [statistics(block.to(dtype)) for block in z.split(100)]
    log_p, after = one_round(blocks, start, len(z))
    theirs = GaussianMixture(
        5,
        reg_covar=RIDGE,
        max_iter=1,
        weights_init=start.weights.numpy(),
        means_init=start.means.numpy(),
        precisions_init=torch.linalg.inv(start.covariances).numpy(),
    )
    with pytest.warns(UserWarning, match="did not converge"):
        theirs.fit(z.numpy())
    assert log_p == pytest.approx(theirs.lower_bound_, rel=error)
    np.testing.assert_allclose(after.weights, theirs.weights_, rtol=error)
    np.testing.assert_allclose(after.means, theirs.means_, rtol=error, atol=error)
    np.testing.assert_allclose(after.covariances, theirs.covariances_, rtol=error, atol=error)
    each = after.coefficients() @ statistics(z)
    np.testing.assert_allclose(each.softmax(0).T, theirs.predict_proba(z.numpy()), atol=error)


def test_the_likelihood_never_decreases() -> None:
    found, z = apart(6, 3), clouds().double()
    figures = []
    for _ in range(60):
        log_p, found = one_round([statistics(z)], found, len(z))
        figures.append(log_p)
    assert min(np.diff(figures)) > -1e-9
    assert figures[-1] > figures[0] + 0.5


def test_a_fit_is_as_good_as_scikit_learns() -> None:
    """Codes that lie far from the origin, in units of their own."""
    z = 1e-3 * clouds() + 5
    told = Told()
    mixture = Mixture(3, components=4).fit(z, progress=told)
    ridge = 1e-6 * float(z.double().var(0).mean())
    theirs = GaussianMixture(4, reg_covar=ridge, random_state=0, max_iter=200)
    expected = theirs.fit(z.double().numpy()).score(z.double().numpy())
    assert float(mixture.log_prob(z).double().mean()) == pytest.approx(expected, abs=0.02)
    assert told.figures[-1] == pytest.approx(expected, abs=0.02)


def test_narrow_components_are_fitted_in_double_precision() -> None:
    """Codes near a tilted plane, whose thickness float32's products would not see."""
    generator = torch.Generator().manual_seed(0)
    tilt = torch.linalg.qr(torch.randn(5, 5, generator=generator)).Q
    thin = 5e-3 * torch.randn(1500, 2, generator=generator)
    z = torch.cat([clouds(), thin], 1) @ tilt + 1
    found = fitted(z, 3)
    assert not found.wide(float((z - z.mean(0)).square().sum(1).max()))
    ridge = 1e-6 * float(z.double().var(0).mean())
    theirs = GaussianMixture(3, reg_covar=ridge, random_state=0, max_iter=200)
    expected = theirs.fit(z.double().numpy()).score(z.double().numpy())
    log_p, _ = one_round([statistics(z.double())], found, len(z))
    assert log_p == pytest.approx(expected, abs=0.02)


def test_products_of_codes_are_those_of_their_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round and a whole fit, as they are for many dimensions."""
    start, z = apart(4, 3), clouds().double()
    log_p, after = one_round([statistics(z)], start, len(z))
    blocks = z.split(100)
    log_p_again, again = one_round(blocks, start, len(z), many=True)
    assert log_p_again == pytest.approx(log_p, rel=1e-12)
    for name in ("weights", "means", "covariances"):
        torch.testing.assert_close(getattr(again, name), getattr(after, name))
    whole = fitted(clouds(), 3)
    monkeypatch.setattr(em, "MANY", 1)
    parts = fitted(clouds(), 3)
    torch.testing.assert_close(parts.weights, whole.weights, rtol=1e-4, atol=0)
    torch.testing.assert_close(parts.means, whole.means, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(parts.covariances, whole.covariances, rtol=1e-3, atol=1e-4)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics that are kept, and those of small blocks that are made anew in each round."""
    whole = fitted(clouds(), 3)
    monkeypatch.setattr(em, "ROWS", 37)
    monkeypatch.setattr(em, "HELD", 0)
    parts = fitted(clouds(), 3)
    torch.testing.assert_close(parts.weights, whole.weights, rtol=1e-4, atol=0)
    torch.testing.assert_close(parts.means, whole.means, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(parts.covariances, whole.covariances, rtol=1e-3, atol=1e-4)


def test_a_start_from_a_part_of_the_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(em, "STARTING", 200)
    assert sorted(fitted(clouds(), 2).weights.tolist()) == pytest.approx([1 / 3, 2 / 3], abs=0.02)


def test_a_fit_depends_on_its_seed_alone() -> None:
    first = Mixture(3, components=7).fit(clouds()).state_dict()
    torch.rand(3)
    again, other = (
        Mixture(3, components=7, seed=seed).fit(clouds()).state_dict() for seed in (0, 1)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["means"], other["means"])


def test_many_components_for_few_binary_codes() -> None:
    """About three codes of 64 dimensions for each component, whose covariances are singular."""
    generator = torch.Generator().manual_seed(0)
    z = (torch.rand(1477, 64, generator=generator) < 0.3).float()
    mixture = Mixture(64, components=500).fit(z)
    assert bool(torch.isfinite(mixture.log_prob(z)).all())
    assert bool(torch.isfinite(mixture.sample(9)).all())


def test_fewer_different_codes_than_components(tmp_path: Path) -> None:
    """Those that are left are stored, read, and fitted again."""
    z = clouds()[::300].repeat(40, 1)
    told = Told()
    mixture = Mixture(3, components=30).fit(z, progress=told)
    left = len(mixture.weights)
    assert 5 <= left < 30
    assert f"{30 - left} of the mixture's 30 components lost all of their codes" in told.said[0]
    assert float(mixture.log_prob(z).min()) > 5
    header = {"sampler": "mixture", "dim": 3, "options": {"components": 30, **mixture.found}}
    catalogue.save(mixture, tmp_path / "m.safetensors", header)
    with open_tensors(tmp_path / "m.safetensors", catalogue.Header) as stored:
        loaded = catalogue.load(stored)
    assert isinstance(loaded, Mixture)
    assert torch.equal(loaded.log_prob(z), mixture.log_prob(z))
    assert len(mixture.fit(clouds()).weights) == 30
    assert not mixture.found


@pytest.mark.parametrize("components", [1, 2])
@pytest.mark.parametrize("z", [torch.eye(3)[:2], torch.ones(2, 3), torch.ones(500, 3)])
def test_two_codes_and_equal_ones(z: Tensor, components: int) -> None:
    mixture = Mixture(3, components=components).fit(z)
    assert bool(torch.isfinite(mixture.log_prob(z)).all())
    torch.testing.assert_close(mixture.mean(), z.mean(0))
    # equal codes get a deviation of 1e-9, as by the normal distribution
    if len(z.unique(dim=0)) == 1:
        torch.testing.assert_close(mixture.factors, 1e-9 * torch.eye(3)[None], rtol=1e-3, atol=0)


def test_the_number_that_codes_held_out_choose() -> None:
    """Five clusters are found; without a limit, more components would still fit the codes."""
    generator = torch.Generator().manual_seed(0)
    centres = 10 * torch.randn(5, 3, generator=generator)
    z = centres.repeat(120, 1) + torch.randn(600, 3, generator=generator)
    told = Told()
    mixture = Mixture(3, components="auto").fit(z, progress=told)
    assert len(mixture.weights) == 5
    assert mixture.found == {"components": 5}
    assert "5 is the best of the numbers tried" in told.said[0]
    assert "120 codes" in told.said[0]
    assert "20 (" not in told.said[0]  # no more are tried once it becomes worse
    assert best_count(z) == 5
    assert best_count(z[:7], progress=told) == 1
    assert "7 codes are too few" in told.said[-1]
    assert best_count(torch.ones(60, 3)) == 1


@pytest.mark.slow
def test_a_fit_holds_some_of_its_products_at_a_time() -> None:
    """All densities' terms, 50 components of 300,000 codes of 32 dimensions, take 1.8 GiB."""
    code = """
import torch
from zspace.samplers import Mixture, em
em.ROUNDS = 2
em.STARTING = 5000
z = torch.randn(300_000, 32, generator=torch.Generator().manual_seed(0))
Mixture(32, components=50).fit(z[:5000])
before = peak()
Mixture(32, components=50).fit(z)
print(peak() - before)
"""
    assert printed(code) < 300
