"""Fully connected networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def mlp(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    activation: Callable[[], nn.Module] = nn.ReLU,
    *,
    norm: bool = False,
) -> nn.Sequential:
    """A fully connected network: hidden layers with activations, and a last linear layer.

    Args:
        inputs, outputs: the numbers of input and output units.
        hidden: the widths of the hidden layers, in order.
        activation: makes the activation that follows each hidden layer.
        norm: whether batch norm precedes each activation; the output has none.
    """
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), *([nn.BatchNorm1d(width)] if norm else [])]
        layers.append(activation())
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class SkipMLP(nn.Module):
    """A fully connected network of ReLU units whose last linear layer also sees the input.

    It maps (N, inputs) to (N, outputs).

    Args:
        inputs, outputs: the numbers of input and output units.
        hidden: the widths of the hidden layers, in order, at least one.

    Reference: the second stage of Dai and Wipf (2019), Appendix.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], outputs: int) -> None:
        super().__init__()
        *before, last = hidden
        self.hidden = nn.Sequential(mlp(inputs, before, last), nn.ReLU())
        self.last = nn.Linear(inputs + last, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(torch.cat([self.hidden(x), x], 1))
        return out
