"""`zspace train vae`."""

from __future__ import annotations

from typing import Annotated, Literal

from zspace.errors import InputError
from zspace.methods.vae import VAE
from zspace.options import About
from zspace.recipes.base import (
    Architecture,
    BatchSize,
    Facts,
    Hidden,
    Iterations,
    LatentDim,
    LearningRate,
    Plan,
    Width,
    networks,
    one_stage,
)  # fmt: skip
from zspace.samplers import Normal


def vae(
    facts: Facts,
    *,
    iterations: Iterations = 20_000,
    batch_size: BatchSize = 128,
    latent_dim: LatentDim = None,
    beta: Annotated[float, About("weight of the KL divergence", least=0)] = 1.0,
    likelihood: Annotated[
        Literal["squared-error", "bernoulli"], About("reconstruction term, summed over pixels")
    ] = "squared-error",
    arch: Architecture = "conv",
    width: Width = 64,
    hidden: Hidden = None,
    rate: LearningRate = 2e-4,
) -> Plan:
    """A variational autoencoder with the FlexAE paper's encoder and decoder, or GEN's."""
    if likelihood == "bernoulli" and not facts.is_image:
        raise InputError("--likelihood bernoulli needs images: vectors need not lie in [0, 1]")
    nets = networks(facts, arch, latent_dim, width, hidden)
    dim = nets.latent_dim
    model = VAE(
        nets.encoder(2 * dim), nets.decoder(), Normal(dim), dim,
        beta=beta, likelihood=likelihood, rate=rate,
    )  # fmt: skip
    return one_stage(model, iterations, batch_size)
