"""Updates of an iteration without making them, and batches of vectors to make them of."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from tests.conftest import seeded
from zspace.core import Batches, Terms


def vectors(n: int = 64, dim: int = 5) -> Batches:
    return Batches(torch.randn(n, dim, generator=seeded()), torch.arange(n) % 3, size=16)


def steps(model: object, batches: Batches) -> Iterator[tuple[str, Terms]]:
    """The updates of one iteration, without making them."""
    yield from model.objectives(batches)  # type: ignore[attr-defined]
