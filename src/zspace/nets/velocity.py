"""The velocity networks of flow matching, conditioned on time and, if there are any, on labels."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from zspace.nets.layers import zeroed
from zspace.nets.maps import Doubled, Halved, MapAttention, MapBlock, normed

FREQUENCIES = 16
"""The number of sines, and of cosines, that encode a time."""


class VelocityField(nn.Module, ABC):
    """The velocity v(u, t, y) of codes u at time t, given a label y.

        v(u, t, y) = (2 t - 1) u / q + F(u / sqrt(q), c) / sqrt(q),  q = t^2 + (1 - t)^2,
        c = e(t) + l(y)

    With F = 0, where training begins, v carries N(0, I) to N(0, I) along straight paths; the
    factors also give F's argument and its target the same scale at every time, if codes are
    reached without noise. e is computed by two layers from the time's sines and cosines, and l is
    the label's embedding. The label K stands for no label.

    It maps codes (N, D), times (N, 1) or (1, 1) in [0, 1], and labels (N,) or (1,), from 0 to K, to
    velocities (N, D).
    """

    frequencies: Tensor
    labels: int

    def __init__(self) -> None:
        super().__init__()
        # angular frequencies from 1 to 100, for the time interval [0, 1]
        self.register_buffer("frequencies", torch.logspace(0, 2, FREQUENCIES))

    def conditioned(self, size: int, labels: int) -> None:
        """Make e and l, which give vectors c (N, size)."""
        self.labels = labels
        self.time = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, size), nn.SiLU(), nn.Linear(size, size), nn.SiLU()
        )
        self.label = nn.Embedding(labels + 1, size)

    @abstractmethod
    def inner(self, u: Tensor, c: Tensor) -> Tensor:
        """F (N, D) of scaled codes u (N, D) and conditions c (N, size) or (1, size)."""

    def forward(self, u: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        angles = t * self.frequencies
        time = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        none = torch.full((1,), self.labels, device=u.device)
        q = t.square() + (1 - t).square()
        scale = q.rsqrt()
        c = time + self.label(none if y is None else y)
        v: Tensor = (2 * t - 1) / q * u + self.inner(u * scale, c) * scale
        return v


class Velocity(VelocityField):
    """A velocity of codes that are vectors.

    F begins with h = A u + c, and goes on with residual blocks h + C silu(B norm(h)).

    Args:
        dim: D, the size of a code.
        width: the size of h; there are twice as many units inside a block.
        blocks: the number of residual blocks.
        labels: K, the number of labels; 0 if there are none.
    """

    def __init__(self, dim: int, width: int, blocks: int, labels: int = 0) -> None:
        super().__init__()
        self.enter = nn.Linear(dim, width)
        self.conditioned(width, labels)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.norm, self.leave = nn.LayerNorm(width), zeroed(nn.Linear(width, dim))

    def inner(self, u: Tensor, c: Tensor) -> Tensor:
        h = self.enter(u) + c
        for block in self.blocks:
            h = block(h)
        out: Tensor = self.leave(silu(self.norm(h)))
        return out


class MapVelocity(VelocityField):
    """A velocity of codes that are maps (C, h, w), flattened: F is a U-Net.

    It has `blocks` residual blocks at the maps' own size, then at half of it, and so on while both
    sides are even and at least 8; one block before and after attention at the smallest size; and
    one block more than downwards at each size upwards, each of which also takes a map of the same
    size from the way down.

    Args:
        shape: C, h and w, whose product is D.
        width: the channels at the maps' own size; there are twice as many at smaller sizes.
        blocks: the number of residual blocks at each size.
        labels: K, the number of labels; 0 if there are none.

    Reference: Ho et al., Denoising Diffusion Probabilistic Models (2020), appendix B.
    """

    def __init__(
        self, shape: tuple[int, int, int], width: int, blocks: int, labels: int = 0
    ) -> None:
        super().__init__()
        channels, *sides = shape
        self.shape = shape
        size = 2 * width
        self.conditioned(size, labels)
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        widths = [width]
        while min(sides) >= 8 and not any(side % 2 for side in sides):
            widths.append(2 * width)
            sides = [side // 2 for side in sides]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        held, now = [width], width
        for level, then in enumerate(widths):
            if level:
                self.down.append(Halved(now, then))
                held.append(then)
                now = then
            for _ in range(blocks):
                self.down.append(MapBlock(now, then, size))
                held.append(then)
                now = then
        self.middle = nn.ModuleList(
            [MapBlock(now, now, size), MapAttention(now), MapBlock(now, now, size)]
        )
        for level, then in reversed([*enumerate(widths)]):
            for _ in range(blocks + 1):
                self.up.append(MapBlock(now + held.pop(), then, size))
                now = then
            if level:
                self.up.append(Doubled(now, widths[level - 1]))
                now = widths[level - 1]
        self.norm, self.leave = normed(now), zeroed(nn.Conv2d(now, channels, 3, padding=1))

    def inner(self, u: Tensor, c: Tensor) -> Tensor:
        h = self.enter(u.unflatten(1, self.shape))
        held = [h]
        for layer in self.down:
            h = layer(h, c) if isinstance(layer, MapBlock) else layer(h)
            held.append(h)
        before, attention, after = self.middle
        h = after(attention(before(h, c)), c)
        for layer in self.up:
            wide = isinstance(layer, MapBlock)
            h = layer(torch.cat([h, held.pop()], 1), c) if wide else layer(h)
        out: Tensor = self.leave(silu(self.norm(h)))
        return out.flatten(1)


class _Block(nn.Module):
    """A residual block h + C silu(B norm(h)), in which C is initially 0."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.b, self.c = nn.Linear(width, 2 * width), zeroed(nn.Linear(2 * width, width))

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = h + self.c(silu(self.b(self.norm(h))))
        return out
