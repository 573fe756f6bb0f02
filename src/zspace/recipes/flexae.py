"""The recipes of `zspace train flexae` and `zspace train flexae-sr`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from zspace.methods.flexae import RATES, FlexAE
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, fc_nets, flexae_nets, one_stage
from zspace.samplers import Normal, Pushforward

MOMENTUM = 0.01
"""Batch norm's momentum, with which its running statistics average over some hundred passes.

The decoder sees three kinds of codes in turn: of reconstructions, interpolations and generations.
"""


def flexae(
    facts: Facts,
    *,
    iterations: shared.Iterations = 130_000,
    batch_size: shared.BatchSize = 128,
    latent_dim: shared.LatentDim = None,
    smoothing: Annotated[
        bool, About("train with an image critic on interpolations, which is FlexAE-SR")
    ] = False,
    prior: Annotated[
        Literal["learned", "normal"],
        About("prior: learned by a generator, or N(0, I) throughout, as a control"),
    ] = "learned",
    critic_steps: Annotated[
        int, About("updates of the critics for each update of the other networks", least=1)
    ] = 5,
    arch: shared.PlainArchitecture = "conv",
    width: shared.Width = 64,
    hidden: shared.Hidden = None,
    last_activation: Annotated[
        Literal["elu", "relu"],
        About(
            "activation of the decoder's last block: the paper's, or the authors' code's",
            of={"arch": ("conv",)},
        ),
    ] = "elu",
    last_kernel: Annotated[
        Literal[4, 3],
        About(
            "side of the decoder's last kernel: the paper's, or the authors' code's",
            of={"arch": ("conv",)},
        ),
    ] = 4,
    ae_rate: Annotated[
        float, About("Adam's learning rate for the reconstruction", above=0)
    ] = RATES["ae"],
    critic_rate: Annotated[
        float, About("Adam's learning rate for the critic of codes", above=0)
    ] = RATES["critic"],
    regulariser_rate: Annotated[
        float,
        About("Adam's learning rate for the critic of images", above=0, of={"smoothing": (True,)}),
    ] = RATES["regulariser"],
    ae_reg_rate: Annotated[
        float,
        About(
            "Adam's learning rate for smoothing the autoencoder", above=0, of={"smoothing": (True,)}
        ),
    ] = RATES["ae_reg"],
    generator_rate: Annotated[
        float,
        About(
            "Adam's learning rate for the generator (2e-4 in the authors' code)",
            above=0,
            of={"prior": ("learned",)},
        ),
    ] = RATES["generator"],
    encoder_rate: Annotated[
        float, About("Adam's learning rate for moving codes towards the prior", above=0)
    ] = RATES["encoder"],
) -> Plan:
    """An autoencoder whose latent prior is learned with it (Mondal et al., 2021)."""
    if arch == "fc":
        nets = fc_nets(facts, latent_dim, hidden, momentum=MOMENTUM)
    else:
        nets = flexae_nets(
            facts,
            latent_dim,
            width,
            hidden,
            last_activation=last_activation,
            last_kernel=last_kernel,
            momentum=MOMENTUM,
        )
    model = FlexAE(
        nets.encoder(),
        nets.decoder(),
        Pushforward(nets.generator(), nets.latent_dim)
        if prior == "learned"
        else Normal(nets.latent_dim),
        nets.latent_critic(),
        nets.image_critic() if smoothing else None,
        nets.latent_dim,
        critic_steps=critic_steps,
        rates={
            "ae": ae_rate,
            "critic": critic_rate,
            "regulariser": regulariser_rate,
            "ae_reg": ae_reg_rate,
            "generator": generator_rate,
            "encoder": encoder_rate,
        },
    )
    return one_stage(model, iterations, batch_size, replacement=True)


flexae_sr = partial(flexae, smoothing=True)
flexae_sr.__doc__ = "FlexAE with smoothing: decoded interpolations must look real, too."
