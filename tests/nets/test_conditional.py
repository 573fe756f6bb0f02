"""Labels shown to networks."""

from __future__ import annotations

import torch

from zspace.nets.conditional import labelled


def test_labels_are_constant_maps() -> None:
    x, e = torch.rand(2, 1, 3, 4), torch.eye(2)
    both = labelled(x, e)
    assert both.shape == (2, 3, 3, 4)
    assert torch.equal(both[:, :1], x)
    assert both[0, 1].min() == 1
    assert both[0, 2].max() == 0
    assert labelled(torch.rand(2, 5), e).shape == (2, 7)
