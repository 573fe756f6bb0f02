"""Images that are made worse by known amounts, to ask a distance whether it sees it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

REACH = 3.0
"""The number of standard deviations at which a Gaussian window ends."""


def noisy(x: Tensor, deviation: float, noise: Tensor) -> Tensor:
    """Images (N, C, H, W) in [0, 1] with normal noise, cut off at 0 and 1.

    Args:
        x: the images.
        deviation: the standard deviation of the noise.
        noise: draws of N(0, 1) of the images' shape.
    """
    return (x + deviation * noise).clamp(0, 1)


def blurred(x: Tensor, deviation: float) -> Tensor:
    """Images (N, C, H, W) under a Gaussian window; beyond the border the nearest pixel stands.

    Args:
        x: the images, floats.
        deviation: the standard deviation of the window in pixels, above 0.

    >>> blurred(torch.ones(1, 1, 3, 3), 2.0).allclose(torch.ones(1))
    True
    """
    radius = max(1, math.ceil(REACH * deviation))
    places = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    window = torch.exp(-0.5 * (places / deviation) ** 2)
    window /= window.sum()
    rows = pad(x.flatten(0, 1)[:, None], (radius,) * 4, mode="replicate")
    rows = conv2d(rows, window[None, None, :, None])
    return conv2d(rows, window[None, None, None, :]).reshape(x.shape)


def brighter(x: Tensor, shift: float) -> Tensor:
    """Images in [0, 1] to whose values a number is added, cut off at 0 and 1."""
    return (x + shift).clamp(0, 1)


def paler(x: Tensor, contrast: float) -> Tensor:
    """Images in [0, 1] whose values are drawn towards 1/2: 1/2 + contrast (x - 1/2)."""
    return 0.5 + contrast * (x - 0.5)
