"""The recipes of `zspace train wae` and `wae-gan`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from zspace.core import Sampler
from zspace.methods.wae import WAE
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, one_stage, plain_networks
from zspace.recipes.gen import ring
from zspace.samplers import Normal


def wae(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 128,
    latent_dim: shared.LatentDim = None,
    penalty: Annotated[
        Literal["mmd", "gan"],
        About("term that leads codes to the prior: an MMD, or a discriminator"),
    ] = "mmd",
    prior: Annotated[
        Literal["normal", "mixture"], About("prior: N(0, I), or a ring of unit Gaussians")
    ] = "normal",
    components: shared.Components = None,
    separation: shared.Separation = 6.0,
    weight: Annotated[float, About("weight lambda of the penalty", least=0)] = 10.0,
    arch: shared.PlainArchitecture = "conv",
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    learning_rate: Annotated[
        float, About("learning rate of Adam for encoder and decoder", above=0)
    ] = 1e-3,
    discriminator_rate: Annotated[
        float,
        About("learning rate of Adam for the discriminator", above=0, of={"penalty": ("gan",)}),
    ] = 5e-4,
) -> Plan:
    """A Wasserstein autoencoder with an MMD and FlexAE's networks (Tolstikhin et al., 2018)."""
    nets = plain_networks(facts, arch, latent_dim, width, hidden)
    dim = nets.latent_dim
    law: Sampler = Normal(dim)
    if prior == "mixture":
        law = ring(components or len(facts.classes) or 10, dim, separation)
    model = WAE(
        nets.encoder(),
        nets.decoder(),
        law,
        nets.latent_critic() if penalty == "gan" else None,
        dim,
        weight=weight,
        rate=learning_rate,
        discriminator_rate=discriminator_rate,
    )
    return one_stage(model, iterations, batch_size)


wae_gan = partial(wae, penalty="gan")
wae_gan.__doc__ = "A Wasserstein autoencoder with a discriminator (Tolstikhin et al., 2018)."
