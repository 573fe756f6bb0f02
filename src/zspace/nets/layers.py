"""Layers that the networks of several papers share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zspace.functional import full_precision
from zspace.nets.mlp import mlp


def latent_net(inputs: int, outputs: int, hidden: int, layers: int = 4) -> nn.Sequential:
    """The generator or latent critic of FlexAE's Table 7: fully connected, without batch norm.

    It is initialised by Glorot's normal distribution.

    Args:
        inputs, outputs: the numbers of input and output units.
        hidden: the units of each hidden layer.
        layers: the number of hidden layers.
    """
    return initialised(mlp(inputs, [hidden] * layers, outputs), uniform=False)


class Sigmoid(nn.Module):
    """The logistic function 1 / (1 + exp(-x)), in float32 even under autocast.

    bfloat16 has too few values near 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(full_precision(x))


def initialised(net: nn.Sequential, *, uniform: bool = True) -> nn.Sequential:
    """The network with Glorot's initialisation and zero biases.

    Convolutions, unless transposed, always have the uniform one.
    """
    normal: Callable[..., object] = nn.init.xavier_normal_
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            initialise = (
                nn.init.xavier_uniform_ if uniform or isinstance(layer, nn.Conv2d) else normal
            )
            initialise(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net
