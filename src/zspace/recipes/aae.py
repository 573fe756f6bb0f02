"""The recipe of `zspace train aae`."""

from __future__ import annotations

from typing import Annotated

from zspace.methods.aae import AAE
from zspace.nets.mlp import mlp
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, Stage, networks
from zspace.recipes.gen import GENArchitecture, GENLatentDim, code_size, default_architecture
from zspace.samplers import Normal


def aae(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 100,
    latent_dim: GENLatentDim = None,
    weight: Annotated[
        float,
        About(
            "weight lambda of the prior: the rate of its update, relative to the others", least=0
        ),
    ] = 1.0,
    arch: GENArchitecture = None,
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    learning_rate: shared.LearningRate = 2e-4,
) -> Plan:
    """An adversarial autoencoder (Makhzani et al., 2016) with GEN's networks and sizes."""
    dim = latent_dim or code_size(facts)
    arch = arch or default_architecture(facts)
    nets = networks(facts, arch, dim, width, hidden)
    units = hidden or 512
    model = AAE(
        nets.encoder(),
        nets.decoder(),
        Normal(dim),
        mlp(dim, [units, units], 1),
        dim,
        weight=weight,
        rate=learning_rate,
    )
    stage = Stage(model, iterations, batch_size)
    return Plan(model, (stage,), found={"latent_dim": dim, "arch": arch})
