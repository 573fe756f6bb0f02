"""`Figure`, a value with its uncertainty, and the ways to estimate the uncertainty."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from zspace.errors import InputError
from zspace.metrics.arrays import of_arrays


class Figure(NamedTuple):
    """A measured value and its standard error, in the value's own unit; NaN if it is unknown.

    >>> str(Figure(12.3456, 0.21))
    '12.35 ± 0.21'
    >>> str(Figure(-46.6, 8.7e-15))  # of values that are all equal, but for rounding
    '-46.6'
    """

    value: float
    error: float

    def __str__(self) -> str:
        # values that are all equal have an error of rounding alone
        known = math.isfinite(self.value) and math.isfinite(self.error)
        if not known or self.error <= 1e-12 * abs(self.value):
            large = 1e4 <= abs(self.value) < 1e9  # counts, mostly
            return f"{self.value:.0f}" if large else f"{self.value:.4g}"
        digits = max(0, 1 - math.floor(math.log10(self.error)))
        if digits > 7:
            return f"{self.value:.3g} ± {self.error:.2g}"
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"

    def as_json(self) -> dict[str, float | None]:
        """The value and the error, with None in place of NaN and infinity, which JSON lacks."""
        return {k: v if math.isfinite(v) else None for k, v in self._asdict().items()}


LEVEL = 0.95
"""The level of confidence at which two figures are called different."""


@cache
def quantile(freedom: float, pairs: int = 1) -> float:
    """By how many standard errors two figures must differ to be called different, at `LEVEL`.

    It is the quantile of Student's t; 1.96 for an error that counts as known.

    Args:
        freedom: the degrees of freedom of the difference's error.
        pairs: among how many pairs the two are chosen by their difference (Bonferroni).
    """
    from scipy.special import ndtri, stdtrit

    below = 1 - (1 - LEVEL) / (2 * pairs)
    return float(ndtri(below) if math.isinf(freedom) else stdtrit(freedom, below))


def error_of_sum(errors: Sequence[float], freedoms: Sequence[float]) -> tuple[float, float]:
    """The standard error of a sum of independent terms, and its degrees of freedom.

    These are those of Welch and Satterthwaite, e^4 / sum_i (e_i^4 / f_i), infinite where all the
    terms' are. The error of a mean over k trainings has k - 1; that of one measurement counts as
    known, with infinitely many.

    Args:
        errors: the terms' standard errors e_i; one that is unknown, or not finite, adds nothing.
        freedoms: their degrees of freedom f_i.

    >>> error_of_sum([3.0, 4.0], [2.0, math.inf])[0]
    5.0
    """
    parts = [(e, f) for e, f in zip(errors, freedoms, strict=True) if math.isfinite(e)]
    error = math.hypot(*(e for e, _ in parts))
    shares = sum((e / error) ** 4 / f for e, f in parts) if error else 0.0
    return error, 1 / shares if shares else math.inf


def tied(a: Figure, b: Figure, freedoms: tuple[float, float] = (math.inf, math.inf)) -> bool:
    """Whether two figures differ by no more than chance makes, at a level of 95%.

    Args:
        a, b: the figures, independent of each other.
        freedoms: their errors' degrees of freedom: one less than the trainings of a mean over
            these, and infinitely many of one measurement, whose error counts as known.
    """
    error, freedom = error_of_sum([a.error, b.error], freedoms)
    return abs(a.value - b.value) <= quantile(freedom) * error


@of_arrays
def mean_figure(values: Tensor) -> Figure:
    """The mean of independent values (N,) and its standard error s / sqrt(N), NaN if N is 1.

    >>> mean_figure(torch.tensor([1.0, 3.0]))
    Figure(value=2.0, error=1.0)
    """
    values = values.double()
    n = len(values)
    return Figure(float(values.mean()), float(values.std()) / math.sqrt(n) if n > 1 else math.nan)


@of_arrays
def jackknife(
    measure: Callable[..., float],
    *sets: Tensor,
    groups: int = 20,
    paired: bool = False,
    seed: int = 0,
) -> Figure:
    """measure(*sets), with its standard error by the delete-a-group jackknife.

        error^2 = (g - 1) / g sum_i (m_i - mean m)^2

    Each set is divided at random into g groups, and m_i is the measure without the i-th group of
    every set. Unlike a bootstrap's, the remaining sets hold no sample twice, which matters if there
    are few samples for the number of dimensions.

    Args:
        measure: a function of as many tensors as there are sets.
        sets: (N_i, ...) each, independent of one another unless `paired`.
        groups: g, at least 2; the relative error of the error is about 1 / sqrt(2 g).
        paired: whether the i-th rows of all sets belong together, so that they are left out
            together.
        seed: the seed of the division into groups.

    Returns the measure of the whole sets, with its error.
    Raises:
        InputError: fewer than 2 groups, a set of fewer than 2 samples per group, or paired sets of
            different sizes.

    Reference: Kott (2001), The delete-a-group jackknife; Efron and Tibshirani (1993), chapter 11.
    """
    if groups < 2 or any(len(x) < 2 * groups for x in sets):
        raise InputError(
            f"a jackknife of {groups} groups needs 2 groups and twice as many samples or more"
        )
    if paired and len({len(x) for x in sets}) > 1:
        sizes = " and ".join(str(len(x)) for x in sets)
        raise InputError(f"paired sets must be of one size, not {sizes}")
    value = measure(*sets)
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(x), generator=generator) for x in sets]
    if paired:
        orders = orders[:1] * len(sets)
    values: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the measure of the whole sets has given the warnings
        for group in range(groups):
            kept = [
                torch.cat([o[: len(o) * group // groups], o[len(o) * (group + 1) // groups :]])
                for o in orders
            ]
            values.append(measure(*(x[k] for x, k in zip(sets, kept, strict=True))))
    spread = torch.tensor(values, dtype=torch.float64).var(correction=0)
    return Figure(value, math.sqrt((groups - 1) * float(spread)))
