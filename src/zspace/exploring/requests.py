"""What a request of the page is made of: checked fields, and the images that it names."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from zspace.core import decoded
from zspace.errors import InputError
from zspace.exploring.pictures import packed, sprite, unpacked
from zspace.exploring.space import Space

Answer = dict[str, Any]

Number = Annotated[int, Meta(ge=0, lt=1 << 31)]
Numbers = Annotated[list[Number], Meta(min_length=1, max_length=256)]
Codes = Annotated[str, Meta(max_length=1 << 22)]
Name = Annotated[str, Meta(max_length=100)]
Count = Annotated[int, Meta(ge=1, le=144)]
MOST_CODES = 256
"""The number of codes that a request may send, at most."""


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """A request of the page."""

    def answer(self, space: Space) -> Answer:
        """What the page is told, as JSON knows it.

        Raises:
            InputError: the space can't give it.
        """
        raise NotImplementedError


def codes_of(space: Space, text: str) -> Tensor:
    """The codes (n, D) that a page sent, on the model's device."""
    z = unpacked(text, (space.trained.latent_dim,))
    if len(z) > MOST_CODES:
        raise InputError(f"{len(z)} codes are more than {MOST_CODES}, the most at once")
    return z.to(space.device)


def checked_items(space: Space, items: list[int]) -> Tensor:
    """The numbers of images, after a check."""
    if max(items) >= len(space.order):
        raise InputError(f"there are {len(space.order)} images, none of number {max(items)}")
    return torch.tensor(items)


def checked_label(space: Space, label: int) -> int:
    """A label, after a check."""
    space.labels()
    if label >= len(space.images.classes):
        raise InputError(f"there are {len(space.images.classes)} classes, none of number {label}")
    return label


def pictured(space: Space, z: Tensor, name: str | None = None) -> Answer:
    """Codes (n, D), the sprite of what they decode to, and their places on the linear map.

    The places are None as long as the first images are being encoded, which decide the map.
    """
    return {
        "codes": packed(z),
        "sprite": sprite(decoded(space.trained.with_decoder(name), z.to(space.device))),
        "places": packed(space.axes.project(z.cpu())) if space.ready else None,
    }


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image of the data by its number, or one that a code decodes to, or one by its pixels."""

    item: Number | None = None
    code: Codes | None = None
    pixels: Codes | None = None

    def x(self, space: Space) -> Tensor:
        """The image in the stored form, (1, ...)."""
        if self.item is not None:
            return space.x(checked_items(space, [self.item]))
        if self.pixels is not None and space.images.is_image:
            return unpacked(self.pixels, space.images.shape, np.uint8)[:1]
        if self.code is None:
            raise InputError("which image? give its number, its code or its pixels")
        return decoded(space.trained, codes_of(space, self.code)[:1])
