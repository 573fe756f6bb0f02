"""Layers that the networks of several papers share."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

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


@dataclass(frozen=True)
class Border:
    """The black border by which images get a size that can be halved several times.

    The larger half of it is at the right and at the bottom.

    Args:
        shape: the shape (C, H, W) of an image.
        factor: what height and width must be multiples of.
    """

    shape: tuple[int, ...]
    factor: int

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """The pixels that are added at the left, right, top and bottom."""
        height, width = (-side % self.factor for side in self.shape[1:])
        return width // 2, width - width // 2, height // 2, height - height // 2

    @property
    def grid(self) -> tuple[int, int]:
        """The height and width with the border, divided by the factor."""
        left, right, top, bottom = self.widths
        height, width = self.shape[1] + top + bottom, self.shape[2] + left + right
        return height // self.factor, width // self.factor

    def added(self) -> list[nn.Module]:
        """The layers that add the border: none if it is empty."""
        return [nn.ZeroPad2d(self.widths)] if any(self.widths) else []

    def removed(self) -> list[nn.Module]:
        """The layers that remove it."""
        left, right, top, bottom = self.widths
        return [nn.ZeroPad2d((-left, -right, -top, -bottom))] if any(self.widths) else []


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


Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


def zeroed(layer: Layer) -> Layer:
    """The layer with zero weights and biases, by which what it is part of begins without it."""
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer


Net = TypeVar("Net", bound=nn.Module)

FUSIONS: dict[type[nn.Module], tuple[type[nn.Module], Callable[[Any, Any], nn.Module]]] = {
    nn.Conv2d: (nn.BatchNorm2d, fuse_conv_bn_eval),
    nn.ConvTranspose2d: (nn.BatchNorm2d, partial(fuse_conv_bn_eval, transpose=True)),
    nn.Linear: (nn.BatchNorm1d, fuse_linear_bn_eval),
}
"""The batch norm that may follow a layer, and what makes one layer of the two."""


def fused(net: Net) -> Net:
    """A copy of a network for inference: batch norm is part of the layer before it.

    It is the same function but for rounding, in less time. A layer whose weight is computed, as
    under spectral norm, keeps its batch norm.

    Args:
        net: the network, in eval mode, or any module that has such networks.
    """
    net = deepcopy(net)
    for part in [m for m in net.modules() if isinstance(m, nn.Sequential)]:
        for i, (layer, norm) in enumerate(pairwise(list(part))):
            kind, fuse = FUSIONS.get(type(layer), (None, None))
            if kind is not None and fuse is not None and type(norm) is kind:
                part[i], part[i + 1] = fuse(layer, norm), nn.Identity()
    return net
