"""Formulas as the papers write them, term by term, to hold the fast ones against."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def plain_log_density(z: Tensor, centres: Tensor, h: float | Tensor) -> Tensor:
    """Eq. 1 as it is written."""
    h = torch.as_tensor(h, dtype=z.dtype)
    squares = (z[:, None] - centres[None]).square().sum(2)
    kernels = torch.exp(-squares / (2 * h**2)) / (2 * math.pi * h**2) ** (z.shape[1] / 2)
    return kernels.mean(1).log()


def plain_similarity(x: np.ndarray, y: np.ndarray, window: int, deviation: float) -> float:
    """SSIM of two grey images, place by place."""
    offsets = np.arange(window) - window // 2
    g = np.exp(-0.5 * (offsets / deviation) ** 2)
    w = np.outer(g, g) / g.sum() ** 2
    found = []
    for i in range(x.shape[0] - window + 1):
        for j in range(x.shape[1] - window + 1):
            a, b = x[i : i + window, j : j + window], y[i : i + window, j : j + window]
            ma, mb = (w * a).sum(), (w * b).sum()
            va, vb = (w * (a - ma) ** 2).sum(), (w * (b - mb) ** 2).sum()
            cov = (w * (a - ma) * (b - mb)).sum()
            c1, c2 = 0.01**2, 0.03**2
            found.append(
                (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
            )
    return float(np.mean(found))
