"""Fully connected networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn


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
