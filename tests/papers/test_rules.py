"""How many standard errors count, by the number of trainings."""

from __future__ import annotations

import math

import pytest

from zspace.metrics.figure import quantile
from zspace.papers.rules import RULES, Value, combined, difference


@pytest.mark.parametrize(
    ("a", "b", "freedom"),
    [
        ((0.2, 3), (0.2, 3), 4),
        ((0.2, 3), (1e-9, 3), 2),
        ((0.2, 3), (1e-9, 1), 2),
        ((0.2, 1), (0.2, 1), math.inf),
        # the mean of three is twice as uncertain as the measurement: 2 x (5 / 4)^2
        ((0.2 * 3**0.5, 3), (0.1, 1), 3.125),
    ],
)
def test_the_fewer_trainings_the_more_is_needed(
    a: tuple[float, int], b: tuple[float, int], freedom: float
) -> None:
    values = (Value(1, e / n**0.5, None, n - 1 if n > 1 else math.inf) for e, n in (a, b))
    assert difference(*values).freedom == pytest.approx(freedom)


def test_quantiles_of_student_and_of_the_normal() -> None:
    found = [quantile(2), quantile(4), quantile(math.inf), quantile(math.inf, pairs=3)]
    assert found == pytest.approx([4.3027, 2.7764, 1.9600, 2.3940], abs=1e-4)


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        # a - 2 b + c: 1 by sqrt(1 + 2^2 + 1) errors
        ("wider", "abbc", 1 / (1.96 * 6**0.5)),
        # (a - b) - (c - b): what both differences have in common adds no error
        ("wider", "abcb", 9 / (1.96 * 2**0.5)),
        # an entry that is merely alike
        ("wider", "abBc", 1 / (1.96 * 2)),
        # 1.5 * 10 - 10, where the limit has 1.5 times the other's error
        ("at most", [(10, 0), (10, 1)], 5 / (1.96 * 1.5)),
        ("equal", [(10, 0), (10, 1)], 5 / (1.96 * 1.5)),
        # the nearer limit is the lower one, of half the other's error
        ("equal", [(6, 0), (10, 1)], 1 / (1.96 * 0.5)),
        ("equal", [(-10, 0), (-10, 1)], 5 / (1.96 * 1.5)),
    ],
)
def test_the_error_of_a_margin(
    rule: str, values: str | list[tuple[float, float]], expected: float
) -> None:
    known = {"a": Value(10, 1), "b": Value(5, 1), "B": Value(5, 1), "c": Value(1, 1)}
    entries = [known[v] if isinstance(v, str) else Value(*v) for v in values]
    assert RULES[rule][0](entries, {"within": 0.5}) == pytest.approx([expected], rel=1e-4)


def test_rounding_is_no_difference() -> None:
    wider = RULES["wider"][0]
    assert wider([Value(0.3), Value(0.2), Value(0.2), Value(0.1)], {}) == [0.0]
    assert wider([Value(0.31), Value(0.2), Value(0.2), Value(0.1)], {}) == [math.inf]
    assert combined((1.0, Value(-math.inf)), (-1.0, Value(0.0))).value == -math.inf


def test_a_chain_is_undone_by_any_two_of_its_figures_and_not_by_one_small_step() -> None:
    rises = RULES["rises"][0]

    def score_of(*values: float) -> float:
        (found,) = rises([Value(v, 1) for v in values], {})
        return found

    assert score_of(0, 2, 4, 6, 8) == pytest.approx(8 / (1.96 * 2**0.5), rel=1e-3)
    # a step of 3 errors, 2.1 of the difference: one of ten pairs has that by chance
    assert score_of(0, 4, 7, 4, 10) > 1
    # two small steps that make one large one
    assert score_of(0, 8, 5.5, 3, 8) < -1
