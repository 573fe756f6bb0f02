"""The recipe of `zspace train alae`."""

from __future__ import annotations

from typing import Annotated

from zspace.methods.alae import ALAE
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, one_stage, plain_networks
from zspace.samplers import Pushforward


def alae(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 128,
    latent_dim: shared.LatentDim = None,
    gamma: Annotated[
        float, About("gamma; half of it is the weight of the gradient penalty", least=0)
    ] = 10.0,
    arch: shared.PlainArchitecture = "conv",
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    learning_rate: shared.LearningRate = 2e-4,
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
        rate=learning_rate,
    )
    return one_stage(model, iterations, batch_size)
