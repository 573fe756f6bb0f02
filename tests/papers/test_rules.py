"""How many standard errors count, by the number of trainings."""

from __future__ import annotations

import math

import pytest

from zspace.papers.rules import Value, difference, quantile


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
