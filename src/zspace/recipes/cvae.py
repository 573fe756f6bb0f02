"""`zspace train cvae`."""

from __future__ import annotations

from dataclasses import replace

from zspace.errors import InputError
from zspace.methods.cvae import CVAE
from zspace.recipes.base import (
    BatchSize,
    Beta,
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
    with_labels,
)
from zspace.samplers.labelled import Labelled


def cvae(
    facts: Facts,
    *,
    iterations: Iterations = 20_000,
    batch_size: BatchSize = 128,
    latent_dim: LatentDim = None,
    beta: Beta = 1.0,
    arch: PlainArchitecture = "conv",
    width: Width = 64,
    hidden: Hidden = None,
    rate: LearningRate = 2e-4,
) -> Plan:
    """A conditional VAE (Sohn et al., 2015) with FlexAE's networks; its codes hold the label."""
    classes = len(facts.classes)
    if classes < 2:
        raise InputError(
            f"cvae needs data with labels of two classes or more, these have {classes}: a folder "
            "of a folder for each class has them, and --classes must leave two"
        )
    nets = plain_networks(facts, arch, latent_dim, width, hidden)
    noise_dim = nets.latent_dim
    told = plain_networks(with_labels(facts), arch, noise_dim, width, hidden)
    dim = noise_dim + classes
    model = CVAE(
        told.encoder(2 * noise_dim),
        replace(nets, latent_dim=dim).decoder(),
        nets.encoder(classes),
        Labelled(noise_dim, classes),
        dim,
        beta=beta,
        rate=rate,
    )
    return one_stage(model, iterations, batch_size)
