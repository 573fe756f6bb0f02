"""The second stage learns what the first has left."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import zspace
from tests.conftest import seeded, small
from zspace.core import Batches, Frozen
from zspace.methods.two_stage import SecondStage, TwoStage
from zspace.methods.vae import VAE
from zspace.nets.mlp import mlp
from zspace.recipes import RECIPES, Facts
from zspace.samplers import Normal as StandardNormal
from zspace.storage.run import Run
from zspace.training import fit


def test_the_second_stage_learns_codes_that_are_not_normal() -> None:
    """Codes about -1 and 1, two in three of the latter."""
    torch.manual_seed(0)
    x = 2.0 * (torch.rand(2000, 1, generator=seeded()) < 2 / 3) - 1

    class Exact(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, torch.full_like(x, -8.0)], 1)

    first = VAE(Exact(), nn.Identity(), StandardNormal(1), 1, likelihood="learned-variance")
    second = VAE(
        mlp(1, [64, 64], 2),
        mlp(1, [64, 64], 1),
        StandardNormal(1),
        1,
        rate=2e-3,
        likelihood="learned-variance",
    )
    model = TwoStage(first, SecondStage(second))
    from zspace.data import Images
    from zspace.data.images import Part

    part = Part(x, None)
    moments = model.posteriors(Images("two", part, part, part))
    assert moments.x.shape == (2000, 2)
    torch.testing.assert_close(moments.x[:, :1], x)
    fit(model, Batches(moments.x, size=100), 1500)
    with torch.no_grad():
        z = model.prior.sample(2000, generator=seeded())
    assert float(((z.abs() - 1).abs() < 0.3).double().mean()) > 0.9  # of N(0, I): 0.29
    assert float((z > 0).double().mean()) == pytest.approx(2 / 3, abs=0.07)


def test_the_first_stage_stays_as_it_is(tmp_path: Path) -> None:
    options = {**small("two-stage-vae"), "iterations": 8, "first_iterations": 4}
    zspace.train(
        "two-stage-vae",
        "digits",
        out=tmp_path / "r",
        checkpoint_every=1,
        keep=0,
        device="cpu",
        **options,
    )
    run = Run(tmp_path / "r")
    four, eight = (run.weights(run.checkpoints()[i]) for i in (4, 8))
    changed = {k for k in four if not torch.equal(four[k], eight[k])}
    assert changed
    assert all(k.startswith("prior.vae") for k in changed)


def test_frozen_parts_have_no_gradients() -> None:
    plan = RECIPES["two-stage-vae"](Facts((1, 8, 8)), **small("two-stage-vae"))  # type: ignore[call-arg]
    assert isinstance(plan.model.encoder, Frozen)
    assert not any(p.requires_grad for p in plan.model.encoder.parameters())
