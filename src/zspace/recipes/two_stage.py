"""The recipe of `zspace train two-stage-vae`."""

from __future__ import annotations

from typing import Annotated

from zspace.methods.two_stage import SecondStage, TwoStage, second_vae
from zspace.methods.vae import VAE
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, Stage, check_left, plain_networks
from zspace.samplers import Normal


def two_stage_vae(
    facts: Facts,
    *,
    iterations: Annotated[
        int, About("training iterations of both stages together", least=2)
    ] = 60_000,
    first_iterations: Annotated[
        int | None,
        About("training iterations of the VAE of the data alone (unset: a third of all)", least=1),
    ] = None,
    batch_size: shared.BatchSize = 64,
    latent_dim: shared.LatentDim = None,
    arch: shared.PlainArchitecture = "conv",
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    second_hidden: Annotated[
        int, About("units in each of the second stage's hidden layers", least=1)
    ] = 1024,
    learning_rate: Annotated[float, About("learning rate of Adam, in both stages", above=0)] = 1e-4,
) -> Plan:
    """A VAE and a second VAE of its codes, with FlexAE's networks (Dai and Wipf, 2019)."""
    first_iterations = first_iterations or max(1, iterations // 3)
    check_left(iterations, first_iterations, "the first stage's", "the second")
    nets = plain_networks(facts, arch, latent_dim, width, hidden)
    dim = nets.latent_dim
    first = VAE(
        nets.encoder(2 * dim),
        nets.decoder(),
        Normal(dim),
        dim,
        likelihood="learned-variance",
        rate=learning_rate,
    )
    second = second_vae(dim, second_hidden, learning_rate)
    model = TwoStage(first, SecondStage(second))
    stages = (
        Stage(first, first_iterations, batch_size),
        Stage(model, iterations - first_iterations, batch_size, data=model.posteriors),
    )
    return Plan(model, stages, {"first_iterations": first_iterations})
