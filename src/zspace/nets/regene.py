"""The networks of ReGene (its Tables A.5 to A.7), and their variants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import prod

from torch import nn

from zspace.errors import InputError
from zspace.nets.layers import Sigmoid, initialised


@dataclass(frozen=True)
class ReGeneNets:
    """The networks of ReGene's Tables A.5 (28 pixels), A.6 (64) and A.7 (32), and their variants.

    The encoder consists of blocks of 3 by 3 convolutions, each followed by batch norm and
    LeakyReLU(0.3), with a max pooling that halves the image between two blocks; the first and the
    last block have one convolution more. The latent is the last block's flattened activation. The
    decoder reshapes it, then has three convolutions of `decoder_width` channels, and for each
    pooling an enlargement (nearest pixels) and three convolutions of half as many channels, each
    followed by LeakyReLU(0.3) and batch norm; a last convolution and a sigmoid give the image.

    The number of poolings follows from the image's size: 3 at 28 and 32 pixels and 4 at 64, as in
    the paper, and by the same rule 5 at 128 and 2 at 8. The paper's transposed convolutions have
    stride 1: with 'same' padding they are convolutions, and without padding (3 to 5 to 7 pixels,
    Table A.5) they are convolutions padded by 2, so they are built as convolutions. The last layer
    has as many channels as the images (Table A.5 has 3 for grey ones, a slip).

    Args:
        shape: the shape (C, H, W) of an image.
        width: the channels of the encoder, 128 in the paper.
        decoder_width: the channels of the decoder's first three convolutions, 512 in the paper.
        blocks: the number of blocks, one more than that of poolings; None derives it from the
            image's size.
        convolutions: the number of convolutions in a block between the first and the last (1 and 3
            in Table 1).
        last_kernels: the sides of the encoder's last two kernels, (9, 11) in Table A.7.

    Initialisation is Glorot's uniform one with zero biases, the default of the library whose terms
    the tables use; batch norm has PyTorch's epsilon (1e-5).

    Raises:
        InputError: the data are no images, or the images are too small for so many poolings.
    """

    shape: tuple[int, ...]
    width: int = 128
    decoder_width: int = 512
    blocks: int | None = None
    convolutions: int = 1
    last_kernels: tuple[int, int] = (3, 3)

    def __post_init__(self) -> None:
        if len(self.shape) != 3:
            raise InputError("ReGene's networks take images, not vectors")
        if min(self.sides[-1]) < 1:
            least = 2 ** (len(self.sides) - 1)
            raise InputError(
                f"images of {self.shape[1]}x{self.shape[2]} pixels are too small to be halved "
                f"{len(self.sides) - 1} times: expected {least} or more (--image-size resizes, "
                "--blocks takes poolings out)"
            )

    @property
    def sides(self) -> list[tuple[int, int]]:
        """The height and width of the feature map in each block of the encoder."""
        height, width = self.shape[1:]
        count = self.blocks or 1 + max(2, int(math.log2(max(min(height, width), 3) / 3)))
        return [(height >> i, width >> i) for i in range(count)]

    @property
    def latent_dim(self) -> int:
        """The size of a latent, which the width and the last block's feature map determine."""
        return self.width * prod(self.sides[-1])

    def encoder(self) -> nn.Sequential:
        """The encoder, which maps images (N, C, H, W) in [0, 1] to latents (N, latent_dim)."""
        layers: list[nn.Module] = []
        channels, last = self.shape[0], len(self.sides) - 1
        for i in range(last + 1):
            kernels = [3] * (self.convolutions + (i in (0, last)))
            if i == last:
                kernels[-2:] = self.last_kernels
            for kernel in kernels:
                layers += [
                    nn.Conv2d(channels, self.width, kernel, padding=kernel // 2, bias=False),
                    nn.BatchNorm2d(self.width),
                    nn.LeakyReLU(0.3),
                ]
                channels = self.width
            if i < last:
                layers.append(nn.MaxPool2d(2))
        return initialised(nn.Sequential(*layers, nn.Flatten()))

    def decoder(self, inputs: int | None = None) -> nn.Sequential:
        """The decoder, which maps latents to images (N, C, H, W) in [0, 1].

        Args:
            inputs: the size of another encoder's latents, which a first linear layer maps to
                `latent_dim` numbers; None if the latents come from this encoder.
        """
        base, *larger = reversed(self.sides)
        layers: list[nn.Module] = []
        if inputs is not None:
            layers.append(nn.Linear(inputs, self.latent_dim))
        layers.append(nn.Unflatten(1, (self.width, *base)))
        padding = [1, 1, 1]
        if larger and base == (3, 3) and larger[0] == (7, 7):
            padding, larger = [2, 2, 1], larger[1:]
        channels, out = self.width, self.decoder_width
        for i, side in enumerate((base, *larger)):
            if i:
                layers.append(nn.Upsample(side))
                padding, out = [1, 1, 1], max(1, self.decoder_width // 2)
            for p in padding:
                layers += [
                    nn.Conv2d(channels, out, 3, padding=p),
                    nn.LeakyReLU(0.3),
                    nn.BatchNorm2d(out),
                ]
                channels = out
        layers += [nn.Conv2d(channels, self.shape[0], 3, padding=1), Sigmoid()]
        return initialised(nn.Sequential(*layers))
