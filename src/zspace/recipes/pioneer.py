"""The recipe of `zspace train pioneer`."""

from __future__ import annotations

from typing import Annotated

from zspace.errors import InputError
from zspace.methods.pioneer import Pioneer
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, one_stage, plain_networks
from zspace.samplers.sphere import Sphere


def pioneer(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 128,
    latent_dim: shared.LatentDim = None,
    reconstruction: Annotated[
        float, About("weight a of the mean error of a pixel", least=0)
    ] = 10.0,
    codes: Annotated[float, About("weight b of the cosine distance of codes", least=0)] = 1000.0,
    margin: Annotated[
        float,
        About(
            "margin M by which the encoder separates generated images, in nats per dimension",
            least=0,
        ),
    ] = 0.25,
    arch: shared.PlainArchitecture = "conv",
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    learning_rate: shared.LearningRate = 2e-4,
) -> Plan:
    """An adversarial generator-encoder with FlexAE's networks (Heljakka et al., 2018)."""
    nets = plain_networks(facts, arch, latent_dim, width, hidden)
    dim = nets.latent_dim
    if dim < 2:
        raise InputError("--latent-dim must be at least 2 for pioneer, whose codes lie on a sphere")
    model = Pioneer(
        nets.encoder(norm=False),
        nets.decoder(),
        Sphere(dim),
        dim,
        weights=(reconstruction, codes),
        margin=margin,
        rate=learning_rate,
    )
    return one_stage(model, iterations, batch_size)
