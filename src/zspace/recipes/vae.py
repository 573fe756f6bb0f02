"""The recipes of `zspace train vae` and `vae-mlp`."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

from zspace.errors import InputError
from zspace.methods.vae import VAE
from zspace.nets.categorical import CategoricalNets
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, checked_likelihood, networks, one_stage
from zspace.samplers import Normal

MMD_WEIGHT = 100 / 784
"""The default weight of the MMD for each pixel and channel, which gives 100 for 28x28 pixels."""


def vae(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 128,
    latent_dim: shared.LatentDim = None,
    beta: shared.Beta = 1.0,
    likelihood: shared.VAELikelihood = "squared-error",
    arch: shared.Architecture = "conv",
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    learning_rate: shared.LearningRate = 2e-4,
) -> Plan:
    """A variational autoencoder with the networks of the FlexAE paper, GEN or LSR-GAN."""
    nets = networks(facts, arch, latent_dim, width, hidden)
    dim = nets.latent_dim
    model = VAE(
        nets.encoder(2 * dim),
        nets.decoder(),
        Normal(dim),
        dim,
        beta=beta,
        likelihood=checked_likelihood(likelihood, facts),
        rate=learning_rate,
    )
    return one_stage(model, iterations, batch_size)


def vae_mlp(
    facts: Facts,
    *,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 100,
    latent_dim: Annotated[int, About("size of a code", least=1)] = 20,
    prior_loss: Annotated[
        Literal["elbo", "mmd"],
        About("term that leads codes to the prior: the KL divergence, or an MMD"),
    ] = "elbo",
    beta: Annotated[
        float | None,
        About(
            "weight of that term (unset: 1 for elbo; for mmd, in proportion to the number of "
            "pixels, 100 for 28x28 grey ones)",
            least=0,
        ),
    ] = None,
    hidden: Annotated[int, About("units in each hidden layer", least=1)] = 500,
    learning_rate: shared.LearningRate = 1e-3,
) -> Plan:
    """The categorical-generation paper's fully connected VAE, with a KL divergence or an MMD."""
    if not facts.is_image:
        raise InputError("vae-mlp takes images, not vectors: its pixels are Bernoulli's")
    nets = CategoricalNets(facts.shape, latent_dim, hidden)
    usual = 1.0 if prior_loss == "elbo" else MMD_WEIGHT * prod(facts.shape)
    weight = usual if beta is None else beta
    model = VAE(
        nets.encoder(),
        nets.decoder(),
        Normal(latent_dim),
        latent_dim,
        beta=weight,
        likelihood="bernoulli",
        prior_loss=prior_loss,
        rate=learning_rate,
    )
    return one_stage(model, iterations, batch_size)
