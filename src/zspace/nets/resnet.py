"""LSR-GAN's residual encoder and decoder (its Table 3 and Figure 7), and its discriminator.

They work on images in [-1, 1] inside; their inputs and outputs are in [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import prod

from torch import Tensor, nn
from torch.nn.functional import pad

from zspace.errors import InputError
from zspace.functional import full_precision
from zspace.nets.layers import Border


class ResidualBlock(nn.Module):
    """A residual block, relu(S(x) + F(x)).

    F is conv, batch norm, ReLU, conv, batch norm with 3 by 3 convolutions; S is a 1 by 1
    convolution with batch norm. Without S, it is a block of a plain network, relu(F(x)).

    Args:
        channels, out: the numbers of input and output channels.
        residual: whether there is S.

    Reference: LSR-GAN, Figure 7.
    """

    def __init__(self, channels: int, out: int, residual: bool = True) -> None:
        super().__init__()
        self.f = nn.Sequential(
            nn.Conv2d(channels, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.shortcut = (
            nn.Sequential(nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out))
            if residual
            else None
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.f(x)
        return self.relu(out if self.shortcut is None else self.shortcut(x) + out)


class Padded(nn.Module):
    """A layer that adds a black border to images in [0, 1] and scales them to [-1, 1].

    Args:
        border: the pixels to add at the left, right, top and bottom.
    """

    def __init__(self, border: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.border = border

    def forward(self, x: Tensor) -> Tensor:
        return 2 * pad(x, self.border) - 1


class Cropped(nn.Module):
    """The inverse of `Padded` after a tanh: (tanh(x) + 1) / 2 without the border.

    Args:
        border: the pixels to remove at the left, right, top and bottom.
    """

    def __init__(self, border: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.border = border

    def forward(self, x: Tensor) -> Tensor:
        left, right, top, bottom = self.border
        height, width = x.shape[2:]
        x = x[:, :, top : height - bottom, left : width - right]
        # in full precision even under autocast: bfloat16 has few values near 1
        return (full_precision(x).tanh() + 1) / 2


@dataclass(frozen=True)
class LSRGANNets:
    """The networks of LSR-GAN's Table 3.

    The encoder has residual blocks of 64, 128 and 32 channels, each followed by 2 by 2 average
    pooling; 128 fully connected units with batch norm and ReLU; and a linear layer for means and
    log variances. The decoder has fully connected units that give 32 channels of 4 by 4, with batch
    norm and ReLU; blocks of 128, 64 and 32 channels, each after an enlargement to twice the size
    (nearest pixels); and a 1 by 1 convolution and a tanh. The discriminator has 4 by 4 convolutions
    with stride 2 of 32, 64, 128 and 3 channels, batch norm on all but the first and the last, and
    LeakyReLU(0.2); it is initialised by N(0, 0.02^2), and its last layer gives a map of logits: the
    sigmoid is part of the loss.

    The table is for 32 pixels. The number of blocks follows from the image's size (at 64 pixels one
    more in the middle, of 128 channels; at 8 pixels a single one), and the discriminator has one
    convolution more than that. Images that can't be halved so often get a black border: 28 pixels
    become 32.

    Args:
        shape: the shape (C, H, W) of an image.
        latent_dim: the size of a code, 128 in the paper.
        width: the channels of the encoder's first block, even, 64 in the paper; those of all other
            layers are in proportion.
        residual: whether the encoder's and the decoder's blocks are residual; if not, they are the
            same without the shortcuts.

    Raises:
        InputError: the data are no images, or the width is odd.
    """

    shape: tuple[int, ...]
    latent_dim: int = 128
    width: int = 64
    residual: bool = True

    def __post_init__(self) -> None:
        if len(self.shape) != 3:
            raise InputError("the residual networks take images, not vectors")
        if min(self.shape[1:]) < 4:
            raise InputError(
                f"images of {self.shape[2]}x{self.shape[1]} pixels are too small for the residual "
                "networks: expected 4 or more (--image-size resizes)"
            )
        if self.width % 2:
            raise InputError(f"--width {self.width}: the residual networks need an even one")

    @property
    def blocks(self) -> int:
        """The number of residual blocks of the encoder and of the decoder, at least 1."""
        return max(1, math.ceil(math.log2(min(self.shape[1:]) / 4)))

    @property
    def border(self) -> Border:
        """The border of images, which are halved `blocks` times."""
        return Border(self.shape, 1 << self.blocks)

    @property
    def base(self) -> tuple[int, int, int]:
        """The channels, height and width of the feature map between blocks and linear layers."""
        return self.width // 2, *self.border.grid

    @property
    def channels(self) -> list[int]:
        """The numbers of channels of the encoder's blocks."""
        return [self.width, *[2 * self.width] * (self.blocks - 2), self.width // 2][-self.blocks :]

    def encoder(self, outputs: int | None = None) -> nn.Sequential:
        """The encoder, which maps images (N, C, H, W) in [0, 1] to (N, outputs).

        Args:
            outputs: `latent_dim` unless given; twice that for a mean and a log variance.
        """
        layers: list[nn.Module] = [Padded(self.border.widths)]
        channels = self.shape[0]
        for out in self.channels:
            layers += [ResidualBlock(channels, out, self.residual), nn.AvgPool2d(2)]
            channels = out
        return nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Linear(prod(self.base), 2 * self.width),
            nn.BatchNorm1d(2 * self.width),
            nn.ReLU(),
            nn.Linear(2 * self.width, outputs or self.latent_dim),
        )

    def decoder(self) -> nn.Sequential:
        """The decoder, which maps codes (N, latent_dim) to images (N, C, H, W) in [0, 1]."""
        layers: list[nn.Module] = [
            nn.Linear(self.latent_dim, prod(self.base)),
            nn.BatchNorm1d(prod(self.base)),
            nn.ReLU(),
            nn.Unflatten(1, self.base),
        ]
        channels = self.base[0]
        for out in (*[2 * self.width] * (self.blocks - 2), self.width, self.width // 2)[
            -self.blocks :
        ]:
            layers += [nn.Upsample(scale_factor=2), ResidualBlock(channels, out, self.residual)]
            channels = out
        return nn.Sequential(
            *layers, nn.Conv2d(channels, self.shape[0], 1), Cropped(self.border.widths)
        )

    def discriminator(self) -> nn.Sequential:
        """The discriminator, which maps images in [0, 1] to logits (N, 3, H', W').

        At 32 pixels, H' and W' are 2.
        """
        widths = [self.width // 2, self.width, *[2 * self.width] * (self.blocks - 2)]
        layers: list[nn.Module] = [Padded(self.border.widths)]
        channels = self.shape[0]
        for i, out in enumerate([*widths[: self.blocks], 3]):
            norm = 0 < i < self.blocks
            layers.append(nn.Conv2d(channels, out, 4, 2, 1, bias=not norm))
            if norm:
                layers.append(nn.BatchNorm2d(out))
            if i < self.blocks:
                layers.append(nn.LeakyReLU(0.2))
            channels = out
        net = nn.Sequential(*layers)
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, 0, 0.02)
        return net
