"""The recipes of `zspace train dcgan`, `wgan-gp` and `sngan`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

from zspace.errors import InputError
from zspace.methods.gan import GAN, Adversary
from zspace.nets.spectral import spectrally_normalised
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import (
    Facts,
    Plan,
    Stage,
    all_training,
    known_training,
    plain_networks,
    with_labels,
)
from zspace.samplers.labelled import Labelled

BETAS: dict[Adversary, tuple[float, float]] = {
    "logistic": (0.5, 0.999),
    "wasserstein": (0.0, 0.9),
    "hinge": (0.0, 0.9),
}
"""Adam's decay rates in the three papers, by the name of the loss."""


def gan(
    facts: Facts,
    *,
    adversary: Adversary,
    iterations: shared.Iterations = 20_000,
    batch_size: shared.BatchSize = 64,
    latent_dim: shared.LatentDim = None,
    critic_steps: Annotated[
        int | None,
        About(
            "updates of the critic for each update of the generator (unset: 1 for DCGAN, else 5)",
            least=1,
        ),
    ] = None,
    arch: shared.PlainArchitecture = "conv",
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    learning_rate: Annotated[
        float | None, About("learning rate of Adam (unset: 2e-4, for WGAN-GP 1e-4)", above=0)
    ] = None,
) -> Plan:
    """A GAN of FlexAE's decoder and image critic, conditional if the data have labels."""
    if not facts.is_image:
        raise InputError(
            f"dcgan, wgan-gp and sngan make images, not vectors, as these of {facts.shape[0]} "
            "numbers are"
        )
    nets = plain_networks(facts, arch, latent_dim, width, hidden)
    noise_dim, classes = nets.latent_dim, len(facts.classes)
    dim = noise_dim + classes
    critic = plain_networks(with_labels(facts), arch, noise_dim, width, hidden).image_critic()
    if adversary == "hinge":
        spectrally_normalised(critic)
    steps = critic_steps or (1 if adversary == "logistic" else 5)
    pace = learning_rate or (1e-4 if adversary == "wasserstein" else 2e-4)
    model = GAN(
        nets.encoder(dim),
        replace(nets, latent_dim=dim).decoder(),
        critic,
        Labelled(noise_dim, classes),
        dim,
        adversary=adversary,
        critic_steps=steps,
        rate=pace,
        betas=BETAS[adversary],
    )
    found = {"critic_steps": steps, "learning_rate": pace}
    data = known_training if classes else all_training
    return Plan(model, (Stage(model, iterations, batch_size, data=data),), found)


dcgan = partial(gan, adversary="logistic")
dcgan.__doc__ = "A conditional DCGAN (Radford et al., 2016) with FlexAE's decoder and critic."
wgan_gp = partial(gan, adversary="wasserstein")
wgan_gp.__doc__ = "A conditional WGAN-GP (Gulrajani et al., 2017) with FlexAE's decoder and critic."
sngan = partial(gan, adversary="hinge")
sngan.__doc__ = "A conditional SNGAN (Miyato et al., 2018) with FlexAE's decoder and critic."
