"""The recipe of `zspace train mask-aae`."""

from __future__ import annotations

from typing import Annotated

from zspace.methods.maskaae import MaskAAE, Masked
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, one_stage, plain_networks


def mask_aae(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 128,
    latent_dim: shared.LatentDim = None,
    reconstruction: Annotated[
        float, About("weight of the reconstruction error in the mask's loss", least=0)
    ] = 0.1,
    fooling: Annotated[
        float, About("weight of fooling the discriminator in the mask's loss", least=0)
    ] = 1.0,
    closing: Annotated[
        float, About("weight of half-open dimensions in the mask's loss", least=0)
    ] = 0.1,
    mask_rate: Annotated[float, About("learning rate of Adam for the mask", above=0)] = 1e-3,
    arch: shared.PlainArchitecture = "conv",
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    learning_rate: shared.LearningRate = 2e-4,
) -> Plan:
    """MaskAAE, which masks dimensions of codes, with FlexAE's networks (Mondal et al., 2020)."""
    nets = plain_networks(facts, arch, latent_dim, width, hidden)
    dim = nets.latent_dim
    model = MaskAAE(
        nets.encoder(),
        nets.decoder(),
        Masked(dim),
        nets.latent_critic(),
        dim,
        weights=(reconstruction, fooling, closing),
        rate=learning_rate,
        mask_rate=mask_rate,
    )
    return one_stage(model, iterations, batch_size)
