"""Measures that are computed in blocks give the same values as in one, and take less memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.memory import printed
from zspace import metrics
from zspace.functional import tensors
from zspace.metrics import images


def some(n: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed))


VECTORS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "nearest": lambda x, y: metrics.nearest(x, y, 3),
    "nearest others": lambda x, y: metrics.nearest(x, x, 3, itself=False),
    "precision and recall": metrics.improved_precision_recall,
    "density and coverage": metrics.density_coverage,
    "marginals": metrics.wasserstein_distance_1d,
    "sliced distance": metrics.sliced_wasserstein_distance,
    "cosine": lambda x, y: metrics.class_cosine(x, torch.arange(len(x)) % 3),
}
PAIRS = {
    "squared": metrics.mean_squared_error,
    "absolute": metrics.mean_absolute_error,
    "similarity": metrics.structural_similarity,
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_in_many_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = some(60, 6), some(60, 6, seed=1)
    whole = VECTORS[name](x, y)
    monkeypatch.setattr(tensors, "HELD", 7 * 6)
    torch.testing.assert_close(VECTORS[name](x, y), whole)


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_in_many_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = some(20, 3, 12, 12), some(20, 3, 12, 12, seed=1)
    whole = PAIRS[name](x, y)
    monkeypatch.setattr(images, "BLOCK", 7)
    torch.testing.assert_close(PAIRS[name](x, y), whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "measure",
    [
        "mean_squared_error(x, y)",
        "structural_similarity(x, y)",
        "class_cosine(x, torch.zeros(len(x)))",
        "nearest(x[:3000], y, 1)",
        "sliced_wasserstein_distance(z, z + 1)",
    ],
)
def test_measures_hold_some_floats_at_a_time(measure: str) -> None:
    """Whole, each takes 950 MiB to 2.3 GiB: floats of 8,000 images, or 200 projections."""
    code = f"""
import torch, torchmetrics.functional.image
from zspace.metrics import *
x, y = torch.ones(2, 8000, 3, 64, 64, dtype=torch.uint8)
z = torch.ones(300_000, 2)
before = peak()
{measure}
print(peak() - before)
"""
    assert printed(code) < 800
