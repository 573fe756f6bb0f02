"""What lies on the way between codes: partners, and how evenly images change."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zspace.papers.ways import POINTS, partners, unevenness


class Decoder(nn.Module):
    """A model of images of one grey, which follows the code or jumps when it passes 1/2."""

    def __init__(self, jumps: bool) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.jumps = jumps

    def decode(self, z: Tensor) -> Tensor:
        grey = (z > 0.55).float() if self.jumps else z
        return (self.scale * grey)[:, :, None, None].expand(-1, 1, 4, 4)


@pytest.mark.parametrize(("jumps", "expected"), [(False, 1), (True, POINTS - 1)])
def test_an_even_change_and_a_jump(jumps: bool, expected: float) -> None:
    held: Any = SimpleNamespace(model=Decoder(jumps))
    a, b = torch.zeros(3, 1), torch.tensor([[1.0], [1.0], [0.0]])
    # the last pair is of one code: there is no way between them, and nothing to measure
    torch.testing.assert_close(
        unevenness(held, a, b).detach(), torch.full((2,), float(expected)), rtol=0.03, atol=0
    )


def test_partners_have_the_same_label() -> None:
    labels = torch.tensor([0, 1, 0, 1, 0, 2])
    found = partners(labels, 6)
    assert found.sort().values.tolist() == list(range(6))
    assert torch.equal(labels[found], labels)
    assert [i for i, other in enumerate(found.tolist()) if i == other] == [5]


def test_partners_without_labels_are_others() -> None:
    found = partners(None, 50)
    assert found.sort().values.tolist() == list(range(50))
    assert (found != torch.arange(50)).all()
