"""The recipe of `zspace train cvae`."""

from __future__ import annotations

from dataclasses import replace

from zspace.errors import InputError
from zspace.methods.cvae import CVAE
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, known_training, one_stage, plain_networks, with_labels
from zspace.samplers.labelled import Labelled


def cvae(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 128,
    latent_dim: shared.LatentDim = None,
    beta: shared.Beta = 1.0,
    arch: shared.PlainArchitecture = "conv",
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    learning_rate: shared.LearningRate = 2e-4,
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
        rate=learning_rate,
    )
    return one_stage(model, iterations, batch_size, data=known_training)
