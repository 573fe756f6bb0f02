"""The network of a flow's velocity: fully connected, told the time and, where there are some, the
label."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

FREQUENCIES = 16
"""Sines, and as many cosines, by which a time is told."""


class Velocity(nn.Module):
    """v(u, t, y): codes (N, D), times (N, 1) or (1, 1), labels (N,) or (1,), to (N, D).

    v(u, t, y) = (2 t - 1) u / q + F(u, t, y) / sqrt(q),  q = t^2 + (1 - t)^2

    What F is 0 for carries N(0, I) to N(0, I) along straight paths: so v begins, and so F has the
    same width at every time. F: residual blocks h + B silu(A norm(h) + C e), with e what two layers
    make of the time's sines and cosines and the label's vector. The label K stands for none.

    Args:
        dim: D.
        width: of h; twice as many units inside of a block.
        blocks: their number.
        labels: K; 0: there are none.
    """

    frequencies: Tensor

    def __init__(self, dim: int, width: int, blocks: int, labels: int = 0) -> None:
        super().__init__()
        self.labels = labels
        # from a hundredth of the interval to all of it
        self.register_buffer("frequencies", torch.logspace(0, 2, FREQUENCIES))
        self.enter = nn.Linear(dim, width)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU())
        self.label = nn.Embedding(labels + 1, width)
        self.told = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.norm, self.leave = nn.LayerNorm(width), nn.Linear(width, dim)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, u: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        angles = t * self.frequencies
        told = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        none = torch.full((1,), self.labels, device=u.device)
        told = self.told(told + self.label(none if y is None else y))
        h = self.enter(u)
        for block in self.blocks:
            h = block(h, told)
        q = t.square() + (1 - t).square()
        v: Tensor = (2 * t - 1) / q * u + self.leave(silu(self.norm(h))) / q.sqrt()
        return v


class _Block(nn.Module):
    """h + B silu(A norm(h) + C e), 0 beside h before it is trained."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.a, self.b = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.c = nn.Linear(width, 2 * width, bias=False)
        nn.init.zeros_(self.b.weight)
        nn.init.zeros_(self.b.bias)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        out: Tensor = h + self.b(silu(self.a(self.norm(h)) + self.c(told)))
        return out
