"""Samples of known laws."""

from __future__ import annotations

import torch
from torch import Tensor


def normal(n: int, d: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def modes(labels: list[int], n: int, seed: int) -> Tensor:
    """n samples around far-apart centres, as many of each label."""
    chosen = torch.tensor(labels)[torch.arange(n) % len(labels)]
    return 20 * torch.eye(10, dtype=torch.float64)[chosen] + normal(n, 10, seed)
