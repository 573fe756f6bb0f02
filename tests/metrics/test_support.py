"""Precision and recall in all their forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from tests.metrics.shared import modes, normal
from zspace import metrics
from zspace.errors import InputError
from zspace.metrics.support import (
    cluster_labels,
    density_coverage_figures,
    f_scores,
    improved_precision_recall_figures,
    precision_recall_curve,
    precision_recall_figures,
)

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


def transcribed_prd(p: np.ndarray, q: np.ndarray, angles: int) -> list[tuple[float, float]]:
    """Sajjadi et al., Eq. 6-7, one slope and one state at a time."""
    pairs = []
    for i in range(angles):
        angle = 1e-10 + i * (math.pi / 2 - 2e-10) / (angles - 1)
        slope = math.tan(angle)
        alpha = sum(min(slope * a, b) for a, b in zip(p, q, strict=True))
        beta = sum(min(a, b / slope) for a, b in zip(p, q, strict=True))
        pairs.append((alpha, beta))
    return pairs


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8))
def test_prd_against_a_transcription(weights: list[tuple[float, float]]) -> None:
    p, q = (np.array(side) + 1e-3 for side in zip(*weights, strict=True))
    p, q = p / p.sum(), q / q.sum()
    curve = precision_recall_curve(p, q, angles=51)
    expected = np.array(transcribed_prd(p, q, 51)).T
    np.testing.assert_allclose(curve, expected, rtol=1e-6, atol=1e-9)
    swapped = precision_recall_curve(q, p, angles=51)
    np.testing.assert_allclose(curve, swapped[::-1, ::-1], rtol=1e-4, atol=1e-6)


UNIFORM = np.full(4, 0.25)


def test_prd_of_a_dropped_and_of_an_added_mode() -> None:
    """The properties of Sajjadi et al., Theorem 1: recall falls alone, precision falls alone."""
    assert f_scores(precision_recall_curve(UNIFORM, UNIFORM)) == (1, 1)
    dropped = precision_recall_curve(UNIFORM, np.array([0.5, 0.5, 0, 0]))
    assert dropped[0].max() == pytest.approx(1)
    assert dropped[1].max() == pytest.approx(0.5)
    added = precision_recall_curve(np.array([0.5, 0.5, 0, 0]), UNIFORM)
    assert added[0].max() == pytest.approx(0.5)
    assert added[1].max() == pytest.approx(1)
    f8, f18 = f_scores(dropped)
    assert f8 < 0.6
    assert f18 > 0.9
    assert f_scores(precision_recall_curve([1, 0], [0, 1])) == (0, 0)


def test_prd_of_samples() -> None:
    data, again = modes([0, 1, 2, 3], 800, 0), modes([0, 1, 2, 3], 800, 1)
    f8, f18, curve = metrics.precision_recall_distributions(data, again)
    assert min(f8, f18) > 0.97
    assert curve.shape == (2, 1001)
    f8, f18, _ = metrics.precision_recall_distributions(data, modes([0, 1], 800, 1))
    assert f8 < 0.65
    assert f18 > 0.9
    f8, f18, _ = metrics.precision_recall_distributions(modes([0, 1], 800, 0), again)
    assert f8 > 0.9
    assert f18 < 0.65


def test_prd_takes_as_many_of_both_and_repeats_itself() -> None:
    x, y = modes([0, 1], 300, 0), modes([0, 1], 150, 1)
    first = metrics.precision_recall_distributions(x, y, runs=2)
    assert first[:2] == metrics.precision_recall_distributions(x, y, runs=2)[:2]
    f8, f18 = precision_recall_figures(x, y)
    assert 0 < f8.error < 0.05
    assert 0 < f18.error < 0.05
    with pytest.raises(InputError, match="5 and 5 samples are too few for 20 clusters"):
        metrics.precision_recall_distributions(x, y[:5])


def test_improved_precision_and_recall_against_scikit_learn() -> None:
    x, y = normal(200, 3), 1.5 * normal(150, 3, 1)
    precise, recalled = metrics.improved_precision_recall(x, y, k=3)
    for centres, queries, found in ((x, y, precise), (y, x, recalled)):
        trees = NearestNeighbors().fit(centres.numpy())
        radii = trees.kneighbors(n_neighbors=3)[0][:, -1]
        distances = np.linalg.norm(queries[:, None].numpy() - centres[None].numpy(), axis=2)
        expected = (distances <= radii[None]).any(1)
        assert np.mean(expected != found.numpy().astype(bool)) < 0.01
    density, covered = metrics.density_coverage(x, y, k=5)
    radii = NearestNeighbors().fit(x.numpy()).kneighbors(n_neighbors=5)[0][:, -1]
    inside = np.linalg.norm(y[:, None].numpy() - x[None].numpy(), axis=2) <= radii[None]
    assert float(density.mean()) == pytest.approx(inside.sum(1).mean() / 5, abs=0.02)
    assert float(covered.mean()) == pytest.approx(inside.any(0).mean(), abs=0.02)


def test_support_of_a_model_that_repeats_itself() -> None:
    """Duplicates lie exactly on the radii: float32 products would miss them."""
    z = 100 + normal(10, 64).float()
    generated, reference = z.repeat(30, 1), z.repeat(20, 1)
    precise, recalled = metrics.improved_precision_recall(reference, generated)
    density, covered = metrics.density_coverage(reference, generated, k=5)
    assert float(precise.min()) == float(recalled.min()) == float(covered.min()) == 1
    assert float(density.mean()) == pytest.approx(20 / 5)


def test_support_of_dropped_and_added_modes() -> None:
    data = modes([0, 1, 2, 3], 400, 0)
    precise, recalled = metrics.improved_precision_recall(data, modes([0, 1], 400, 1))
    assert float(precise.mean()) > 0.85
    assert 0.35 < float(recalled.mean()) < 0.52
    precise, recalled = metrics.improved_precision_recall(modes([0, 1], 400, 0), data)
    assert float(precise.mean()) < 0.52
    _, covered = metrics.density_coverage(data, modes([0, 1], 400, 1))
    assert 0.35 < float(covered.mean()) < 0.52


@pytest.mark.parametrize("dim, shift", [(8, 0.3), (32, 0.1)])
def test_errors_of_support_are_those_of_drawing_both_sets_again(dim: int, shift: float) -> None:
    drawn = []
    for seed in range(30):
        x, y = normal(300, dim, seed).float(), 1.1 * normal(300, dim, 50 + seed).float() + shift
        drawn.append([*improved_precision_recall_figures(x, y), *density_coverage_figures(x, y)])
        if seed == 0:
            of_each = *metrics.improved_precision_recall(x, y), *metrics.density_coverage(x, y)
            assert [f.value for f in drawn[0]] == pytest.approx([float(v.mean()) for v in of_each])
    for own in zip(*drawn, strict=True):
        error = np.sqrt(np.mean([f.error**2 for f in own]))
        assert 0.7 < error / np.std([f.value for f in own], ddof=1) < 2.2


def test_what_is_lost_without_each_sample_by_brute_force() -> None:
    x, y = normal(40, 2), 1.5 * normal(30, 2, 1)
    radii = NearestNeighbors().fit(x.numpy()).kneighbors(n_neighbors=5)[0][:, -1]
    inside = np.linalg.norm(y[:, None].numpy() - x[None].numpy(), axis=2) <= radii
    density, coverage = density_coverage_figures(x, y)
    less = np.array([inside[:, np.arange(40) != i].sum() / 5 / 30 for i in range(40)])
    own = np.var(inside.sum(1) / 5, ddof=1) / 30
    assert density.error == pytest.approx(math.sqrt(own + np.var(less) * 40))
    less = np.array([inside[np.arange(30) != j].any(0).mean() for j in range(30)])
    own = np.var(inside.any(0), ddof=1) / 40
    assert coverage.error == pytest.approx(math.sqrt(own + np.var(less) * 30))
    radii = NearestNeighbors().fit(x.numpy()).kneighbors(n_neighbors=3)[0][:, -1]
    inside = np.linalg.norm(y[:, None].numpy() - x[None].numpy(), axis=2) <= radii
    less = np.array([inside[:, np.arange(40) != i].any(1).mean() for i in range(40)])
    own = np.var(inside.any(1), ddof=1) / 30
    precision, _ = improved_precision_recall_figures(x, y)
    assert precision.error == pytest.approx(math.sqrt(own + np.var(less) * 40))


def test_nearby_seeds_share_no_clustering() -> None:
    x, y = normal(60, 3), normal(60, 3, 1)
    first, second = (cluster_labels(x, y, clusters=5, runs=3, seed=s) for s in (0, 1))
    for run in range(3):
        for other in range(3):
            assert not np.array_equal(first[:, run], second[:, other])


def test_errors_of_prd_are_those_of_repeated_draws() -> None:
    values, errors = [], []
    for seed in range(20):
        f8, _ = precision_recall_figures(normal(300, 4, seed), normal(300, 4, 50 + seed) + 0.7)
        values.append(f8.value)
        errors.append(f8.error)
    assert 0.5 < np.mean(errors) / np.std(values, ddof=1) < 2
