"""The recipe of `zspace train ae`."""

from __future__ import annotations

from typing import Annotated, Literal

from zspace.errors import InputError
from zspace.methods.ae import AE
from zspace.nets.regene import ReGeneNets
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, networks, one_stage


def ae(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 128,
    latent_dim: shared.LatentDim = None,
    loss: Annotated[
        Literal["squared-error", "absolute-error"],
        About(
            "reconstruction term: the squared error, summed over pixels, or the absolute error, "
            "their mean (ReGene, section 4)"
        ),
    ] = "squared-error",
    arch: Annotated[
        Literal["conv", "fc", "regene"],
        About(
            "networks: the FlexAE paper's, GEN's fully connected ones, or ReGene's, whose widths "
            "determine the size of a code"
        ),
    ] = "conv",
    width: shared.Width = 64,
    decoder_width: Annotated[
        int | None,
        About(
            "channels of the first convolutions of ReGene's decoder (unset: four times the width)",
            least=1,
        ),
    ] = None,
    hidden: shared.Hidden = None,
    learning_rate: shared.LearningRate = 2e-4,
) -> Plan:
    """A plain autoencoder with the FlexAE paper's encoder and decoder, GEN's or ReGene's."""
    if arch == "regene":
        if latent_dim is not None:
            raise InputError(
                "--arch regene: its codes have the size that --width gives: leave out --latent-dim"
            )
        nets = ReGeneNets(facts.shape, width, decoder_width or 4 * width)
    else:
        nets = networks(facts, arch, latent_dim, width, hidden)
    model = AE(nets.encoder(), nets.decoder(), nets.latent_dim, loss=loss, rate=learning_rate)
    return one_stage(model, iterations, batch_size)
