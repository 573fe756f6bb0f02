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
    """Linear layers of the hidden widths, an activation after each, and a last linear layer.

    Args:
        norm: batch norm before each activation (not on what comes out).
    """
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), *([nn.BatchNorm1d(width)] if norm else [])]
        layers.append(activation())
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class SkipMLP(nn.Module):
    """Hidden layers of ReLU units, and a last linear layer that sees what came in as well.

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
