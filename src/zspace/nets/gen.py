"""GEN's fully connected networks, which other methods can use, too (`--arch fc`)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch import nn

from zspace.nets.layers import Sigmoid, initialised, latent_net
from zspace.nets.mlp import mlp


@dataclass(frozen=True)
class GENNets:
    """GEN's fully connected networks: three linear layers each way, batch norm in the hidden ones.

    The paper names neither widths nor batch norm; without the latter the codes diverge (see
    `zspace.methods.gen`).

    Args:
        shape: the shape of one sample, an image (C, H, W) of any size or a vector (D,).
        latent_dim: l, the size of a code.
        hidden: the units of each of the two hidden layers.
        momentum: the share of the latest batch in batch norm's running statistics.
    """

    shape: tuple[int, ...]
    latent_dim: int
    hidden: int = 512
    momentum: float = 0.1

    def encoder(self, outputs: int | None = None, *, norm: bool = True) -> nn.Sequential:
        """The encoder E, which maps data (N, ...) to (N, outputs).

        Args:
            outputs: l unless given; 2 l for a mean and a log variance.
            norm: whether it has batch norm, which a network that compares two batches must not
                have.
        """
        outputs = outputs or self.latent_dim
        if norm:
            return nn.Sequential(nn.Flatten(), self._mlp(prod(self.shape), outputs))
        net = mlp(prod(self.shape), [self.hidden, self.hidden], outputs)
        return initialised(nn.Sequential(nn.Flatten(), net))

    def decoder(self) -> nn.Sequential:
        """The decoder D, which maps codes (N, l) to images in [0, 1] or to vectors."""
        net = self._mlp(self.latent_dim, prod(self.shape))
        last = [Sigmoid(), nn.Unflatten(1, self.shape)] if len(self.shape) == 3 else []
        return nn.Sequential(net, *last)

    def generator(self) -> nn.Sequential:
        """The latent generator of FlexAE's Table 7, which maps noise (N, l) to codes (N, l)."""
        return latent_net(self.latent_dim, self.latent_dim, self.hidden)

    def latent_critic(self) -> nn.Sequential:
        """The latent critic of FlexAE's Table 7, which maps codes (N, l) to (N, 1)."""
        return latent_net(self.latent_dim, 1, self.hidden)

    def image_critic(self) -> nn.Sequential:
        """An image critic with two hidden layers and no batch norm, which maps data to (N, 1)."""
        return self.encoder(1, norm=False)

    def _mlp(self, inputs: int, outputs: int) -> nn.Sequential:
        net = mlp(inputs, [self.hidden, self.hidden], outputs, norm=True)
        for layer in net:
            if isinstance(layer, nn.BatchNorm1d):
                layer.momentum = self.momentum
        return net
