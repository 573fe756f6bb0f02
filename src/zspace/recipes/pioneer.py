"""`zspace train pioneer`."""

from __future__ import annotations

from typing import Annotated

from zspace.errors import InputError
from zspace.methods.pioneer import Pioneer
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
from zspace.samplers.sphere import Sphere


def pioneer(
    facts: Facts,
    *,
    iterations: Iterations = 20_000,
    batch_size: BatchSize = 128,
    latent_dim: LatentDim = None,
    reconstruction: Annotated[float, About("a, of the mean error of a pixel", least=0)] = 10.0,
    codes: Annotated[float, About("b, of the cosine distance of codes", least=0)] = 1000.0,
    margin: Annotated[
        float,
        About("how far the encoder sets generated images apart, in nats per dimension", least=0),
    ] = 0.25,
    arch: PlainArchitecture = "conv",
    width: Width = 64,
    hidden: Hidden = None,
    rate: LearningRate = 2e-4,
) -> Plan:
    """An adversarial generator-encoder (Heljakka et al., 2018), not growing, FlexAE's networks."""
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
        rate=rate,
    )
    return one_stage(model, iterations, batch_size)
