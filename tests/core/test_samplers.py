"""What every sampler says of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.samplers.labelled import labelled
from zspace.core import Sampler
from zspace.errors import InputError
from zspace.samplers import Convex, Normal


def test_samplers_say_how_many_labels_they_know() -> None:
    class Plain(Sampler):
        def draw(self, n: int, label: int | None = None, *, generator: object = None) -> Tensor:
            return torch.zeros(n, 1)

    assert Plain().labels == 0
    z, y = labelled()
    assert Convex(3).fit(z, y).labels == 3


@pytest.mark.parametrize("z", [np.ones((4, 2)) + 1j, np.array([["1", "2"], ["3", "4"]])])
def test_codes_that_are_no_real_numbers(z: Any) -> None:
    with pytest.raises(InputError, match="codes must be numbers"):
        Normal().fit(z)
