"""`Figure`, a value with its uncertainty; and where uncertainties come from."""

from __future__ import annotations

import math
import warnings
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
        if digits > 7:
            return f"{self.value:.3g} ± {self.error:.2g}"
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"

    def as_json(self) -> dict[str, float | None]:
        """Value and error; JSON knows no NaN: None in its place."""
        return {k: v if math.isfinite(v) else None for k, v in self._asdict().items()}


def mean_figure(values: Tensor) -> Figure:
    """The mean of independent values (N,) and its standard error, s / sqrt(N).

    >>> mean_figure(torch.tensor([1.0, 3.0]))
    Figure(value=2.0, error=1.0)
    """
    values = values.double()
    n = len(values)
    return Figure(float(values.mean()), float(values.std()) / math.sqrt(n) if n > 1 else math.nan)


def jackknife(
    measure: Callable[..., float],
    *sets: Tensor,
    groups: int = 20,
    paired: bool = False,
    seed: int = 0,
) -> Figure:
    """measure(*sets), and its standard error by the delete-a-group jackknife.

    Each set is divided at random into g groups; the measure is taken g times, the i-th group of
    every set left out: error^2 = (g - 1) / g sum_i (m_i - mean m)^2. Unlike a bootstrap's, the
    remaining sets hold no sample twice, which matters where samples are few for the dimensions.

    Args:
        measure: of as many tensors as there are sets; its value is that of the whole sets.
        sets: (N_i, ...) each, independent of one another.
        groups: g; the relative error of the error is about 1 / sqrt(2 g).
        paired: the sets belong together, row by row.

    Reference: Kott (2001), The delete-a-group jackknife; Efron and Tibshirani (1993), chapter 11.
    """
    if groups < 2 or any(len(x) < 2 * groups for x in sets):
        raise InputError(
            f"a jackknife of {groups} groups needs 2 groups and twice as many samples or more"
        )
    value = measure(*sets)
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(x), generator=generator) for x in sets]
    if paired:
        orders = orders[:1] * len(sets)
    values: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to warn of, the whole sets have said
        for group in range(groups):
            kept = [
                torch.cat([o[: len(o) * group // groups], o[len(o) * (group + 1) // groups :]])
                for o in orders
            ]
            values.append(measure(*(x[k] for x, k in zip(sets, kept, strict=True))))
    spread = torch.tensor(values, dtype=torch.float64).var(correction=0)
    return Figure(value, math.sqrt((groups - 1) * float(spread)))
