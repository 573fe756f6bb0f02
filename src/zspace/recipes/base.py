"""What recipes take and return, and the options that they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from zspace.core import LatentModel, Method
from zspace.data.images import Images, Part
from zspace.errors import InputError
from zspace.methods.vae import Likelihood
from zspace.nets.papers import FlexAENets, GENNets
from zspace.nets.resnet import LSRGANNets
from zspace.storage.run import Facts
from zspace.training import Rate, constant


def all_training(images: Images) -> Part:
    """The training images and their labels."""
    return images.train


@dataclass(frozen=True)
class Stage:
    """A method that is to be trained, and how.

    Attributes:
        iterations, batch_size: of the training.
        replacement: every batch is drawn anew from all images, not epoch by epoch.
        reserve: images that each epoch sets aside (see `Batches`).
        rate: of all optimisers, by the stage's own iteration.
        data: what the batches are of, asked for when the stage begins: earlier ones are done.
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
    """A model that is not trained yet, and how it is to be trained.

    Attributes:
        stages: trained one after the other; the model holds all that they train.
        found: options that were left unset and are now known: the run's configuration keeps them.
        sources: runs that it begins with, which must stay.
        begin: called before a training begins, but not where a run is gone on with or read: takes
            what must be there from elsewhere, such as published weights.
    """

    model: LatentModel
    stages: tuple[Stage, ...]
    found: Mapping[str, Any] = field(default_factory=dict[str, Any])
    begin: Callable[[], None] | None = None
    sources: tuple[Path, ...] = ()

    @property
    def iterations(self) -> int:
        return sum(stage.iterations for stage in self.stages)

    def left(self, done: int) -> list[tuple[int, Stage]]:
        """The stages that are not finished after `done` iterations, or else the last one, each with
        the number of iterations before it."""
        before = 0
        left: list[tuple[int, Stage]] = []
        for stage in self.stages:
            if done < before + stage.iterations or stage is self.stages[-1]:
                left.append((before, stage))
            before += stage.iterations
        return left


def one_stage(model: LatentModel, iterations: int, batch_size: int, **more: Any) -> Plan:
    """The plan of a model that trains all at once; more: of `Stage`."""
    return Plan(model, (Stage(model, iterations, batch_size, **more),))


class Recipe(Protocol):
    """A recipe; its keywords are read from its signature by `zspace.options.options_of`."""

    def __call__(self, facts: Facts, /) -> Plan: ...


def flexae_nets(
    facts: Facts, latent_dim: int | None, width: int, hidden: int | None, **more: Any
) -> FlexAENets:
    """The FlexAE paper's networks. Unset sizes are those of its Tables 6 (vectors) and 7."""
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
    """Encoder and decoder: the FlexAE paper's networks, fully connected ones, or residual ones."""
    if arch != "resnet":
        return plain_networks(facts, arch, latent_dim, width, hidden)
    if hidden is not None:
        raise InputError("--hidden is not for --arch resnet, whose units --width gives")
    return LSRGANNets(facts.shape, latent_dim or 128, width)


def plain_networks(
    facts: Facts,
    arch: Literal["conv", "fc"],
    latent_dim: int | None,
    width: int,
    hidden: int | None,
) -> FlexAENets | GENNets:
    """The networks of the FlexAE paper, or fully connected ones, critics and generator included."""
    if arch == "conv":
        return flexae_nets(facts, latent_dim, width, hidden)
    return fc_nets(facts, latent_dim, hidden)


def with_labels(facts: Facts) -> Facts:
    """The facts of data with labels' indicators (`zspace.nets.conditional.labelled`)."""
    first, *rest = facts.shape
    return replace(facts, shape=(first + len(facts.classes), *rest))


def checked_likelihood(likelihood: Likelihood, facts: Facts) -> Likelihood:
    """The likelihood itself, where it suits the data."""
    if likelihood == "bernoulli" and not facts.is_image:
        raise InputError("--likelihood bernoulli needs images: vectors need not lie in [0, 1]")
    return likelihood


def fc_nets(facts: Facts, latent_dim: int | None, hidden: int | None, **more: Any) -> GENNets:
    """Fully connected networks, with FlexAE's sizes of codes."""
    return GENNets(facts.shape, latent_dim or _code_size(facts), hidden or 512, **more)


def _code_size(facts: Facts) -> int:
    """The FlexAE paper's, for grey images, colour images and vectors."""
    if not facts.is_image:
        return 2
    return 20 if facts.shape[0] == 1 else 64
