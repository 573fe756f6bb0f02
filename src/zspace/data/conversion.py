"""Conversion of images of any size and type to the uint8 arrays that a data set holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from zspace.core.given import MOST_CLASSES
from zspace.data.images import Part, Raw, allocate
from zspace.data.levels import AT_ONCE, Levels
from zspace.errors import InputError


def fit_picture(
    picture: Image.Image,
    channels: int,
    size: int | None,
    box: tuple[float, float, float, float] | None = None,
    levels: Levels | None = None,
) -> npt.NDArray[np.uint8]:
    """A Pillow image as a uint8 array (C, H, W).

    Args:
        picture: the image.
        channels: 1 or 3.
        size: the height and width to scale to, by bicubic interpolation; None keeps the image's
            own size.
        box: the part (left, upper, right, lower) to scale; None takes the centred square.
        levels: the conversion of the values; None keeps 8 bits, or the upper 8 of 16 bits.

    Raises:
        InputError: there are values that `levels` does not take. The message goes on from the
            image's name.
    """
    levels = levels or Levels()
    deep = picture.mode[0] in "IF"
    picture = Image.fromarray(levels.of_deep(np.asarray(picture))) if deep else opaque(picture)
    picture = picture.convert("L" if channels == 1 else "RGB")
    if not deep:
        picture = Image.fromarray(levels.of_array(np.asarray(picture), "the image"))
    if size is not None:
        width, height = picture.size
        if box is None:
            side = min(width, height)
            left, top = (width - side) / 2, (height - side) / 2
            box = left, top, left + side, top + side
        if picture.size != (size, size) or box != (0, 0, size, size):
            picture = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    array = np.asarray(picture)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def opaque(picture: Image.Image) -> Image.Image:
    """An image with transparent pixels as it looks on white; any other one itself.

    What is stored for pixels that nobody sees is arbitrary.
    """
    if not picture.has_transparency_data:
        return picture
    mode, picture = "L" if picture.mode in ("1", "L", "LA") else "RGB", picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert(mode)


def refit(raw: Raw, size: int | None, channels: int | None) -> Raw:
    """The same images at another size or with another number of channels.

    Args:
        raw: the images.
        size: the height and width to scale to; None keeps them.
        channels: 1 or 3; None keeps them.

    Raises:
        InputError: a size or channels are given for vectors.
    """
    x = raw.parts["train"].x
    if size is None and channels is None:
        return raw
    if x.ndim == 2:
        raise InputError(
            "these are vectors: there are no images to fit to --image-size or --channels"
        )
    if (size is None or x.shape[2:] == (size, size)) and channels in (None, x.shape[1]):
        return raw

    def one(part: Part) -> Part:
        shape = len(part), channels or x.shape[1], size or x.shape[2], size or x.shape[3]
        out = allocate(shape)
        for i, image in enumerate(part.x.numpy()):
            picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
            out[i] = fit_picture(picture, shape[1], size)
        return Part(torch.from_numpy(out), part.y)

    return replace(raw, parts={k: one(p) for k, p in raw.parts.items()})


def from_arrays(
    x: npt.NDArray[Any],
    y: npt.NDArray[Any] | None = None,
    what: str = "the data",
    levels: Levels | None = None,
    shape: tuple[int, ...] | None = None,
) -> Part:
    """A part made from arrays, which are checked and converted.

    Args:
        x: images (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1 or 3, whole numbers from 0 to 255
            or floats in [0, 1] (stored as the nearest of 256 levels); or vectors (N, D).
        y: labels (N,) or (N, 1), whole numbers from 0 to 99,999, or None.
        what: the name of the data in error messages.
        levels: the conversion of images with other values; None allows only those above.
        shape: the shape (H, W), (C, H, W) or (H, W, C) of images that lie as vectors (N, D); None
            keeps vectors.

    Raises:
        InputError: shapes, types or values other than these, NaN or infinite values, masked arrays.
    """
    levels = levels or Levels()
    if isinstance(x, np.ma.MaskedArray) or isinstance(y, np.ma.MaskedArray):
        raise InputError(
            f"{what}: a masked array has gaps, which numpy.ma.filled fills: do so first"
        )
    if x.dtype.kind not in "uifb":
        raise InputError(f"{what} has dtype {x.dtype}: expected numbers")
    if x.ndim not in (2, 3, 4) or x.size == 0:
        raise InputError(
            f"{what} has shape {x.shape}: expected images (N, H, W), (N, H, W, C) or "
            "(N, C, H, W), or vectors (N, D), and at least one"
        )
    if shape is not None:
        x = _shaped(x, shape, what)
    labels = None if y is None else _labels(y, len(x), what)
    if x.ndim == 2:
        if levels.given is not None:
            raise InputError(f"{what} holds vectors: leave out --value-range, which is for images")
        return Part(torch.from_numpy(to_float32(x, what)), labels)
    if x.ndim == 3:
        x = x[:, None]
    elif x.shape[1] not in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    if x.shape[1] not in (1, 3):
        raise InputError(f"{what} has {x.shape[1]} channels: expected 1 or 3")
    return Part(torch.from_numpy(levels.of_array(x, what)), labels)


def _shaped(x: npt.NDArray[Any], shape: tuple[int, ...], what: str) -> npt.NDArray[Any]:
    size = int(np.prod(shape))
    if x.ndim != 2 or x.shape[1] != size:
        raise InputError(
            f"--shape {','.join(map(str, shape))} is of vectors of {size} numbers: {what} has "
            f"shape {x.shape}"
        )
    return x.reshape(len(x), *shape)


def shape_of_text(text: str | None) -> tuple[int, ...] | None:
    """The shape that the option `--shape` gives.

    Raises:
        InputError: it is not two or three whole numbers above 0.
    """
    if text is None:
        return None
    parts = text.split(",")
    whole = all(p.isascii() and p.isdecimal() and len(p) < 5 and 0 < int(p) <= 4096 for p in parts)
    if len(parts) not in (2, 3) or not whole:
        raise InputError(f"--shape must be H,W, C,H,W or H,W,C, such as 28,28, not '{text}'")
    return tuple(map(int, parts))


def to_float32(x: npt.NDArray[Any], what: str) -> npt.NDArray[np.float32]:
    """An array of vectors (N, D) in single precision.

    Args:
        x: an array of numbers.
        what: the name of the data in error messages.

    Raises:
        InputError: a number is too large for single precision, NaN or infinite.
    """
    single = allocate(x.shape, np.float32)
    rows = max(1, AT_ONCE // x.shape[1])
    for i in range(0, len(x), rows):
        block = x[i : i + rows]
        with np.errstate(over="ignore"):
            single[i : i + rows] = block
        if not np.isfinite(single[i : i + rows]).all():
            finite = bool(np.isfinite(block).all())
            kind = "numbers beyond single precision" if finite else "NaN or infinite numbers"
            raise InputError(f"{what} holds {kind}")
    return single


def _labels(y: npt.NDArray[Any], n: int, what: str) -> Tensor:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (n,):
        raise InputError(f"the labels of {what} have shape {y.shape}: expected ({n},)")
    whole = y.dtype.kind in "iu" or (y.dtype.kind == "f" and bool((y == np.rint(y)).all()))
    if not whole or (len(y) and not 0 <= y.min() <= y.max() < MOST_CLASSES):
        raise InputError(f"the labels of {what} must be whole numbers from 0 to {MOST_CLASSES - 1}")
    return torch.from_numpy(y.astype(np.int64))
