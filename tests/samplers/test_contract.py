"""What holds for every sampler."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.samplers.shared import KIND, clouds, made, needed, two_clouds
from zspace.core import Density, Frozen
from zspace.errors import InputError
from zspace.recipes import catalogue
from zspace.recipes.catalogue import SAMPLERS
from zspace.samplers import FlowMatching, Learned, Normal, Pushforward
from zspace.storage.files import open_tensors

DENSITY = pytest.mark.parametrize(
    "name",
    [
        n
        for n, kind in SAMPLERS.items()
        if issubclass(kind, Density) and not issubclass(kind, Learned)
    ],
)
"""Those that are fitted in closed form, or by the likelihood's maximum; others: test_flow.py."""


@DENSITY
def test_moments_of_the_samples(name: str) -> None:
    z = clouds()
    sampler = made(name, 3).fit(z, torch.arange(1500) % 3)
    drawn = sampler.sample(60_000, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn.mean(0), z.mean(0), rtol=0, atol=0.05)
    torch.testing.assert_close(drawn.T.cov(), z.T.cov(), rtol=0.05, atol=0.05)


@DENSITY
def test_density_integrates_to_one(name: str) -> None:
    z = clouds()[:, :2]
    density = made(name, 2).fit(z, torch.arange(1500) % 3)
    assert isinstance(density, Density)
    side = torch.linspace(-15, 20, 201)  # far closer than the narrowest kernel is wide
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
def test_no_codes_at_all(name: str) -> None:
    sampler = made(name, 3).fit(clouds(), torch.arange(1500) % 3)
    assert sampler.sample(0).shape == (0, 3)
    if sampler.labels:
        assert sampler.sample(0, 1).shape == (0, 3)
    if isinstance(sampler, Density):
        assert sampler.log_prob(torch.zeros(0, 3)).shape == (0,)


@KIND
def test_save_and_load(name: str, tmp_path: Path) -> None:
    sampler = made(name, 3).fit(clouds(), torch.arange(1500) % 3)
    header = {"sampler": name, "dim": 3, "options": {**needed(name, 3), **sampler.found}}
    catalogue.save(sampler, tmp_path / "s.safetensors", header)
    with open_tensors(tmp_path / "s.safetensors", catalogue.Header) as stored:
        loaded = catalogue.load(stored)
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


def test_labels_and_fits_that_make_no_sense() -> None:
    with pytest.raises(InputError, match="knows no labels"):
        Normal(2).sample(3, label=1)
    with pytest.raises(InputError, match="learned with its model"):
        Pushforward(nn.Identity(), 2).fit(clouds())


@pytest.mark.parametrize("name", ["normal", "mixture", "kde", "flow", "flow-matching"])
def test_codes_of_noise_are_the_samplers_own(name: str) -> None:
    """Drawing as a function has the moments that drawing has."""
    z, _ = two_clouds()
    options = {} if name in ("normal", "mixture", "kde") else {"iterations": 200, "batch_size": 128}
    options |= {"width": 32} if name == "flow-matching" else {}
    sampler = catalogue.make(name, 2, options).fit(z)
    noise = torch.randn(20_000, sampler.noise_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made = sampler.of_noise(noise)
        drawn = sampler.sample(20_000, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(made.mean(0), drawn.mean(0), rtol=0, atol=0.08)
    torch.testing.assert_close(made.T.cov(), drawn.T.cov(), rtol=0.1, atol=0.05)


def test_densities_are_densities() -> None:
    assert issubclass(catalogue.SAMPLERS["flow-matching"], Density)
    assert issubclass(catalogue.SAMPLERS["flow"], Density)
    assert isinstance(Frozen(FlowMatching(2)).module, Density)
