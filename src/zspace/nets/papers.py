"""The networks of the papers' tables, for any image size that a table allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn

from zspace.errors import InputError
from zspace.functional import full_precision
from zspace.nets.mlp import mlp


@dataclass(frozen=True)
class FlexAENets:
    """The networks of the FlexAE paper for data of one shape.

    Images (C, H, W), H and W divisible by 4, have the networks of Tables 7 and 8; vectors (D,) have
    those of Table 6. All convolutions keep or halve the size ('same' padding).

    Args:
        shape: the shape of one sample.
        latent_dim: m, the size of a code and of the noise that G takes.
        width: the channels of the first convolution, 64 in the paper; the second has twice as
            many.
        hidden: the units of the fully connected layers, 1024 for images and 128 for vectors in the
            paper.
        bounded: whether vectors lie in [-1, 1], so that the last tanh of Table 6 can reach them.
            If they do not, the tanh is left out (a departure that such data force).
        last_activation: the decoder's last hidden activation: ELU in the paper, ReLU in the
            authors' code.
        last_kernel: the side of the decoder's last kernel: 4 in the paper, 3 in the authors' code.
        momentum: the share of the latest batch in batch norm's running statistics.

    Initialisation is that of the authors' code: Glorot normal for the decoder's fully connected and
    transposed layers, for G and for the latent critic; Glorot uniform elsewhere; zero biases.
    Departures from that code's library: batch norm has PyTorch's epsilon (1e-5), and Glorot's
    normal distribution is not truncated.

    Raises:
        InputError: the tables do not allow the shape.
    """

    shape: tuple[int, ...]
    latent_dim: int
    width: int = 64
    hidden: int = 1024
    bounded: bool = True
    last_activation: Literal["elu", "relu"] = "elu"
    last_kernel: Literal[3, 4] = 4
    momentum: float = 0.1

    def __post_init__(self) -> None:
        if self.is_image and any(side % 4 or side < 4 for side in self.shape[1:]):
            raise InputError(
                f"the FlexAE networks halve an image twice: height and width must be divisible "
                f"by 4, not {self.shape[1]}x{self.shape[2]} (--image-size resizes)"
            )

    @property
    def is_image(self) -> bool:
        """Whether the data are images (C, H, W) rather than vectors (D,)."""
        return len(self.shape) == 3

    def encoder(self, outputs: int | None = None, *, norm: bool = True) -> nn.Sequential:
        """The encoder E, which maps data (N, ...) to (N, outputs).

        Args:
            outputs: m unless given; 2 m for a mean and a log variance.
            norm: whether it has batch norm, which a network that compares two batches must not
                have.
        """
        outputs = outputs or self.latent_dim
        if not self.is_image:
            return _initialised(mlp(self.shape[0], [self.hidden], outputs), uniform=True)
        return _initialised(nn.Sequential(*self._down(norm=norm), nn.Linear(self.hidden, outputs)))

    def decoder(self) -> nn.Sequential:
        """The decoder D, which maps codes (N, m) to images in [0, 1] or to vectors."""
        if not self.is_image:
            last = [nn.Tanh()] if self.bounded else []
            net = nn.Sequential(nn.Linear(self.latent_dim, self.shape[0]), *last)
            return _initialised(net, uniform=False)
        channels, height, width = self.shape
        base = 2 * self.width, height // 4, width // 4
        activation = nn.ELU() if self.last_activation == "elu" else nn.ReLU()
        return _initialised(
            nn.Sequential(
                nn.Linear(self.latent_dim, self.hidden),
                self._norm1(self.hidden),
                nn.ReLU(),
                nn.Linear(self.hidden, prod(base)),
                self._norm1(prod(base)),
                nn.ReLU(),
                nn.Unflatten(1, base),
                nn.ConvTranspose2d(base[0], 2 * self.width, 4, 2, 1),
                self._norm2(2 * self.width),
                nn.ReLU(),
                nn.ConvTranspose2d(2 * self.width, self.width, 4, 2, 1),
                self._norm2(self.width),
                activation,
                # 'same' padding for an even kernel has one pixel more at the end
                nn.ZeroPad2d((1, self.last_kernel - 2, 1, self.last_kernel - 2)),
                nn.Conv2d(self.width, channels, self.last_kernel),
                Sigmoid(),
            ),
            uniform=False,
        )

    def generator(self) -> nn.Sequential:
        """The latent generator G, which maps noise (N, m) to codes (N, m); it has no batch norm."""
        layers = 4 if self.is_image else 1
        return latent_net(self.latent_dim, self.latent_dim, self.hidden, layers)

    def latent_critic(self) -> nn.Sequential:
        """The latent critic C_z, which maps codes (N, m) to (N, 1); it has no batch norm."""
        return latent_net(self.latent_dim, 1, self.hidden, 4 if self.is_image else 2)

    def image_critic(self) -> nn.Sequential:
        """The image critic C_x, which maps images to (N, 1); it has no batch norm.

        Raises:
            InputError: the data are vectors, for which the paper has no such critic.
        """
        if not self.is_image:
            raise InputError(
                "FlexAE-SR smooths images by a critic of images; Table 6 has none for vectors "
                "(leave out --smoothing)"
            )
        return self.encoder(1, norm=False)

    def _down(self, *, norm: bool) -> list[nn.Module]:
        channels, height, width = self.shape
        flat = 2 * self.width * (height // 4) * (width // 4)
        layers: list[nn.Module | None] = [
            nn.Conv2d(channels, self.width, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(self.width, 2 * self.width, 4, 2, 1),
            self._norm2(2 * self.width) if norm else None,
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(flat, self.hidden),
            self._norm1(self.hidden) if norm else None,
            nn.ReLU(),
        ]
        return [layer for layer in layers if layer is not None]

    def _norm1(self, features: int) -> nn.BatchNorm1d:
        return nn.BatchNorm1d(features, momentum=self.momentum)

    def _norm2(self, features: int) -> nn.BatchNorm2d:
        return nn.BatchNorm2d(features, momentum=self.momentum)


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
        return _initialised(nn.Sequential(nn.Flatten(), net))

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
        return _initialised(nn.Sequential(nn.Flatten(), net))

    def decoder(self) -> nn.Sequential:
        """The decoder, which maps codes (N, D) to images (N, C, H, W) in [0, 1]."""
        net = mlp(self.latent_dim, [self.hidden, self.hidden], prod(self.shape), nn.Softplus)
        return _initialised(nn.Sequential(net, Sigmoid(), nn.Unflatten(1, self.shape)))


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
        return _initialised(nn.Sequential(*layers, nn.Flatten()))

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
        return _initialised(nn.Sequential(*layers))


def latent_net(inputs: int, outputs: int, hidden: int, layers: int = 4) -> nn.Sequential:
    """The generator or latent critic of FlexAE's Table 7: fully connected, without batch norm.

    It is initialised by Glorot's normal distribution.

    Args:
        inputs, outputs: the numbers of input and output units.
        hidden: the units of each hidden layer.
        layers: the number of hidden layers.
    """
    return _initialised(mlp(inputs, [hidden] * layers, outputs), uniform=False)


class Sigmoid(nn.Module):
    """The logistic function 1 / (1 + exp(-x)), in float32 even under autocast.

    bfloat16 has too few values near 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(full_precision(x))


def _initialised(net: nn.Sequential, *, uniform: bool = True) -> nn.Sequential:
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
