"""Random changes of training images, which leave what they show as it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from zspace.errors import InputError

JITTER = 0.2
"""The largest change of brightness, contrast and saturation, as a factor."""
GREY = (0.299, 0.587, 0.114)
"""The shares of red, green and blue in an image's brightness (ITU-R BT.601)."""

TRANSFORM = "transform"
"""The word by which a run notes that Python gave it a transform."""

Uniform = Callable[..., Tensor]
"""Draws uniform numbers in [0, 1), (N, *shape), for the N images of a batch."""


@dataclass(frozen=True)
class Augmentation:
    """The random changes of the images of a batch, one after the other.

    Attributes:
        flip: whether half of the images, at random, are mirrored left to right.
        crop: the largest shift of an image in either direction, in pixels; zeros fill the gap.
        colour: whether brightness, contrast and, of colour images, saturation change by a factor
            from 1 - `JITTER` to 1 + `JITTER` each.
        transform: whether a function that Python gave comes first (`zspace.train`).

    >>> Augmentation.of("flip,crop4")
    Augmentation(flip=True, crop=4, colour=False, transform=False)
    """

    flip: bool = False
    crop: int = 0
    colour: bool = False
    transform: bool = False

    @classmethod
    def of(cls, text: str | None) -> Augmentation:
        """The changes that the option `--augment` names.

        Raises:
            InputError: a name is unknown or occurs twice.
        """
        found: dict[str, int] = {}
        for word in () if text is None else text.split(","):
            name = word.strip().replace("color", "colour")
            shift = re.fullmatch(r"crop([1-9]\d{0,2})", name)
            name = "crop" if shift else name
            if name not in ("flip", "colour", TRANSFORM) and not shift:
                raise InputError(
                    f"--augment {text}: expected flip, cropN (as crop4, a shift by up to 4 pixels) "
                    "and colour, with commas between them"
                )
            if name in found:
                raise InputError(f"--augment {text} has {name} twice")
            found[name] = int(shift[1]) if shift else True
        return cls(**found)  # type: ignore[arg-type]

    def changed(self, x: Tensor, uniform: Uniform) -> Tensor:
        """The images (N, C, H, W) in [0, 1] after the changes, but for the transform.

        Args:
            x: the images.
            uniform: draws the random numbers.
        """
        if self.crop:
            x = shifted(x, uniform(2), self.crop)
        if self.flip:
            x = mirrored(x, uniform(1)[:, 0])
        if self.colour:
            x = coloured(x, 1 + JITTER * (2 * uniform(3) - 1))
        return x


TURNS = 4
"""The number of quarter turns after which an image is as it was."""


def turned(x: Tensor) -> tuple[Tensor, Tensor]:
    """Square images (N, C, H, H) in all four turns, and the number of quarter turns of each.

    Returns images (4 N, C, H, H), those without a turn first, and numbers (4 N,) from 0 to 3.

    Reference: Gidaris et al., Unsupervised Representation Learning by Predicting Image Rotations
    (2018), section 2.1, where they are g(X | y).

    >>> x = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> images, turns = turned(x)
    >>> images[1, 0].tolist(), turns.tolist()
    ([[1.0, 3.0], [0.0, 2.0]], [0, 1, 2, 3])
    """
    every = torch.cat([torch.rot90(x, k, (2, 3)) for k in range(TURNS)])
    return every, torch.arange(TURNS, device=x.device).repeat_interleave(len(x))


def mirrored(x: Tensor, chance: Tensor) -> Tensor:
    """Images (N, C, H, W), those with a chance (N,) of 1/2 or more mirrored."""
    return torch.where(chance[:, None, None, None] < 0.5, x, x.flip(3))


def shifted(x: Tensor, where: Tensor, most: int) -> Tensor:
    """Images that are shifted by up to `most` pixels in either direction, and filled with zeros.

    Args:
        x: images (N, C, H, W).
        where: the shifts up and left, (N, 2) in [0, 1), from the least to the largest.
        most: the largest shift.
    """
    _, channels, height, width = x.shape
    start = (where * (2 * most + 1)).long()
    rows = start[:, :1] + torch.arange(height, device=x.device)
    columns = start[:, 1:] + torch.arange(width, device=x.device)
    samples = torch.arange(len(x), device=x.device)[:, None, None, None]
    layers = torch.arange(channels, device=x.device)[None, :, None, None]
    return pad(x, (most,) * 4)[samples, layers, rows[:, None, :, None], columns[:, None, None]]


def coloured(x: Tensor, factors: Tensor) -> Tensor:
    """Images with other brightness, contrast and saturation, cut off at 0 and 1.

        x <- b x;  x <- c x + (1 - c) mean(grey(x));  x <- s x + (1 - s) grey(x)

    Args:
        x: images (N, C, H, W) in [0, 1], C 1 or 3.
        factors: b, c and s, (N, 3).
    """
    b, c, s = factors[:, :, None, None, None].unbind(1)
    x = (b * x).clamp(0, 1)
    x = (c * x + (1 - c) * grey(x).mean((2, 3), keepdim=True)).clamp(0, 1)
    return x if x.shape[1] == 1 else (s * x + (1 - s) * grey(x)).clamp(0, 1)


def grey(x: Tensor) -> Tensor:
    """The brightness (N, 1, H, W) of images (N, C, H, W)."""
    if x.shape[1] == 1:
        return x
    return (x * x.new_tensor(GREY)[:, None, None]).sum(1, keepdim=True)
