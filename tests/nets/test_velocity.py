"""Velocities of flow matching, label by label."""

from __future__ import annotations

import torch
from torch import nn

from zspace.nets.velocity import Velocity


def test_velocities_of_many_labels_in_one_batch_are_those_of_each() -> None:
    v = Velocity(3, 16, 2, labels=4)
    nn.init.normal_(v.leave.weight)
    u, t, y = torch.randn(5, 3), torch.rand(5, 1), torch.tensor([0, 1, 2, 3, 4])
    whole = v(u, t, y)
    for i in range(5):
        torch.testing.assert_close(whole[i : i + 1], v(u[i : i + 1], t[i : i + 1], y[i : i + 1]))
    torch.testing.assert_close(v(u, t), v(u, t, torch.full((5,), 4)))
