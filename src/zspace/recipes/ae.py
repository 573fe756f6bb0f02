"""`zspace train ae`."""

from __future__ import annotations

from zspace.methods.ae import AE
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
)  # fmt: skip


def ae(
    facts: Facts,
    *,
    iterations: Iterations = 20_000,
    batch_size: BatchSize = 128,
    latent_dim: LatentDim = None,
    arch: Architecture = "conv",
    width: Width = 64,
    hidden: Hidden = None,
    rate: LearningRate = 2e-4,
) -> Plan:
    """A plain autoencoder with the FlexAE paper's encoder and decoder, or GEN's."""
    nets = networks(facts, arch, latent_dim, width, hidden)
    model = AE(nets.encoder(), nets.decoder(), nets.latent_dim, rate=rate)
    return Plan(model, iterations, batch_size)
