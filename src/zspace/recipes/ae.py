"""`zspace train ae`."""

from __future__ import annotations

from zspace.methods.ae import AE
from zspace.recipes.base import (
    BatchSize,
    Facts,
    Hidden,
    Iterations,
    LatentDim,
    LearningRate,
    Plan,
    Width,
    flexae_nets,
)  # fmt: skip


def ae(
    facts: Facts,
    *,
    iterations: Iterations = 20_000,
    batch_size: BatchSize = 128,
    latent_dim: LatentDim = None,
    width: Width = 64,
    hidden: Hidden = None,
    rate: LearningRate = 2e-4,
) -> Plan:
    """A plain autoencoder with the FlexAE paper's encoder and decoder (Tables 6 and 7)."""
    nets = flexae_nets(facts, latent_dim, width, hidden)
    model = AE(nets.encoder(), nets.decoder(), nets.latent_dim, rate=rate)
    return Plan(model, iterations, batch_size)
