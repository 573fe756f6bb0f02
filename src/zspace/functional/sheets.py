"""Pictures made of tensors: sheets of images, and clouds of vectors."""

from __future__ import annotations

import io
import math
from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from zspace.functional.tensors import as_stored

CELL = 56
"""The least side of an image on a sheet, in pixels; smaller ones are enlarged unsmoothed."""

GAP = 2
"""The gap between two images on a sheet, in pixels."""


def to_uint8(x: Tensor) -> npt.NDArray[np.uint8]:
    """Images (N, C, H, W), floats in [0, 1] or uint8, as an array for Pillow.

    Returns uint8 (N, H, W) for grey images and (N, H, W, 3) for colour.
    """
    stored = x if x.dtype == torch.uint8 else as_stored(x.detach())
    array: npt.NDArray[np.uint8] = stored.cpu().numpy().transpose(0, 2, 3, 1)
    return array[..., 0] if array.shape[3] == 1 else array


PAPER, FRAME = (96, 96, 96), (255, 140, 0)
"""The colours (red, green, blue) of a sheet's background and of a frame around an image."""


def sheet(x: Tensor, columns: int | None = None, framed: Collection[int] = ()) -> Image.Image:
    """A sheet that shows images in rows.

    Args:
        x: images (N, C, H, W), floats in [0, 1] or uint8.
        columns: the number of images in a row; None makes the sheet about square.
        framed: the indices of images that get an orange frame.
    """
    images = to_uint8(x)
    columns = columns or math.ceil(math.sqrt(len(images)))
    factor = max(1, math.ceil(CELL / max(images.shape[1:3])))
    images = images.repeat(factor, 1).repeat(factor, 2)
    height, width = (side + GAP for side in images.shape[1:3])
    rows = math.ceil(len(images) / columns)
    colour = images.ndim == 4 or len(framed) > 0
    if colour and images.ndim == 3:
        images = images[..., None].repeat(3, 3)
    paper = np.full((rows * height + GAP, columns * width + GAP, 3), PAPER, np.uint8)
    if not colour:
        paper = paper[..., 0]
    for i, image in enumerate(images):
        top, left = i // columns * height + GAP, i % columns * width + GAP
        if i in framed:
            paper[top - GAP : top + height, left - GAP : left + width] = FRAME
        paper[top : top + image.shape[0], left : left + image.shape[1]] = image
    return Image.fromarray(paper)


BINS = 24
"""The bins of a cloud along each axis, of eight pixels."""


def cloud(z: Tensor) -> Image.Image:
    """A picture of vectors (N, D) on their first two principal axes: the darker, the more of them.

    A histogram of squares, from -3 to 3 standard deviations of the first axis on both; what lies
    farther out is not shown. A square of c vectors has the grey 255 (1 - sqrt(c / max c)).
    """
    centred = z.detach().cpu().double()
    centred = centred - centred.mean(0)
    axes = torch.linalg.svd(centred, full_matrices=False)[2][:2]
    places = torch.zeros(len(z), 2, dtype=torch.float64)
    places[:, : len(axes)] = centred @ axes.T
    reach = 3 * float(places[:, 0].std(correction=0)) or 1.0
    counts = torch.histogramdd(places, [BINS, BINS], range=[-reach, reach] * 2).hist
    grey = 255 * (1 - (counts / counts.max().clamp(min=1)).sqrt())
    picture = grey.T.flip(0).round().to(torch.uint8).numpy()
    return Image.fromarray(picture.repeat(8, 0).repeat(8, 1))


def png(picture: Image.Image, compress_level: int = 6) -> bytes:
    """The content of a PNG file, compressed from 0, not at all, to 9, as far as it goes."""
    file = io.BytesIO()
    picture.save(file, format="PNG", compress_level=compress_level)
    return file.getvalue()
