"""What every sampler says of itself."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.samplers.labelled import labelled
from zspace.core import Sampler
from zspace.samplers import Convex


def test_samplers_say_how_many_labels_they_know() -> None:
    class Plain(Sampler):
        def draw(self, n: int, label: int | None = None, *, generator: object = None) -> Tensor:
            return torch.zeros(n, 1)

    assert Plain().labels == 0
    z, y = labelled()
    assert Convex(3).fit(z, y).labels == 3
