"""The parts that recipes are made of: stages, plans, and the choice of networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from zspace.core import LatentModel, Method
from zspace.data.images import Images, Part
from zspace.errors import InputError
from zspace.methods.vae import Likelihood
from zspace.nets.flexae import FlexAENets
from zspace.nets.gen import GENNets
from zspace.nets.resnet import LSRGANNets
from zspace.storage.config import Facts
from zspace.training import Rate, constant


def all_training(images: Images) -> Part:
    """The training part of a data set, which most stages are trained on."""
    return images.train


def known_training(images: Images) -> Part:
    """The training samples whose label is known, for stages that learn from labels."""
    return images.train.known()


@dataclass(frozen=True)
class Stage:
    """A stage of a training: a method, and how it is trained.

    Attributes:
        method: the method.
        iterations: the number of iterations.
        batch_size: the number of images in a batch.
        replacement: whether every batch is drawn from all images, rather than epoch by epoch.
        reserve: the number of images that each epoch sets aside (see `Batches`).
        rate: the learning-rate schedule, by the stage's own iterations.
        data: makes the data that the stage is trained on; it is called when the stage begins, after
            the earlier ones.
    """

    method: Method
    iterations: int
    batch_size: int
    replacement: bool = False
    reserve: int = 0
    rate: Rate = constant
    data: Callable[[Images], Part] = all_training


@dataclass(frozen=True)
class Plan:
    """An untrained model, and how it is trained.

    Attributes:
        model: the model, which holds everything that the stages train.
        stages: the stages, in order.
        found: values that were found for unset options, to be stored in the run's configuration.
        begin: loads what the model needs from elsewhere, such as published weights; it is called
            before a training begins, but not when a run is resumed or read.
        sources: the folders of runs that the training starts from, which must be kept.
    """

    model: LatentModel
    stages: tuple[Stage, ...]
    found: Mapping[str, Any] = field(default_factory=dict[str, Any])
    begin: Callable[[], None] | None = None
    sources: tuple[Path, ...] = ()

    @property
    def iterations(self) -> int:
        """The number of iterations of all stages."""
        return sum(stage.iterations for stage in self.stages)

    def left(self, done: int) -> list[tuple[int, Stage]]:
        """The stages that are not finished after `done` iterations, or else the last stage.

        Each comes with the number of iterations of the stages before it.
        """
        before = 0
        left: list[tuple[int, Stage]] = []
        for stage in self.stages:
            if done < before + stage.iterations or stage is self.stages[-1]:
                left.append((before, stage))
            before += stage.iterations
        return left


def one_stage(model: LatentModel, iterations: int, batch_size: int, **more: Any) -> Plan:
    """The plan of a model that is trained in a single stage.

    Args:
        model: the model.
        iterations, batch_size, more: fields of the `Stage`.
    """
    return Plan(model, (Stage(model, iterations, batch_size, **more),))


def check_left(iterations: int, first: int, whose: str, other: str) -> None:
    """Check that the iterations of all stages leave some for the last one.

    Args:
        iterations: those of all stages.
        first: those of the first.
        whose, other: what the stages are called, such as "the VAE's" and "the renderer".

    Raises:
        InputError: they do not.
    """
    if first >= iterations:
        raise InputError(
            f"--iterations {iterations} counts {whose} {first} and leaves none for {other}"
        )


class Recipe(Protocol):
    """A function that makes a plan from facts about the data and from options.

    Its options are read from its signature by `zspace.options.options_of`.
    """

    def __call__(self, facts: Facts, /) -> Plan: ...


def flexae_nets(
    facts: Facts, latent_dim: int | None, width: int, hidden: int | None, **more: Any
) -> FlexAENets:
    """The FlexAE paper's networks.

    Args:
        facts: what is known of the data.
        latent_dim: the size of a code; None means 20 for grey images, 64 for colour, 2 for vectors.
        width: the channels of the first convolution.
        hidden: the units of the fully connected layers; None means 1024 for images and 128 for
            vectors, as in the paper's Tables 7 and 6.
        more: further arguments of `FlexAENets`.
    """
    units = 1024 if facts.is_image else 128
    dim = latent_dim or _code_size(facts)
    return FlexAENets(facts.shape, dim, width, hidden or units, facts.bounded, **more)


def networks(
    facts: Facts,
    arch: Literal["conv", "fc", "resnet"],
    latent_dim: int | None,
    width: int,
    hidden: int | None,
) -> FlexAENets | GENNets | LSRGANNets:
    """The networks of an encoder and a decoder, of one of three architectures.

    Args:
        facts: what is known of the data.
        arch: "conv" for FlexAE's, "fc" for GEN's fully connected ones, "resnet" for LSR-GAN's.
        latent_dim: the size of a code; None means 128 for "resnet", else as in `flexae_nets`.
        width: the channels of the first convolution or block.
        hidden: the units of the fully connected layers, which "resnet" has not.

    Raises:
        InputError: the networks do not suit the data.
    """
    if arch != "resnet":
        return plain_networks(facts, arch, latent_dim, width, hidden)
    return LSRGANNets(facts.shape, latent_dim or 128, width)


def plain_networks(
    facts: Facts,
    arch: Literal["conv", "fc"],
    latent_dim: int | None,
    width: int,
    hidden: int | None,
) -> FlexAENets | GENNets:
    """The FlexAE paper's networks or GEN's fully connected ones, which include critics.

    Args:
        facts: what is known of the data.
        arch: "conv" or "fc".
        latent_dim, width, hidden: what `flexae_nets` and `fc_nets` take.

    Raises:
        InputError: the networks do not suit the data.
    """
    if arch == "conv":
        return flexae_nets(facts, latent_dim, width, hidden)
    return fc_nets(facts, latent_dim, hidden)


def with_labels(facts: Facts) -> Facts:
    """The facts about data to which labels are added (`zspace.nets.conditional.labelled`)."""
    first, *rest = facts.shape
    return replace(facts, shape=(first + len(facts.classes), *rest))


def checked_likelihood(likelihood: Likelihood, facts: Facts) -> Likelihood:
    """The likelihood itself, after a check that it suits the data.

    Raises:
        InputError: a Bernoulli likelihood is asked for vectors.
    """
    if likelihood == "bernoulli" and not facts.is_image:
        raise InputError("--likelihood bernoulli needs images: vectors need not lie in [0, 1]")
    return likelihood


def fc_nets(facts: Facts, latent_dim: int | None, hidden: int | None, **more: Any) -> GENNets:
    """GEN's fully connected networks, with the sizes of codes of FlexAE.

    Args:
        facts: what is known of the data.
        latent_dim: the size of a code; None means 20 for grey images, 64 for colour, 2 for vectors.
        hidden: the units of each hidden layer; None means 512.
        more: further arguments of `GENNets`.
    """
    return GENNets(facts.shape, latent_dim or _code_size(facts), hidden or 512, **more)


def _code_size(facts: Facts) -> int:
    """The FlexAE paper's size of a code for grey images, colour images or vectors."""
    if not facts.is_image:
        return 2
    return 20 if facts.shape[0] == 1 else 64
