"""What recipes take and return, and the options that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from zspace.core import LatentModel
from zspace.nets.papers import FlexAENets
from zspace.options import About


@dataclass(frozen=True)
class Facts:
    """What a recipe must know of the data to build its networks.

    Attributes:
        shape: of one sample: (C, H, W) of an image or (D,) of a vector.
        classes: names of the labels; empty without labels.
        bounded: every value lies in [-1, 1] (images always do).
    """

    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    bounded: bool = True

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3


@dataclass(frozen=True)
class Plan:
    """A model that is not trained yet, and how it is to be trained.

    Attributes:
        iterations, batch_size: of the training.
        replacement: every batch is drawn anew from all images, not epoch by epoch.
    """

    model: LatentModel
    iterations: int
    batch_size: int
    replacement: bool = False


class Recipe(Protocol):
    """A recipe; its keywords are read from its signature by `zspace.options.options_of`."""

    def __call__(self, facts: Facts, /) -> Plan: ...


Iterations = Annotated[int, About("training iterations", least=1)]
BatchSize = Annotated[int, About("images of a batch (2 at least: batch norm)", least=2)]
LatentDim = Annotated[
    int | None,
    About("size of a code (unset: 20 for grey images, 64 for colour, 2 for vectors)", least=1),
]
Width = Annotated[int, About("channels of the first convolution; the second has twice", least=1)]
Hidden = Annotated[
    int | None,
    About("units of a fully connected layer (unset: 1024 for images, 128 for vectors)", least=1),
]
LearningRate = Annotated[float, About("learning rate of Adam", above=0)]


def flexae_nets(
    facts: Facts, latent_dim: int | None, width: int, hidden: int | None, **more: Any
) -> FlexAENets:
    """The FlexAE paper's networks. Unset sizes are those of its Tables 6 (vectors) and 7."""
    if facts.is_image:
        dim, units = 20 if facts.shape[0] == 1 else 64, 1024
    else:
        dim, units = 2, 128
    return FlexAENets(facts.shape, latent_dim or dim, width, hidden or units, facts.bounded, **more)
