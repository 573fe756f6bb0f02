"""The velocity network of flow matching, conditioned on time and, if there are any, on labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

FREQUENCIES = 16
"""The number of sines, and of cosines, that encode a time."""


class Velocity(nn.Module):
    """The velocity v(u, t, y) of codes u at time t, given a label y.

        v(u, t, y) = (2 t - 1) u / q + F(u, t, y) / sqrt(q),  q = t^2 + (1 - t)^2

    With F = 0, where training begins, v carries N(0, I) to N(0, I) along straight paths; the
    factors also give F's target the same scale at every time. F consists of residual blocks
    h + B silu(A norm(h) + C e), where e is computed by two layers from the time's sines and
    cosines and the label's embedding. The label K stands for no label.

    It maps codes (N, D), times (N, 1) or (1, 1) in [0, 1], and labels (N,) or (1,), from 0 to K, to
    velocities (N, D).

    Args:
        dim: D, the size of a code.
        width: the size of h; there are twice as many units inside a block.
        blocks: the number of residual blocks.
        labels: K, the number of labels; 0 if there are none.
    """

    frequencies: Tensor

    def __init__(self, dim: int, width: int, blocks: int, labels: int = 0) -> None:
        super().__init__()
        self.labels = labels
        # angular frequencies from 1 to 100, for the time interval [0, 1]
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
    """A residual block h + B silu(A norm(h) + C e), in which B is initially 0."""

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
