"""GEN: the law of section 4, its objective, its centres."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

import zspace
from tests.conftest import small
from tests.functional.plain import plain_log_density
from tests.methods.fixed import Fixed
from zspace import api
from zspace.core import Batches, codes
from zspace.errors import ModelError
from zspace.functional import kernel_log_density, log_share
from zspace.functional.tensors import BLOCK
from zspace.methods.gen import GEN
from zspace.recipes.gen import ring
from zspace.samplers import Mixture, Normal
from zspace.samplers.kde import optimal_bandwidths
from zspace.training import fit


def test_the_law_of_section_4() -> None:
    """Codes that can match N(0, I) end as N(0, (1 - h^2) I), h at its optimum."""
    torch.manual_seed(0)
    dim, m = 2, 2000
    h = float(optimal_bandwidths(Normal(dim), m, trials=5).mean())
    x = torch.randn(10_000, dim) @ torch.tensor([[1.0, 0.3], [0.0, 0.6]])
    model = GEN(
        nn.Linear(dim, dim),
        nn.Linear(dim, dim),
        Mixture(dim, components=1),
        dim,
        centres=m,
        bandwidth=h,
        weight=1.0,
        rate=5e-3,
    )
    batches = Batches(x, size=500, reserve=m)
    for factor in (1.0, 0.2, 0.04):
        fit(model, batches, batches.step + 300, rate=lambda iteration, f=factor: f)
    law = math.sqrt(1 - h**2)
    assert 0.9 < law < 0.95
    expected = torch.full((dim,), law)
    torch.testing.assert_close(codes(model, x).std(0), expected, rtol=0.03, atol=0)
    drawn = {name: s.sample(40_000) for name, s in model.samplers().items()}
    torch.testing.assert_close(drawn["prior"].std(0), expected, rtol=0.02, atol=0)
    torch.testing.assert_close(drawn["target"].std(0), torch.ones(dim), rtol=0.02, atol=0)


@pytest.mark.parametrize("dim, m", [(2, 1000), (20, 1000)])
def test_forces_balance_at_the_law(dim: int, m: int) -> None:
    """Without any training: the gradient's pull on the codes' scale changes sign within 3%."""
    h = float(optimal_bandwidths(Normal(dim), m, trials=3).mean())
    law = math.sqrt(1 - h**2)

    def pull(scale: float) -> float:
        total = 0.0
        for seed in range(4):
            generator = torch.Generator().manual_seed(seed)
            centres, z = (scale * torch.randn(k, dim, generator=generator) for k in (m, 2000))
            z.requires_grad_()
            loss = log_share(kernel_log_density(z, centres, h), Normal(dim).log_prob(z)).mean()
            (gradient,) = torch.autograd.grad(loss, z)
            total += float((gradient * z.detach()).sum())
        return total

    assert pull(0.97 * law) < 0 < pull(1.03 * law)


def test_one_iteration_against_a_transcription_of_equation_3() -> None:
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    encoder, decoder = Fixed(), nn.Linear(2, 2)
    model = GEN(
        encoder,
        decoder,
        Mixture(2, components=1),
        2,
        centres=20,
        bandwidth=0.5,
        weight=0.07,
        floor=False,
    )
    batches, same = (Batches(x, size=8, reserve=20, seed=1) for _ in "ab")
    centres, _ = same.set_aside()
    batch, _ = next(same)
    p_e, p_t = plain_log_density(batch, centres, 0.5).exp(), Normal(2).log_prob(batch).exp()
    divergence = 0.07 * (p_e / (p_t + p_e)).log().mean()
    error = (decoder(batch) - batch).square().mean()
    ((name, terms),) = model.objectives(batches)
    assert name == "gen"
    torch.testing.assert_close(terms["reconstruction"], error)
    torch.testing.assert_close(terms["divergence"], divergence)
    assert set(terms) == {"reconstruction", "divergence"}


@pytest.mark.parametrize("form", ["jsd", "non-saturating"])
def test_labelled_codes_are_matched_to_their_own_mode(form: Any) -> None:
    """The extra term against its definition, over the labelled images alone."""
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    y = torch.arange(60) % 4 - 1
    target = ring(3, 2, 3.0, labelled=True)
    model = GEN(
        Fixed(),
        nn.Linear(2, 2),
        target,
        2,
        centres=24,
        bandwidth=0.5,
        weight=0.07,
        form=form,
        floor=False,
    )
    batches, same = (Batches(x, y, size=12, reserve=24, seed=1) for _ in "ab")
    centres, labels = same.set_aside()
    batch, own = next(same)
    assert labels is not None
    assert own is not None
    parts = []
    for z, label in zip(batch, own, strict=True):
        if label >= 0:
            p_e = plain_log_density(z[None], centres[labels == label], 0.5).exp()
            p_t = MultivariateNormal(target.means[label], torch.eye(2)).log_prob(z).exp()
            parts.append(-(p_t / (p_t + p_e)).log())
    ((_, terms),) = model.objectives(batches)
    torch.testing.assert_close(terms["labelled"], 0.07 * torch.cat(parts).mean())


def test_a_single_image_beyond_whole_blocks_of_centres() -> None:
    options = {**small("gen"), "centres": BLOCK + 1, "iterations": 2, "device": "cpu"}
    model = zspace.train("gen", "digits", **options)
    assert model.encode(torch.rand(2, 1, 8, 8)).isfinite().all()


def test_between_two_refreshes_a_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    """The lagged centres are part of a checkpoint: they are of weights that are gone."""
    options = {**small("gen"), "target": "mixture", "labelled": 50, "lag": 4, "device": "cpu"}
    whole = zspace.train("gen", "digits", out=tmp_path / "w", iterations=410, **options)
    zspace.train("gen", "digits", out=tmp_path / "r", iterations=406, **options)
    resumed = zspace.resume(tmp_path / "r", iterations=410)
    for (k, a), (_, b) in zip(
        whole.state_dict().items(), resumed.state_dict().items(), strict=True
    ):
        assert torch.equal(a, b), k
    assert isinstance(resumed, GEN)
    images = api.run_images(api.Run(tmp_path / "r"))
    stale = (codes(resumed, images.train.x)[:, None, :1] - resumed.centres[None, :200, :1]).abs()
    assert float(stale.amin(0).max()) > 0, "the centres are not lagged"


def test_codes_that_run_away_stop_the_training() -> None:
    x = torch.randn(200, 2)
    model = GEN(Fixed(), nn.Linear(2, 2), Mixture(2, components=1), 2, centres=50, bandwidth=0.5)
    with torch.no_grad():
        model.encoder.shift.fill_(20.0)  # type: ignore[operator]
    with pytest.raises(ModelError, match="ran away from the target at iteration 0"):
        fit(model, Batches(x, size=8, reserve=50), 3)


def test_floor_is_the_density_at_the_edge() -> None:
    model = GEN(
        Fixed(), nn.Linear(2, 2), Mixture(2, components=1), 2, centres=50, bandwidth=0.5, floor=True
    )
    # of two dimensions exp(-r^2 / 2) lie beyond the radius r
    edge = math.log(0.001) - math.log(2 * math.pi)
    assert model.floor == pytest.approx(edge, abs=0.15)
    far = model._log_density(torch.full((1, 2), 50.0), model.centres)
    assert float(far) == pytest.approx(model.floor)
