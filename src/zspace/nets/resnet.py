"""Residual networks: LSR-GAN's encoder and decoder (its Table 3 and Figure 7), and a discriminator.

They work on images in [-1, 1]; what comes in and goes out is in [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import prod

from torch import Tensor, nn
from torch.nn.functional import pad

from zspace.errors import InputError
from zspace.functional import full_precision


class ResidualBlock(nn.Module):
    """relu(S(x) + F(x)): F is conv, batch norm, ReLU, conv, batch norm (3 by 3); S a 1 by 1
    convolution with batch norm. Reference: LSR-GAN, Figure 7."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.f = nn.Sequential(
            nn.Conv2d(channels, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.shortcut(x) + self.f(x))
        return out


class Padded(nn.Module):
    """Images in [0, 1] with a black border about them, as many pixels more or less on every side,
    scaled to [-1, 1]."""

    def __init__(self, border: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.border = border

    def forward(self, x: Tensor) -> Tensor:
        return 2 * pad(x, self.border) - 1


class Cropped(nn.Module):
    """`Padded`'s inverse, of what comes in before a tanh: (tanh(x) + 1) / 2 without the border."""

    def __init__(self, border: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.border = border

    def forward(self, x: Tensor) -> Tensor:
        left, right, top, bottom = self.border
        height, width = x.shape[2:]
        x = x[:, :, top : height - bottom, left : width - right]
        # in full precision under autocast, too: bfloat16 has few values near 1
        return (full_precision(x).tanh() + 1) / 2


@dataclass(frozen=True)
class LSRGANNets:
    """The networks of LSR-GAN's Table 3.

    Encoder: residual blocks of 64, 128 and 32 channels, each followed by a 2 by 2 average pooling;
    128 fully connected units with batch norm and ReLU; a linear layer for means and log variances.
    Decoder: fully connected units that make 32 channels of 4 by 4, with batch norm and ReLU; blocks
    of 128, 64 and 32 channels, each after an enlargement to twice the size (nearest pixels); a 1 by
    1 convolution and a tanh. Discriminator: 4 by 4 convolutions with stride 2 of 32, 64, 128 and 3
    channels, batch norm on all but the first and the last, LeakyReLU(0.2); initialised by
    N(0, 0.02^2); its last layer's map are logits, the sigmoid is the loss's.

    The table is for 32 pixels. The number of blocks follows from the size (one more in the middle,
    of 128 channels, at 64 pixels; 1 at 8), that of the discriminator's convolutions is one more.
    Other sizes get a black border up to what can be halved so often: 28 pixels become 32.

    Args:
        shape: (C, H, W) of an image.
        latent_dim: size of a code, 128 in the paper.
        width: channels of the encoder's first block, 64 in the paper; all others in proportion.

    Raises:
        InputError: no images, or a width that is odd.
    """

    shape: tuple[int, ...]
    latent_dim: int = 128
    width: int = 64

    def __post_init__(self) -> None:
        if len(self.shape) != 3:
            raise InputError("the residual networks take images, not vectors")
        if self.width % 2:
            raise InputError(f"--width {self.width}: the residual networks need an even one")

    @property
    def blocks(self) -> int:
        return max(1, math.ceil(math.log2(min(self.shape[1:]) / 4)))

    @property
    def border(self) -> tuple[int, int, int, int]:
        """Pixels to add at the left, right, top and bottom."""
        height, width = (-side % (1 << self.blocks) for side in self.shape[1:])
        return width // 2, width - width // 2, height // 2, height - height // 2

    @property
    def base(self) -> tuple[int, int, int]:
        """Channels, height and width between the blocks and the fully connected layers."""
        left, right, top, bottom = self.border
        height, width = self.shape[1] + top + bottom, self.shape[2] + left + right
        return self.width // 2, height >> self.blocks, width >> self.blocks

    @property
    def channels(self) -> list[int]:
        """Of the encoder's blocks."""
        return [self.width, *[2 * self.width] * (self.blocks - 2), self.width // 2][-self.blocks :]

    def encoder(self, outputs: int | None = None) -> nn.Sequential:
        """Images to `outputs` numbers (latent_dim unless told: twice that for a variance, too)."""
        layers: list[nn.Module] = [Padded(self.border)]
        channels = self.shape[0]
        for out in self.channels:
            layers += [ResidualBlock(channels, out), nn.AvgPool2d(2)]
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
        """Codes (N, latent_dim) to images in [0, 1]."""
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
            layers += [nn.Upsample(scale_factor=2), ResidualBlock(channels, out)]
            channels = out
        return nn.Sequential(*layers, nn.Conv2d(channels, self.shape[0], 1), Cropped(self.border))

    def discriminator(self) -> nn.Sequential:
        """Images to a map of logits (N, 3, H', W'), 2 by 2 at 32 pixels."""
        widths = [self.width // 2, self.width, *[2 * self.width] * (self.blocks - 2)]
        layers: list[nn.Module] = [Padded(self.border)]
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
