"""`zspace train dcgan`, `wgan-gp` and `sngan`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

from zspace.errors import InputError
from zspace.methods.gan import GAN, Adversary
from zspace.nets.spectral import spectrally_normalised
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
    with_labels,
)  # fmt: skip
from zspace.samplers.labelled import Labelled

BETAS: dict[Adversary, tuple[float, float]] = {
    "logistic": (0.5, 0.999), "wasserstein": (0.0, 0.9), "hinge": (0.0, 0.9),
}  # fmt: skip
"""Adam's decay rates in the three papers."""


def gan(
    facts: Facts,
    *,
    adversary: Annotated[
        Adversary, About("the loss: DCGAN's, WGAN-GP's, or SNGAN's with spectral norm")
    ] = "logistic",
    iterations: Iterations = 20_000,
    batch_size: BatchSize = 64,
    latent_dim: LatentDim = None,
    critic_steps: Annotated[int, About("updates of the critic for each other", least=1)] = 1,
    arch: PlainArchitecture = "conv",
    width: Width = 64,
    hidden: Hidden = None,
    rate: LearningRate = 2e-4,
) -> Plan:
    """A conditional GAN, FlexAE's decoder against its image critic."""
    if not facts.is_image:
        raise InputError("dcgan, wgan-gp and sngan make images, not vectors")
    nets = plain_networks(facts, arch, latent_dim, width, hidden)
    noise_dim, classes = nets.latent_dim, len(facts.classes)
    dim = noise_dim + classes
    critic = plain_networks(with_labels(facts), arch, noise_dim, width, hidden).image_critic()
    if adversary == "hinge":
        spectrally_normalised(critic)
    model = GAN(
        nets.encoder(dim), replace(nets, latent_dim=dim).decoder(), critic,
        Labelled(noise_dim, classes), dim,
        adversary=adversary, critic_steps=critic_steps, rate=rate, betas=BETAS[adversary],
    )  # fmt: skip
    return one_stage(model, iterations, batch_size)


dcgan = partial(gan)
dcgan.__doc__ = "A conditional DCGAN (Radford et al., 2016), FlexAE's decoder and image critic."
wgan_gp = partial(gan, adversary="wasserstein", critic_steps=5, rate=1e-4)
wgan_gp.__doc__ = "A conditional WGAN-GP (Gulrajani et al., 2017), FlexAE's decoder and critic."
sngan = partial(gan, adversary="hinge", critic_steps=5)
sngan.__doc__ = "A conditional SNGAN (Miyato et al., 2018), FlexAE's decoder and image critic."
