"""Numerical integration of ordinary differential equations between noise and codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from zspace.functional import tensors

Solver = Literal["heun", "adaptive"]
"""The names of the solvers."""

TOLERANCE = 1e-5
"""The relative and the absolute tolerance of the adaptive solver."""


def integral(
    rates: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    start: float,
    end: float,
    steps: int,
    solver: Solver,
) -> Tensor:
    """The solution at time `end` of dx/dt = rates(x, t) that is x at time `start`.

    Heun's method takes x + h (k_1 + k_2) / 2, with k_1 = rates(x, t) and k_2 = rates(x + h k_1,
    t + h). Its steps are equal in the angle a between signal and noise, t = sin a / (sin a +
    cos a), and so are finer half-way, where it is decided to which code a path leads
    (docs/design.md says what this gains).

    Args:
        rates: maps x (N, D) and a time (1, 1) to dx/dt (N, D).
        x: the initial values (N, D).
        start, end: the times, 0 and 1 or the reverse.
        steps: the number of steps of Heun's method, at least 1.
        solver: "heun", or "adaptive" for Dormand and Prince's method (torchdiffeq), whose steps
            suit all vectors together: a vector's solution depends on the others in the third digit.

    Returns (N, D).
    """
    if solver == "adaptive":
        from torchdiffeq import odeint

        times = torch.tensor([start, end]).to(x)
        narrow = {"dtype": x.dtype} if x.device.type in tensors.WITHOUT_FLOAT64 else None
        path: Any = odeint(
            lambda t, x: rates(x, t.view(1, 1)),
            x,
            times,
            rtol=TOLERANCE,
            atol=TOLERANCE,
            options=narrow,  # times are in float64 otherwise
        )
        return path[-1]
    angles = torch.linspace(start, end, steps + 1, dtype=torch.float64) * math.pi / 2
    times = (angles.sin() / (angles.sin() + angles.cos())).tolist()
    # filled where x lies, since nothing can be copied to a device while a graph is captured
    for t, following in pairwise(x.new_full((1, 1), time) for time in times):
        h = following - t
        first = rates(x, t)
        x = x + h / 2 * (first + rates(x + h * first, following))
    return x
