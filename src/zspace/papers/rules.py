"""The rules by which figures confirm a claim or contradict it.

A margin counts if it is above 0 by more than chance makes at a level of 95%: by so many standard
errors as the quantile of Student's t says, with the degrees of freedom of Welch and Satterthwaite.
The standard error of a mean over trainings is their standard deviation by the root of their number,
and has a degree of freedom less than these are; the error of one measurement counts as known, which
makes the quantile 1.96. With three trainings of each of two systems it is 2.8 to 4.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from zspace.metrics.figure import LEVEL, error_of_sum, quantile


class Value(NamedTuple):
    """An entry's value.

    Attributes:
        value: the value.
        error: its standard error; NaN if it is unknown.
        published: the published value; None if there is none.
        freedom: the degrees of freedom of the error, infinite if it counts as known.
    """

    value: float
    error: float = math.nan
    published: float | None = None
    freedom: float = math.inf


def combined(*terms: tuple[float, Value]) -> Value:
    """The sum of factor * value over entries, to whose error an unknown one adds nothing.

    Their errors are taken for independent. Of figures of the same test images they are not: there
    the error of a difference is too large. The factors of an entry that is given twice are added
    before its error counts; two that are merely alike are two.
    """
    factors: dict[int, float] = {}
    for factor, entry in terms:
        factors[id(entry)] = factors.get(id(entry), 0.0) + factor
    each = {id(entry): entry for _, entry in terms}.values()
    parts = [factor * entry.value for factor, entry in terms]
    total = sum(parts)
    if abs(total) < 1e-12 * max(map(abs, parts)):
        total = 0.0  # what is left of rounding
    errors = [factors[id(entry)] * entry.error for entry in each]
    error, freedom = error_of_sum(errors, [entry.freedom for entry in each])
    return Value(total, error, None, freedom)


def difference(a: Value, b: Value) -> Value:
    """a - b (see `combined`)."""
    return combined((1.0, a), (-1.0, b))


def score(margin: Value, pairs: int = 1) -> float:
    """A margin by the least that counts: above 1 it is more than chance, below -1 contradicted.

    It is infinite where no error is known.
    """
    if not margin.error:
        return math.copysign(math.inf, margin.value) if margin.value else 0.0
    return margin.value / (quantile(margin.freedom, pairs) * margin.error)


def _low(a: Value, b: Value) -> float:
    return score(difference(b, a))


def _under(a: Value, b: Value, share: float) -> float:
    """Whether a is less than b and a share of |b| more, which may be negative."""
    return score(combined((1.0 + math.copysign(share, share * b.value), b), (-1.0, a)))


def _near(a: Value, b: Value, within: float) -> float:
    # two one-sided tests: each bound has an error of its own
    return min(_under(a, b, within), -_under(a, b, -within))


Rule = Callable[[Sequence[Value], Mapping[str, Any]], list[float]]
"""The scores of a test's comparisons."""


def _compared(way: float) -> Rule:
    return lambda values, _: [way * _low(values[0], other) for other in values[1:]]


def _monotone(way: float) -> Rule:
    def scores(values: Sequence[Value], _: Mapping[str, Any]) -> list[float]:
        ends = way * _low(values[0], values[-1])
        # of many pairs, some are the other way by chance; one that is no chance undoes the trend
        pairs = [*combinations(values, 2)]
        against = min(way * score(difference(b, a), len(pairs)) for a, b in pairs)
        return [ends if against >= -1 else min(ends, against)]

    return scores


def _differ(values: Sequence[Value], _: Mapping[str, Any]) -> list[float]:
    low, high = (pick(values, key=lambda v: v.value) for pick in (min, max))
    return [score(difference(high, low), math.comb(len(values), 2))]


def _limit(way: float) -> Rule:
    return lambda values, test: [way * _low(v, Value(float(test["bound"]))) for v in values]


def _wider(values: Sequence[Value], _: Mapping[str, Any]) -> list[float]:
    (a, b), *others = zip(values[::2], values[1::2], strict=True)
    return [score(combined((1, a), (-1, b), (-1, c), (1, d))) for c, d in others]


def _equal(values: Sequence[Value], test: Mapping[str, Any]) -> list[float]:
    return [_near(values[0], other, float(test["within"])) for other in values[1:]]


def _at_most(values: Sequence[Value], test: Mapping[str, Any]) -> list[float]:
    return [_under(values[0], other, float(test["within"])) for other in values[1:]]


def _variance(values: Sequence[Value]) -> tuple[float, float]:
    """The variance over trainings, pooled over entries, and its degrees of freedom."""
    freedom = sum(v.freedom for v in values)
    return sum(v.freedom * (v.freedom + 1) * v.error**2 for v in values) / freedom, freedom


def _steadier(values: Sequence[Value], _: Mapping[str, Any]) -> list[float]:
    from scipy.special import fdtri

    if any(math.isinf(v.freedom) for v in values):
        return []
    half = len(values) // 2
    first, second = _variance(values[:half]), _variance(values[half:])
    (low, below), (high, above) = sorted((first, second))
    if not low:  # trainings that all come out alike
        return [math.copysign(math.inf, second[0] - first[0]) if high else 0.0]
    needed = fdtri(above, below, 1 - (1 - LEVEL) / 2)
    return [math.copysign(math.log(high / low) / math.log(needed), second[0] - first[0])]


def _published(values: Sequence[Value], test: Mapping[str, Any]) -> list[float]:
    within = float(test["within"])
    return [_near(v, Value(v.published), within) for v in values if v.published is not None]


RULES: dict[str, tuple[Rule, str]] = {
    "lowest": (_compared(1), "the first is below each of the others"),
    "highest": (_compared(-1), "the first is above each of the others"),
    "rises": (_monotone(1), "the last is above the first, and no two fall by more than chance"),
    "falls": (_monotone(-1), "the last is below the first, and no two rise by more than chance"),
    "differ": (_differ, "the highest is above the lowest, whichever these are"),
    "below": (_limit(1), "each is below `bound`"),
    "above": (_limit(-1), "each is above `bound`"),
    "wider": (_wider, "the first exceeds the second by more than the third the fourth, and so on"),
    "equal": (_equal, "the first is within a share `within` of each of the others"),
    "at most": (_at_most, "the first is at most a share `within` above each of the others"),
    "steadier": (
        _steadier,
        "the first half varies less over trainings than the second, by an F-test of the variances, "
        "pooled over each half",
    ),
    "published": (_published, "each is within a share `within` of the published value"),
}
"""The kinds of test, each with its rule and what it says.

A test is a mapping with the rule's name, `experiment`, `measure` (or a measure for each entry) and
`of`, the names of the entries in order. `data` restricts it to one data set. Of several entries of
one name, the first counts. A letter in braces, such as {n}, stands for any text, the same in all
names, and {4n} for four times the number that it is; each text with which all entries are found
makes a comparison.
"""
