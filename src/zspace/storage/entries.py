"""What the indexes of the zoo say of a published file: of a model, and of a judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from zspace.storage.config import Facts
from zspace.storage.files import Count

MOST = 1 << 30
"""The size in bytes of a published file, at most."""


@dataclass(frozen=True)
class Shown:
    """A figure of a model or of a judge.

    Attributes:
        measure: what was measured, with the sampler of the images.
        value: the figure.
        error: its standard error, or None.
        n: the number of samples.
        by: the features that they were compared by, or "".
    """

    measure: str
    value: float
    error: float | None
    n: Count
    by: str = ""


@dataclass(frozen=True)
class Published:
    """What is said of any published file.

    Attributes:
        sha256, bytes: the checksum and the size of the file.
        data: the name of the data.
        licence: the licence of the data, and what follows for the weights.
        facts: the facts about the data.
        parameters: the number of parameters.
        about: what it is.
        figures: its figures, the most telling first.
        hours: the hours that the training took.
        hardware: what it was trained on.
        seed, iterations: those of the training.
        commands: the commands that made it.
        precision: the precision in which large weights are stored.
    """

    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    bytes: Annotated[int, msgspec.Meta(gt=0, le=MOST)]
    data: str
    licence: str
    facts: Facts
    parameters: Count
    about: str
    figures: list[Shown]
    hours: Annotated[float, msgspec.Meta(ge=0)]
    hardware: str
    seed: Count
    iterations: Count
    commands: list[str]
    precision: str


@dataclass(frozen=True)
class Entry(Published):
    """A model of the zoo, as the index describes it.

    Attributes:
        recipe: the recipe that made it.
        good_at: what it is good at.
        failures: what it is bad at.
        samplers: the samplers that come with it; the first is the one to draw from.
        checked: the figure that `zspace.zoo.check` measures again; None if there is none.
    """

    recipe: str
    good_at: str
    failures: str
    samplers: list[str]
    checked: Shown | None


@dataclass(frozen=True)
class Judge(Published):
    """A judge of the zoo: a classifier by whose features images are compared.

    Attributes:
        task: what it tells: the labels, or by how many quarter turns an image is turned.
        arch: its network, a name of `zspace classifier --arch`.
        augment: the random changes of its training images.
        accuracy: its accuracy on the test images.
    """

    task: Literal["labels", "rotation"]
    arch: str
    augment: str
    accuracy: Shown


def shape_text(shape: tuple[int, ...]) -> str:
    """The size of images, such as 28x28 grey, or of vectors.

    >>> shape_text((3, 32, 32))
    '32x32 RGB'
    """
    if len(shape) == 1:
        return f"{shape[0]} numbers"
    channels, height, width = shape
    kind = {1: "grey", 3: "RGB"}.get(channels, f"{channels} channels")
    return f"{width}x{height} {kind}"
