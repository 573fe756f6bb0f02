"""What the page draws: sprites of images, and numbers packed as text."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zspace.errors import InputError
from zspace.functional.sheets import png, to_uint8

FARTHEST = 1e6
"""The largest absolute value of a number of a code that a page may send."""


def packed(x: Tensor) -> str:
    """The numbers of a tensor as base64 of float32 (of floats), int32 (of integers) or uint8."""
    kind = np.float32 if x.is_floating_point() else np.int32
    kind = np.uint8 if x.dtype in (torch.uint8, torch.bool) else kind
    array = x.detach().cpu().numpy().astype(np.dtype(kind).newbyteorder("<"))
    return base64.b64encode(array.tobytes()).decode()


def unpacked(text: str, shape: tuple[int, ...], kind: Any = np.float32) -> Tensor:
    """The tensor (n, *shape) of float32 or uint8 numbers that a page sent as base64.

    Raises:
        InputError: the text is no base64, of another size, or holds impossible numbers.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("numbers must be sent as base64") from error
    array = np.frombuffer(content, kind) if len(content) % np.dtype(kind).itemsize == 0 else None
    size = math.prod(shape)
    if array is None or not len(array) or len(array) % size:
        sizes = ", ".join(map(str, shape))
        raise InputError(f"expected numbers of shape (n, {sizes}), got {len(content)} bytes")
    x = torch.from_numpy(array.copy()).reshape(-1, *shape)
    if x.is_floating_point() and not bool((x.abs() <= FARTHEST).all()):
        raise InputError(f"codes must be finite and at most {FARTHEST:g} in size")
    return x


def sprite(x: Tensor, columns: int | None = None) -> dict[str, Any]:
    """A sheet of images without gaps, as the page takes it: a PNG in a data address, and sizes.

    Args:
        x: images (N, C, H, W), uint8 or floats in [0, 1]; or vectors (N, D), which become strips
            whose greys span what all of them hold.
        columns: the number of images in a row; None makes the sheet about square.
    """
    if x.ndim == 2:
        low, high = (float(v) for v in x.aminmax())
        x = ((x - low) / max(high - low, 1e-9))[:, None, None]
    images = to_uint8(x)
    n, height, width = images.shape[:3]
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    paper = np.zeros((rows * columns, *images.shape[1:]), np.uint8)
    paper[:n] = images
    tall = paper.reshape(rows, columns, *images.shape[1:]).swapaxes(1, 2)
    whole = tall.reshape(rows * height, columns * width, *images.shape[3:])
    content = png(Image.fromarray(whole), compress_level=1)
    return {
        "url": "data:image/png;base64," + base64.b64encode(content).decode(),
        "n": n,
        "columns": columns,
        "width": width,
        "height": height,
    }
