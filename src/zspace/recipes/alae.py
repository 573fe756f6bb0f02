"""`zspace train alae`."""

from __future__ import annotations

from typing import Annotated

from zspace.methods.alae import ALAE
from zspace.options import About
from zspace.recipes.base import (
    BatchSize,
    Facts,
    Hidden,
    Iterations,
    LatentDim,
    LearningRate,
    PlainArchitecture,
    Plan,
    Width,
    one_stage,
    plain_networks,
)
from zspace.samplers import Pushforward


def alae(
    facts: Facts,
    *,
    iterations: Iterations = 20_000,
    batch_size: BatchSize = 128,
    latent_dim: LatentDim = None,
    gamma: Annotated[float, About("weight of the gradient penalty, halved", least=0)] = 10.0,
    arch: PlainArchitecture = "conv",
    width: Width = 64,
    hidden: Hidden = None,
    rate: LearningRate = 2e-4,
) -> Plan:
    """An adversarial latent autoencoder (Pidhorskyi et al., 2020) with FlexAE's networks."""
    nets = plain_networks(facts, arch, latent_dim, width, hidden)
    dim = nets.latent_dim
    model = ALAE(
        nets.encoder(norm=False),
        nets.decoder(),
        Pushforward(nets.generator(), dim),
        nets.latent_critic(),
        dim,
        gamma=gamma,
        rate=rate,
    )
    return one_stage(model, iterations, batch_size)
