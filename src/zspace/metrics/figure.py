"""`Figure`, a value with its uncertainty; and where uncertainties come from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from zspace.errors import InputError


class Figure(NamedTuple):
    """A measured value and its standard error, in the value's own unit.

    >>> str(Figure(12.3456, 0.21))
    '12.35 ± 0.21'
    """

    value: float
    error: float

    def __str__(self) -> str:
        if not math.isfinite(self.error) or self.error <= 0:
            return f"{self.value:.4g}"
        digits = max(0, 1 - math.floor(math.log10(self.error)))
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"


def mean_figure(values: Tensor) -> Figure:
    """The mean of independent values (N,) and its standard error, s / sqrt(N).

    >>> mean_figure(torch.tensor([1.0, 3.0]))
    Figure(value=2.0, error=1.0)
    """
    values = values.double()
    n = len(values)
    return Figure(float(values.mean()), float(values.std()) / math.sqrt(n) if n > 1 else math.nan)


def bootstrap(
    measure: Callable[..., float], *sets: Tensor, repeats: int = 20, seed: int = 0
) -> Figure:
    """measure(*sets), and the standard deviation of it over sets drawn anew with replacement.

    The sets are resampled independently of one another. A resampled set holds fewer distinct
    samples, which shifts some measures (the Frechet distance upwards): the value is therefore
    that of the sets themselves, and only the spread is the bootstrap's.

    Args:
        measure: of as many tensors as there are sets.
        sets: (N_i, ...) each.
        repeats: resamplings; the relative error of the spread is about 1 / sqrt(2 repeats).

    Reference: Efron (1979).
    """
    if repeats < 2:
        raise InputError(f"a bootstrap needs 2 repeats or more, not {repeats}")
    value = measure(*sets)
    generator = torch.Generator().manual_seed(seed)
    values: list[float] = []
    for _ in range(repeats):
        rows = [torch.randint(len(x), (len(x),), generator=generator) for x in sets]
        values.append(measure(*(x[r] for x, r in zip(sets, rows, strict=True))))
    return Figure(value, float(torch.tensor(values, dtype=torch.float64).std()))
