"""Codes with labels."""

from __future__ import annotations

import torch
from torch import Tensor


def labelled(n: int = 30, dim: int = 3, classes: int = 3) -> tuple[Tensor, Tensor]:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(0)), torch.arange(
        n
    ) % classes
