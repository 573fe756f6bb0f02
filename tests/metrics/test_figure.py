"""Errors of figures, and how they read."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.metrics.shared import normal
from zspace import metrics
from zspace.errors import InputError
from zspace.metrics import Figure, jackknife, mean_figure

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    x = normal(500, 1)[:, 0]
    found = jackknife(lambda v: float(v.mean()), x, groups=250)
    exact = mean_figure(x)
    assert found.value == exact.value
    assert found.error == pytest.approx(exact.error, rel=0.05)
    assert found == jackknife(lambda v: float(v.mean()), x, groups=250)
    y = 3 * normal(500, 1, 1)[:, 0]  # of unequal spread: neither set's error stands for both
    for sets in ((x, y), (y, x)):
        twice = jackknife(lambda v, w: float(v.mean() - w.mean()), *sets, groups=250)
        assert twice.error == pytest.approx(math.hypot(exact.error, mean_figure(y).error), rel=0.05)
    alike = jackknife(lambda v, w: float((v - w).mean()), x, x, paired=True)
    assert alike.error == 0
    with pytest.raises(InputError, match="twice as many samples"):
        jackknife(lambda v: 0.0, x[:39])


def test_errors_of_the_frechet_distance_are_those_of_repeated_draws() -> None:
    values, errors = [], []
    for seed in range(30):
        x, y = normal(300, 8, seed), 3 * normal(300, 8, 100 + seed) + 0.3
        found = jackknife(metrics.frechet_distance, x, y)
        values.append(found.value)
        errors.append(found.error)
    assert 0.6 < np.mean(errors) / np.std(values, ddof=1) < 2


@pytest.mark.parametrize(
    "figure, text",
    [
        (Figure(12.345, 0.2), "12.35 ± 0.20"),
        (Figure(1234, 30), "1234 ± 30"),
        (Figure(0.5, 0), "0.5"),
        (Figure(3, math.nan), "3"),
        (Figure(math.nan, 0.0), "nan"),
        (Figure(241_709, math.nan), "241709"),
        (Figure(2e-5, 1e-6), "0.0000200 ± 0.0000010"),
    ],
)
def test_how_figures_read(figure: Figure, text: str) -> None:
    assert str(figure) == text


def test_paired_sets_are_of_one_size() -> None:
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    frechet = metrics.frechet_distance
    with pytest.raises(InputError, match="paired sets must be of one size, not 60 and 50"):
        jackknife(frechet, x, x[:50], paired=True, groups=5)
