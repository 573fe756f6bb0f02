"""The recipe of `zspace train ae`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from zspace.errors import InputError
from zspace.methods.ae import AE
from zspace.methods.regene import rate_at
from zspace.nets.regene import ReGeneNets
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, Stage, networks
from zspace.recipes.regene import SCHEDULES, laid_phases, schedule_for
from zspace.training import Rate, constant


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
            of={"arch": ("regene",)},
        ),
    ] = None,
    hidden: shared.Hidden = None,
    learning_rate: shared.LearningRate = 2e-4,
    schedule_iterations: Annotated[
        int | None,
        About(
            "iterations over which the learning rate of regene changes (unset: all)",
            least=1,
            of={"arch": ("regene",)},
        ),
    ] = None,
) -> Plan:
    """A plain autoencoder with the FlexAE paper's encoder and decoder, GEN's or ReGene's.

    With ReGene's networks, its learning rate falls when that of ReGene's decoder does: the paper
    compares the two.
    """
    schedule: Rate = constant
    found: dict[str, Any] = {}
    if arch == "regene":
        if latent_dim is not None:
            raise InputError(
                "--arch regene: its codes have the size that --width gives: leave out --latent-dim"
            )
        nets = ReGeneNets(facts.shape, width, decoder_width or 4 * width)
        laid = schedule_iterations or iterations
        phases = laid_phases(SCHEDULES[schedule_for(facts.shape)].phases, laid)
        schedule = partial(rate_at, phases)
        found["schedule_iterations"] = laid
    else:
        nets = networks(facts, arch, latent_dim, width, hidden)
    model = AE(nets.encoder(), nets.decoder(), nets.latent_dim, loss=loss, rate=learning_rate)
    stage = Stage(model, iterations, batch_size, rate=schedule)
    return Plan(model, (stage,), found)
