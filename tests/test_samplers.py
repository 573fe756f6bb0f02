"""Samplers against scipy and scikit-learn, and the moments of what they draw."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture
from torch import nn

import zspace
from tests.conftest import sampler_of
from zspace.core import Density, Sampler
from zspace.errors import InputError
from zspace.generation.fit import fit_sampler
from zspace.recipes import catalogue
from zspace.recipes.catalogue import SAMPLERS
from zspace.samplers import Learned, Mixture, Normal, Pushforward


def made(name: str, dim: int) -> Sampler:
    """A sampler that is not fitted yet, with the options that it can't do without."""
    return catalogue.make(name, dim, needed(name, dim))


def needed(name: str, dim: int) -> dict[str, Any]:
    """A theta, or few iterations."""
    if name.startswith("medium"):
        return {"theta": ",".join(["0.5"] * dim)}
    return BRIEF if catalogue.find(name).learns else {}


BRIEF: dict[str, Any] = {"iterations": 20, "batch_size": 64}


KIND = pytest.mark.parametrize("name", SAMPLERS)
DENSITY = pytest.mark.parametrize(
    "name",
    [
        n
        for n, kind in SAMPLERS.items()
        if issubclass(kind, Density) and not issubclass(kind, Learned)
    ],
)
"""Those that are fitted in closed form, or by the likelihood's maximum; others: test_learned.py."""


def clouds(n: int = 1500) -> torch.Tensor:
    """Two Gaussians of different shape in three dimensions."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, 3, generator=generator)
    first = z[: n // 3] @ torch.tensor([[2.0, 0.5, 0], [0, 1, 0], [0, 0, 0.3]]) + torch.tensor(
        [4.0, 0, 0]
    )
    second = 0.5 * z[n // 3 :] - torch.tensor([3.0, 1, 0])
    return torch.cat([first, second])


def test_normal_against_scipy() -> None:
    z = clouds()
    normal = Normal(3).fit(z)
    reference = multivariate_normal(z.numpy().mean(0), np.cov(z.numpy().T, bias=True))
    np.testing.assert_allclose(
        normal.log_prob(z), reference.logpdf(z.numpy()), rtol=1e-4, atol=1e-4
    )


def test_mixture_against_scikit_learn() -> None:
    z = clouds()
    mixture = Mixture(3, components=2).fit(z)
    reference = GaussianMixture(2, random_state=0, max_iter=200).fit(z.double().numpy())
    expected = reference.score_samples(z.double().numpy())
    np.testing.assert_allclose(mixture.log_prob(z), expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(sorted(mixture.weights.tolist()), [1 / 3, 2 / 3], atol=0.02)


@DENSITY
def test_moments_of_the_samples(name: str) -> None:
    z = clouds()
    sampler = catalogue.make(name, 3).fit(z)
    drawn = sampler.sample(60_000, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn.mean(0), z.mean(0), rtol=0, atol=0.05)
    torch.testing.assert_close(drawn.T.cov(), z.T.cov(), rtol=0.05, atol=0.05)


@DENSITY
def test_density_integrates_to_one(name: str) -> None:
    z = clouds()[:, :2]
    density = catalogue.make(name, 2).fit(z)
    assert isinstance(density, Density)
    side = torch.linspace(-15, 20, 701)
    grid = torch.cartesian_prod(side, side)
    total = density.log_prob(grid).double().exp().sum() * (side[1] - side[0]).double() ** 2
    assert total.item() == pytest.approx(1, abs=1e-3)


@KIND
def test_same_generator_same_codes(name: str) -> None:
    sampler = made(name, 3).fit(clouds(), torch.arange(1500) % 3)
    a, b = (sampler.sample(5, generator=torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(a, b)
    assert not torch.equal(a, sampler.sample(5, generator=torch.Generator().manual_seed(5)))


@KIND
def test_save_and_load(name: str, tmp_path: Path) -> None:
    sampler = made(name, 3).fit(clouds(), torch.arange(1500) % 3)
    header = {"sampler": name, "dim": 3, "options": {**needed(name, 3), **sampler.found}}
    catalogue.save(sampler, tmp_path / "s.safetensors", header)
    loaded = catalogue.load(tmp_path / "s.safetensors")
    a, b = (s.sample(9, generator=torch.Generator().manual_seed(0)) for s in (sampler, loaded))
    assert torch.equal(a, b)
    if isinstance(sampler, Density):
        assert isinstance(loaded, Density)
        assert torch.equal(sampler.log_prob(a), loaded.log_prob(a))


@KIND
def test_codes_in_a_subspace_can_be_fitted(name: str) -> None:
    z = torch.cat([clouds(), torch.zeros(1500, 2)], 1)
    drawn = made(name, 5).fit(z, torch.arange(1500) % 3).sample(100)
    assert bool(torch.isfinite(drawn).all())
    assert drawn[:, 3:].abs().max() < 0.1


@KIND
@pytest.mark.parametrize(
    "z, message",
    [
        (torch.zeros(1, 3), "N at least 2"),
        (torch.zeros(5), "must be .N, D."),
        (torch.full((50, 3), float("nan")), "NaN or infinite"),
    ],
)
def test_bad_codes(name: str, z: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(name, 3).fit(z)


def test_more_components_than_codes() -> None:
    with pytest.raises(InputError, match="5 codes are fewer than the mixture's 10 components"):
        Mixture(3).fit(clouds()[:5])


def test_labels_and_fits_that_make_no_sense() -> None:
    with pytest.raises(InputError, match="knows no labels"):
        Normal(2).sample(3, label=1)
    with pytest.raises(InputError, match="learned with its model"):
        Pushforward(nn.Identity(), 2).fit(clouds())


def test_pushforward_is_the_generator_of_noise() -> None:
    prior = Pushforward(nn.Linear(2, 3), 2)
    noise = torch.randn(7, 2, generator=torch.Generator().manual_seed(1))
    drawn = prior.sample(7, generator=torch.Generator().manual_seed(1))
    assert torch.equal(drawn, prior.generator(noise))


@KIND
def test_a_sampler_is_fitted_once_and_belongs_to_its_model(name: str, tmp_path: Path) -> None:
    small = {"width": 4, "hidden": 16, "latent_dim": 3, "batch_size": 16}
    run = tmp_path / "run"
    zspace.train("ae", "digits", out=run, iterations=10, device="cpu", keep=0, **small)
    model = zspace.load(run)
    if name.startswith("medium"):
        with pytest.raises(InputError, match=f"{name} has no theta: 'zspace tune RUN"):
            sampler_of(run, name, model)
        fit_sampler(run, name, {"theta": "0,0.5,1"})
    elif issubclass(SAMPLERS[name], Learned):
        fit_sampler(run, name, BRIEF)
    sampler_of(run, name, model)
    path = run / "samplers" / f"{name}.safetensors"
    first = path.read_bytes()
    sampler_of(run, name, model)
    assert path.read_bytes() == first
    # other weights, other codes: the stored one would be wrong
    early = zspace.load(run, checkpoint=5)
    sampler_of(run, name, early)
    assert hashlib.md5(path.read_bytes()).digest() != hashlib.md5(first).digest()
