"""The networks of the categorical-generation paper (its Tables 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch import nn

from zspace.nets.layers import Sigmoid, initialised
from zspace.nets.mlp import mlp


@dataclass(frozen=True)
class CategoricalNets:
    """The fully connected networks of the categorical-generation paper's Tables 1 and 2.

    Two layers of 500 softplus units each way, for images of any size (784 pixels in the paper).
    Initialisation is Glorot's uniform one with zero biases, which the paper does not name: with
    narrower weights the networks, whose units are never 0, decode all codes to the same image for
    thousands of iterations.

    Args:
        shape: the shape (C, H, W) of an image.
        latent_dim: D, the size of a code: 2, 10 or 20 in the paper.
        hidden: the units of each hidden layer.
    """

    shape: tuple[int, ...]
    latent_dim: int
    hidden: int = 500

    def encoder(self) -> nn.Sequential:
        """The encoder, which maps images to (N, 2 D): means, followed by log variances."""
        widths = [self.hidden, self.hidden]
        net = mlp(prod(self.shape), widths, 2 * self.latent_dim, nn.Softplus)
        return initialised(nn.Sequential(nn.Flatten(), net))

    def decoder(self) -> nn.Sequential:
        """The decoder, which maps codes (N, D) to images (N, C, H, W) in [0, 1]."""
        net = mlp(self.latent_dim, [self.hidden, self.hidden], prod(self.shape), nn.Softplus)
        return initialised(nn.Sequential(net, Sigmoid(), nn.Unflatten(1, self.shape)))
