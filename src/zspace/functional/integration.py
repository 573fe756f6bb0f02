"""Ordinary differential equations, integrated from noise to codes and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

Solver = Literal["heun", "adaptive"]

TOLERANCE = 1e-5
"""Relative and absolute, of the adaptive solver."""


def integral(
    rates: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    start: float,
    end: float,
    steps: int,
    solver: Solver,
) -> Tensor:
    """x + the integral of dx/dt = rates(x, t), t (1, 1), over t from start to end (0 and 1).

    Heun's method takes x + h (k_1 + k_2) / 2, k_1 = rates(x, t), k_2 = rates(x + h k_1, t + h). Its
    steps are equal in the angle a of signal and noise, t = sin a / (sin a + cos a): finer half-way,
    where it is decided which code a path leads to (docs/design.md has what it gains).
    """
    if solver == "adaptive":
        from torchdiffeq import odeint

        times = torch.tensor([start, end]).to(x)
        path: Any = odeint(
            lambda t, x: rates(x, t.view(1, 1)), x, times, rtol=TOLERANCE, atol=TOLERANCE
        )
        return path[-1]
    angles = torch.linspace(start, end, steps + 1, dtype=torch.float64) * math.pi / 2
    times = (angles.sin() / (angles.sin() + angles.cos())).to(x).view(-1, 1, 1)
    for t, following in pairwise(times):
        h = following - t
        first = rates(x, t)
        x = x + h / 2 * (first + rates(x + h * first, following))
    return x
