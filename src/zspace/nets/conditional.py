"""Conditioning a network on labels."""

from __future__ import annotations

import torch
from torch import Tensor


def labelled(x: Tensor, e: Tensor) -> Tensor:
    """The concatenation of data and their labels' indicators, the input of a conditional network.

    Args:
        x: images (N, C, H, W), which get K more channels, constant over the image, or vectors
            (N, D), which get K more numbers.
        e: the labels' indicators (N, K), 1 at the label and 0 elsewhere.

    Returns (N, C + K, H, W) or (N, D + K).
    Reference: Mirza and Osindero (2014), Figure 1.
    """
    maps = e.to(x)[..., None, None].expand(-1, -1, *x.shape[2:]) if x.ndim == 4 else e.to(x)
    return torch.cat([x, maps], 1)
