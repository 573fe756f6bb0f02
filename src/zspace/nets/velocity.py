"""The velocity network of flow matching, conditioned on time and, if there are any, on labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

FREQUENCIES = 16
"""The number of sines, and of cosines, that encode a time."""


class Velocity(nn.Module):
    """The velocity v(u, t, y) of codes u at time t, given a label y.

        v(u, t, y) = (2 t - 1) u / q + F(u / sqrt(q), t, y) / sqrt(q),  q = t^2 + (1 - t)^2

    With F = 0, where training begins, v carries N(0, I) to N(0, I) along straight paths; the
    factors also give F's argument and its target the same scale at every time, if codes are
    reached without noise. F begins with
    h = A u / sqrt(q) + e(t) + l(y), where e is computed by two layers from the time's sines and
    cosines and l is the label's embedding, and goes on with residual blocks h + C silu(B norm(h)).
    The label K stands for no label.

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
        self.time = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.label = nn.Embedding(labels + 1, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.norm, self.leave = nn.LayerNorm(width), nn.Linear(width, dim)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, u: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        angles = t * self.frequencies
        time = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        none = torch.full((1,), self.labels, device=u.device)
        q = t.square() + (1 - t).square()
        scale = q.rsqrt()
        h = self.enter(u * scale) + time + self.label(none if y is None else y)
        for block in self.blocks:
            h = block(h)
        v: Tensor = (2 * t - 1) / q * u + self.leave(silu(self.norm(h))) * scale
        return v


class _Block(nn.Module):
    """A residual block h + C silu(B norm(h)), in which C is initially 0."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.b, self.c = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        nn.init.zeros_(self.c.weight)
        nn.init.zeros_(self.c.bias)

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = h + self.c(silu(self.b(self.norm(h))))
        return out
