"""`zspace train ae`."""

from __future__ import annotations

from zspace.methods.ae import AE
from zspace.nets.papers import FlexAENets
from zspace.recipes.base import (
    BatchSize,
    Facts,
    Hidden,
    Iterations,
    LatentDim,
    LearningRate,
    Plan,
    Width,
    default_hidden,
    default_latent_dim,
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
    dim = latent_dim or default_latent_dim(facts)
    nets = FlexAENets(facts.shape, dim, width, hidden or default_hidden(facts), facts.bounded)
    return Plan(AE(nets.encoder(), nets.decoder(), dim, rate=rate), iterations, batch_size)
