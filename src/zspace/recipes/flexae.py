"""`zspace train flexae` and `zspace train flexae-sr`."""

from __future__ import annotations

from typing import Annotated, Literal

from zspace.methods.flexae import FlexAE
from zspace.nets.papers import FlexAENets
from zspace.options import About
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
from zspace.samplers import Pushforward

MOMENTUM = 0.01
"""Batch norm's: its running statistics blend some hundred passes, since the decoder sees three
kinds in turn (reconstruction, interpolation, generation)."""

CriticSteps = Annotated[int, About("updates of the critics for each of the others", least=1)]
LastActivation = Annotated[
    Literal["elu", "relu"], About("of the decoder's last block: the paper's, or its code's")
]
LastKernel = Annotated[
    Literal[4, 3], About("size of the decoder's last convolution: the paper's, or its code's")
]
GeneratorRate = Annotated[
    float, About("learning rate of the generator (the paper's; its code has 2e-4)", above=0)
]


def flexae(
    facts: Facts,
    *,
    iterations: Iterations = 130_000,
    batch_size: BatchSize = 128,
    latent_dim: LatentDim = None,
    smoothing: Annotated[bool, About("the image critic on interpolations: FlexAE-SR")] = False,
    critic_steps: CriticSteps = 5,
    width: Width = 64,
    hidden: Hidden = None,
    last_activation: LastActivation = "elu",
    last_kernel: LastKernel = 4,
    ae_rate: LearningRate = 2e-4,
    critic_rate: LearningRate = 1e-4,
    regulariser_rate: LearningRate = 2e-4,
    ae_reg_rate: LearningRate = 2e-4,
    generator_rate: GeneratorRate = 1e-4,
    encoder_rate: LearningRate = 1e-5,
) -> Plan:
    """An autoencoder whose latent prior is learned with it (Mondal et al., 2021)."""
    dim = latent_dim or default_latent_dim(facts)
    nets = FlexAENets(
        facts.shape, dim, width, hidden or default_hidden(facts), facts.bounded,
        last_activation, last_kernel, MOMENTUM,
    )  # fmt: skip
    model = FlexAE(
        nets.encoder(),
        nets.decoder(),
        Pushforward(nets.generator(), dim),
        nets.latent_critic(),
        nets.image_critic() if smoothing else None,
        dim,
        critic_steps=critic_steps,
        ae_rate=ae_rate,
        critic_rate=critic_rate,
        regulariser_rate=regulariser_rate,
        ae_reg_rate=ae_reg_rate,
        generator_rate=generator_rate,
        encoder_rate=encoder_rate,
    )
    return Plan(model, iterations, batch_size, replacement=True)


def flexae_sr(
    facts: Facts,
    *,
    iterations: Iterations = 130_000,
    batch_size: BatchSize = 128,
    latent_dim: LatentDim = None,
    critic_steps: CriticSteps = 5,
    width: Width = 64,
    hidden: Hidden = None,
    last_activation: LastActivation = "elu",
    last_kernel: LastKernel = 4,
    ae_rate: LearningRate = 2e-4,
    critic_rate: LearningRate = 1e-4,
    regulariser_rate: LearningRate = 2e-4,
    ae_reg_rate: LearningRate = 2e-4,
    generator_rate: GeneratorRate = 1e-4,
    encoder_rate: LearningRate = 1e-5,
) -> Plan:
    """FlexAE with smoothing: decoded interpolations must look real, too (Mondal et al., 2021)."""
    return flexae(
        facts,
        iterations=iterations,
        batch_size=batch_size,
        latent_dim=latent_dim,
        smoothing=True,
        critic_steps=critic_steps,
        width=width,
        hidden=hidden,
        last_activation=last_activation,
        last_kernel=last_kernel,
        ae_rate=ae_rate,
        critic_rate=critic_rate,
        regulariser_rate=regulariser_rate,
        ae_reg_rate=ae_reg_rate,
        generator_rate=generator_rate,
        encoder_rate=encoder_rate,
    )
