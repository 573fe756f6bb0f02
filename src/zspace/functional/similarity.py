"""The structural similarity of images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from zspace.errors import InputError
from zspace.functional.tensors import exact, full_precision


def structural_similarity(x: Tensor, y: Tensor, window: int = 11, deviation: float = 1.5) -> Tensor:
    """The structural similarity index (SSIM) of each pair of images; 1 for equal images.

        (2 m_x m_y + c1) (2 s_xy + c2) / ((m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2))

    with means m, variances s^2 and covariance s_xy under a Gaussian window, c1 = 0.01^2 and
    c2 = 0.03^2; averaged over channels and over all positions at which the window lies within the
    image. It can be differentiated.

    Args:
        x, y: images (N, C, H, W) in [0, 1].
        window: the window's side in pixels, odd.
        deviation: the Gaussian's standard deviation in pixels.

    Returns (N,), in [-1, 1].
    Raises:
        InputError: the window's side is even, or larger than the image.

    Reference: Wang et al. (2004), Eq. 13.
    """
    height, width = x.shape[2:]
    if window % 2 == 0 or not 1 <= window <= min(height, width):
        raise InputError(
            f"SSIM's window must be odd and have no more pixels than the image's {height}x{width} "
            f"sides, not {window} (--ssim-window)"
        )

    def blur(image: Tensor) -> Tensor:
        return rows @ image @ columns.mT

    with exact(x):
        x, y = full_precision(x), full_precision(y)
        # convolving with the window is multiplying by a banded matrix on either side
        own = window, deviation, x.dtype, x.device
        rows, columns = _band(height, *own), _band(width, *own)
        mean_x, mean_y = blur(x), blur(y)
        xx, yy, xy = mean_x.square(), mean_y.square(), mean_x * mean_y
        deviations = blur(x.square()) - xx + blur(y.square()) - yy + 0.03**2
        similarity = (2 * xy + 0.01**2) * (2 * (blur(x * y) - xy) + 0.03**2)
        return (similarity / ((xx + yy + 0.01**2) * deviations)).flatten(1).mean(1)


def similarity_window(shape: Sequence[int]) -> int:
    """The side of SSIM's window for images (..., H, W): 11 pixels or the largest odd one that fits.

    >>> similarity_window((3, 32, 32)), similarity_window((1, 8, 9))
    (11, 7)
    """
    return min(11, (min(shape[-2:]) + 1) // 2 * 2 - 1)


@lru_cache(maxsize=32)
def _band(
    side: int, window: int, deviation: float, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """A matrix (side - window + 1, side): row i holds the window at position i."""
    places = torch.arange(side - window + 1, dtype=torch.float64)[:, None]
    offset = torch.arange(side) - places - window // 2
    weights = torch.exp(-0.5 * (offset / deviation).square()) * (offset.abs() <= window // 2)
    return (weights / weights.sum(1, keepdim=True)).to(dtype).to(device)
