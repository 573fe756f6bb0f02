"""What a network is told about a label."""

from __future__ import annotations

import torch
from torch import Tensor


def labelled(x: Tensor, e: Tensor) -> Tensor:
    """Data with a label's indicator (N, K): images (N, C, H, W) get K constant maps more, vectors
    (N, D) K numbers more. Reference: Mirza and Osindero (2014), Figure 1."""
    maps = e.to(x)[..., None, None].expand(-1, -1, *x.shape[2:]) if x.ndim == 4 else e.to(x)
    return torch.cat([x, maps], 1)
