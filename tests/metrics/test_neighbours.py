"""Nearest neighbours and memorisation, by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from tests.metrics.shared import normal
from zspace import metrics
from zspace.errors import InputError
from zspace.metrics import mean_figure
from zspace.metrics.neighbours import QUERIES, REFERENCES

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


@pytest.mark.parametrize("n, m", [(30, 50), (QUERIES + 3, REFERENCES + 5)])
def test_neighbours_by_brute_force(n: int, m: int) -> None:
    # far from the origin: float32 products alone would cancel
    x, y = (100 + normal(k, 4, s).float() for k, s in ((n, 0), (m, 1)))
    distances, indices = metrics.nearest(x, y, 3)
    expected, where = (
        NearestNeighbors(n_neighbors=3).fit(y.double().numpy()).kneighbors(x.double().numpy())
    )
    np.testing.assert_allclose(distances, expected, rtol=1e-4, atol=1e-5)
    assert np.mean(indices.numpy() != where) < 1e-3


def test_no_sample_is_its_own_neighbour() -> None:
    x = normal(40, 3).float()
    distances, indices = metrics.nearest(x, x, 2, itself=False)
    assert bool((indices[:, 0] != torch.arange(40)).all())
    assert float(distances.min()) > 0
    assert float(metrics.nearest(x, x)[0].max()) == 0
    with pytest.raises(InputError, match="no 40 neighbours among 40"):
        metrics.nearest(x, x, 40, itself=False)
    with pytest.raises(InputError, match="have no neighbours among samples of shape"):
        metrics.nearest(x, x[:, :2])


def test_memorisation_score_by_brute_force() -> None:
    """PMS of uint8 images: in the unit of pixels in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    a, b = (
        torch.randint(0, 256, (n, 1, 6, 6), generator=generator, dtype=torch.uint8)
        for n in (20, 30)
    )
    score = metrics.memorisation_score(a, b)
    for i in range(20):
        best = min(float((a[i].double() / 255 - r.double() / 255).norm()) for r in b)
        assert float(score[i]) == pytest.approx(best, rel=1e-5)


def test_a_model_that_memorises_is_caught() -> None:
    """Copies of training samples, with a little noise, against fresh samples."""
    training, test = normal(500, 8), normal(500, 8, 1)
    copies = training[:400] + 0.02 * normal(400, 8, 2)
    gen = mean_figure(metrics.memorisation_score(copies, training))
    tr_te = mean_figure(metrics.memorisation_score(test, training))
    fresh = mean_figure(metrics.memorisation_score(normal(400, 8, 3), training))
    assert gen.value < 0.1 * tr_te.value
    assert abs(fresh.value - tr_te.value) < 4 * math.hypot(fresh.error, tr_te.error)


def test_samples_without_numbers_have_no_neighbours() -> None:
    x = normal(5, 2)
    with pytest.raises(InputError, match="hold NaN"):
        metrics.nearest(x, x.index_fill(0, torch.tensor(2), math.nan))
    with pytest.raises(InputError, match="have no neighbours"):
        metrics.nearest(x[:, 0], x[:, 0])
    with pytest.raises(InputError, match="hold NaN"):
        metrics.inception_score(torch.full((40, 3), math.inf))
