"""The recipe of `zspace train latent-flow`."""

from __future__ import annotations

from typing import Annotated

import torch

from zspace.methods.latent_flow import LatentFlow
from zspace.nets.maps import MapNets
from zspace.options import About
from zspace.recipes import shared
from zspace.recipes.base import Facts, Plan, Stage, check_left
from zspace.samplers import FlowMatching
from zspace.training import half_cosine

LAST = 0.01
"""The factor of the learning rate at the end, and of further iterations."""


def latent_flow(
    facts: Facts,
    *,
    iterations: Annotated[
        int, About("training iterations of both stages together", least=2)
    ] = 40_000,
    first_iterations: Annotated[
        int | None,
        About("training iterations of the autoencoder alone (unset: a quarter of all)", least=1),
    ] = None,
    schedule_iterations: Annotated[
        int | None,
        About(
            "iterations of the flow over which its learning rate falls (unset: all of them)",
            least=1,
        ),
    ] = None,
    batch_size: shared.BatchSize = 64,
    code_channels: Annotated[
        int, About("channels of a code, which is a map", least=1, most=4096)
    ] = 4,
    factor: Annotated[
        int | None,
        About(
            "how many times smaller a code's map is than the image, a power of 2 (unset: the least "
            "for which the map is 8 by 8 or smaller)",
            least=2,
            most=4096,
        ),
    ] = None,
    width: Annotated[
        int, About("channels at the images' own resolution; twice as many at lower ones", least=1)
    ] = 32,
    flow_width: Annotated[
        int, About("channels of the flow's U-Net; twice as many at its lower resolutions", least=1)
    ] = 48,
    flow_blocks: Annotated[
        int, About("residual blocks of the U-Net at each resolution", least=1, most=1000)
    ] = 2,
    beta: shared.Beta = 1e-3,
    perceptual: Annotated[
        float, About("weight of the distance in the discriminator's layers", least=0)
    ] = 0.3,
    adversarial: Annotated[
        float, About("weight of the adversarial loss; 0 leaves it out", least=0)
    ] = 0.5,
    mirror: Annotated[
        bool, About("whether mirrored images are as good, and are learned, too")
    ] = False,
    learning_rate: Annotated[float, About("learning rate of the autoencoder", above=0)] = 5e-4,
    flow_learning_rate: Annotated[float, About("learning rate of the flow", above=0)] = 1e-3,
) -> Plan:
    """An autoencoder trained to look real, and a conditional flow on its codes.

    It is built as latent diffusion is, with flow matching in place of diffusion.
    """
    first = first_iterations or max(1, iterations // 4)
    check_left(iterations, first, "the autoencoder's", "the flow")
    nets = MapNets(facts.shape, code_channels, width, factor)
    dim, second = nets.latent_dim, iterations - first
    laid = schedule_iterations or second
    labels = len(facts.classes)
    prior = FlowMatching(
        dim,
        iterations=second,
        batch_size=batch_size,
        code_shape=",".join(map(str, nets.code_shape)),
        width=flow_width,
        blocks=flow_blocks,
        learning_rate=flow_learning_rate,
        pairing="random",
        classes=labels if labels > 1 else 0,
        seed=int(torch.randint(1 << 52, ())),
    )
    model = LatentFlow(
        nets.encoder(2 * dim),
        nets.decoder(),
        nets.discriminator(),
        prior.with_names(facts.classes),
        dim,
        iterations=first,
        beta=beta,
        perceptual=perceptual,
        adversarial=adversarial,
        mirror=mirror,
        rate=learning_rate,
    )
    stages = (
        Stage(model, first, batch_size, rate=half_cosine(first, LAST)),
        Stage(
            prior,
            second,
            batch_size,
            rate=half_cosine(laid, LAST),
            data=model.codes,
            replacement=True,
        ),
    )
    found = {"first_iterations": first, "schedule_iterations": laid}
    return Plan(model, stages, found)
