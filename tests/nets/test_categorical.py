"""The networks of categorical generation against the paper's tables."""

from __future__ import annotations

import torch
from torch import nn

from zspace.nets.categorical import CategoricalNets
from zspace.nets.classifiers import dropout_cnn


def weight_shapes(net: nn.Module) -> list[tuple[int, ...]]:
    return [
        tuple(layer.weight.shape)
        for layer in net.modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
    ]


def test_networks_are_the_tables() -> None:
    nets = CategoricalNets((1, 28, 28), 10)
    assert weight_shapes(nets.encoder()) == [(500, 784), (500, 500), (20, 500)]
    assert weight_shapes(nets.decoder()) == [(500, 10), (500, 500), (784, 500)]
    assert sum(isinstance(m, nn.Softplus) for m in nets.encoder().modules()) == 2
    net = dropout_cnn((1, 28, 28), 10)
    assert weight_shapes(net) == [(32, 1, 3, 3), (64, 32, 3, 3), (128, 9216), (10, 128)]
    assert [m.p for m in net.modules() if isinstance(m, nn.Dropout)] == [0.25, 0.5]
    assert net(torch.rand(2, 1, 28, 28)).shape == (2, 10)
