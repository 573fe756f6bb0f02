"""Layers that networks share: batch norm that becomes part of the layer before it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zspace.nets.layers import fused
from zspace.nets.spectral import spectrally_normalised

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def decoder() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(3, 20),
        nn.BatchNorm1d(20),
        nn.ReLU(),
        nn.Unflatten(1, (5, 2, 2)),
        nn.Sequential(nn.ConvTranspose2d(5, 4, 4, 2, 1), nn.BatchNorm2d(4), nn.ELU()),
        nn.Conv2d(4, 2, 3, padding=1, bias=False),
        nn.BatchNorm2d(2),
        nn.Sigmoid(),
    )


def after_training(net: nn.Sequential) -> nn.Sequential:
    """With statistics that are not those of the start, in eval mode."""
    for layer in net.modules():
        if isinstance(layer, NORMS):
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.normal_(layer.weight, 1, 0.1)
            nn.init.normal_(layer.bias)
    return net.eval()


def norms(net: nn.Module) -> int:
    return sum(isinstance(m, NORMS) for m in net.modules())


def test_it_is_the_same_function_without_batch_norm() -> None:
    net = after_training(decoder())
    same, z = fused(net), torch.randn(7, 3)
    assert (norms(net), norms(same)) == (3, 0)
    torch.testing.assert_close(same(z), net(z))


def test_a_weight_that_is_computed_keeps_its_batch_norm() -> None:
    net = decoder()
    spectrally_normalised(net)
    same, z = fused(after_training(net)), torch.randn(7, 3)
    assert norms(same) == 3
    assert torch.equal(same(z), net(z))


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 20), nn.BatchNorm1d(20)])
def test_other_orders_stay(norm: nn.Module) -> None:
    net = nn.Sequential(nn.Linear(3, 20), nn.ReLU(), norm).eval()
    assert norms(fused(net)) == norms(net)
