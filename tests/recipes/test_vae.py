"""Defaults of the VAEs."""

from __future__ import annotations

from pathlib import Path

import zspace
from zspace.methods.vae import VAE
from zspace.recipes import find


def test_the_weight_of_an_mmd_is_its_own(tmp_path: Path) -> None:
    for loss, weight in (("elbo", 1.0), ("mmd", 100.0)):
        plan = find("vae-mlp")(zspace.recipes.Facts((1, 28, 28)), prior_loss=loss)  # type: ignore[call-arg]
        assert isinstance(plan.model, VAE)
        assert plan.model.beta == weight
        assert plan.model.latent_dim == 20
        assert {g["lr"] for o in plan.model.optimizers().values() for g in o.param_groups} == {1e-3}
