"""The papers' tables of networks, exactly, for any image size that they allow."""

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

    Images (C, H, W), H and W divisible by 4: Tables 7 and 8. Vectors (D,): Table 6.
    All convolutions keep or halve the size ('same' padding).

    Args:
        shape: of one sample.
        latent_dim: m, the size of a code and of the noise that G takes.
        width: channels of the first convolution, 64 in the paper; the second has twice as many.
        hidden: units of the fully connected layers: 1024 for images, 128 for vectors.
        bounded: vectors lie in [-1, 1], so Table 6's last tanh can reach them; else it is left
            out (a departure that data outside of the tanh's range forces).
        last_activation, last_kernel: of the decoder; the paper's ELU and 4, the authors' code's
            ReLU and 3.
        momentum: of batch norm's running statistics: the share of the latest batch.

    Initialisation (authors' code): Glorot normal for the decoder's fully connected and
    transposed layers, for G and for the latent critic; Glorot uniform elsewhere; biases zero.
    Departures from that code's library: batch norm has PyTorch's epsilon (1e-5), and Glorot's
    normal is not truncated.

    Raises:
        InputError: the shape is one that the tables can't be built for.
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
        return len(self.shape) == 3

    def encoder(self, outputs: int | None = None, *, norm: bool = True) -> nn.Sequential:
        """E: data to `outputs` numbers (m unless told: twice that for a mean and a variance).

        Args:
            norm: with batch norm; an encoder that has to tell two batches apart has none.
        """
        outputs = outputs or self.latent_dim
        if not self.is_image:
            return _initialised(mlp(self.shape[0], [self.hidden], outputs), uniform=True)
        return _initialised(nn.Sequential(*self._down(norm=norm), nn.Linear(self.hidden, outputs)))

    def decoder(self) -> nn.Sequential:
        """D: codes (N, m) to images in [0, 1] or to vectors."""
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
                # 'same' padding of an even kernel: one pixel more at the end
                nn.ZeroPad2d((1, self.last_kernel - 2, 1, self.last_kernel - 2)),
                nn.Conv2d(self.width, channels, self.last_kernel),
                Sigmoid(),
            ),
            uniform=False,
        )

    def generator(self) -> nn.Sequential:
        """G: noise (N, m) to codes (N, m). No batch norm."""
        layers = 4 if self.is_image else 1
        return latent_net(self.latent_dim, self.latent_dim, self.hidden, layers)

    def latent_critic(self) -> nn.Sequential:
        """C_z: codes (N, m) to (N, 1). No batch norm."""
        return latent_net(self.latent_dim, 1, self.hidden, 4 if self.is_image else 2)

    def image_critic(self) -> nn.Sequential:
        """C_x: images to (N, 1). No batch norm. The paper has none for vectors."""
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
    """GEN's FC-layers: three linear layers each way, batch norm in the hidden ones.

    The paper names no widths, and no batch norm: without it the codes run away (see
    `zspace.methods.gen`). Images (C, H, W) of any size, or vectors (D,).

    Args:
        shape: of one sample.
        latent_dim: l, the size of a code.
        hidden: units of each of the two hidden layers.
    """

    shape: tuple[int, ...]
    latent_dim: int
    hidden: int = 512
    momentum: float = 0.1

    def encoder(self, outputs: int | None = None, *, norm: bool = True) -> nn.Sequential:
        """E: data to `outputs` numbers (l unless told: twice that for a mean and a variance)."""
        outputs = outputs or self.latent_dim
        if norm:
            return nn.Sequential(nn.Flatten(), self._mlp(prod(self.shape), outputs))
        net = mlp(prod(self.shape), [self.hidden, self.hidden], outputs)
        return _initialised(nn.Sequential(nn.Flatten(), net))

    def decoder(self) -> nn.Sequential:
        """D: codes (N, l) to images in [0, 1] or to vectors."""
        net = self._mlp(self.latent_dim, prod(self.shape))
        last = [Sigmoid(), nn.Unflatten(1, self.shape)] if len(self.shape) == 3 else []
        return nn.Sequential(net, *last)

    def generator(self) -> nn.Sequential:
        """Noise (N, l) to codes (N, l), as in FlexAE's Table 7. No batch norm."""
        return latent_net(self.latent_dim, self.latent_dim, self.hidden)

    def latent_critic(self) -> nn.Sequential:
        """Codes (N, l) to (N, 1), likewise."""
        return latent_net(self.latent_dim, 1, self.hidden)

    def image_critic(self) -> nn.Sequential:
        """Images to (N, 1), with two hidden layers. No batch norm."""
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

    Two layers of 500 softplus units each way, for images (C, H, W) of any size; 784 pixels there.
    Initialisation is Glorot's, uniform, with biases of zero (not in the paper): with narrower
    weights the networks, whose units are never 0, stay for thousands of iterations where all images
    are decoded to one.

    Args:
        shape: of an image.
        latent_dim: D, 2, 10 or 20 in the paper.
        hidden: units of each hidden layer.
    """

    shape: tuple[int, ...]
    latent_dim: int
    hidden: int = 500

    def encoder(self) -> nn.Sequential:
        """Images to (N, 2 D): means, then log variances."""
        widths = [self.hidden, self.hidden]
        net = mlp(prod(self.shape), widths, 2 * self.latent_dim, nn.Softplus)
        return _initialised(nn.Sequential(nn.Flatten(), net))

    def decoder(self) -> nn.Sequential:
        """Codes (N, D) to images in [0, 1]."""
        net = mlp(self.latent_dim, [self.hidden, self.hidden], prod(self.shape), nn.Softplus)
        return _initialised(nn.Sequential(net, Sigmoid(), nn.Unflatten(1, self.shape)))


@dataclass(frozen=True)
class ReGeneNets:
    """The networks of ReGene's Tables A.5 (28 pixels), A.6 (64) and A.7 (32), and their family.

    Encoder: blocks of 3 by 3 convolutions, each with batch norm and LeakyReLU(0.3); a pooling that
    halves the image between two blocks; the first and the last block have one convolution more. The
    latent is the last block's flattened activation. Decoder: that reshaped, three convolutions of
    `decoder_width` channels, and for each pooling an enlargement (nearest pixels) and three
    convolutions of half as many, each with LeakyReLU(0.3) and batch norm; a last convolution and a
    sigmoid.

    The paper's sizes follow from the image's: 3 poolings at 28 and 32 pixels, 4 at 64. From there:
    5 at 128, 2 at 8. Its transposed convolutions have stride 1: with 'same' padding they are
    convolutions, with none (3 to 5 to 7 pixels, Table A.5) they are convolutions padded by 2, and
    are built so. The last layer has as many channels as the images (Table A.5 says 3 for grey ones,
    a slip).

    Args:
        shape: (C, H, W) of an image.
        width: channels of the encoder, 128 in the paper.
        decoder_width: channels of the decoder's first three convolutions, 512 in the paper.
        blocks: the poolings and one; None: by the image's size.
        convolutions: of a block in the middle (Table 1 has 1 and 3).
        last_kernels: sides of the encoder's last two convolutions, (9, 11) in Table A.7.

    Initialisation is Glorot's, uniform, with biases of zero, as in the library that the tables'
    terms are of; batch norm is PyTorch's (epsilon 1e-5).

    Raises:
        InputError: no images, or too small for so many poolings.
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
        """Height and width of the image in each block of the encoder."""
        height, width = self.shape[1:]
        count = self.blocks or 1 + max(2, int(math.log2(max(min(height, width), 3) / 3)))
        return [(height >> i, width >> i) for i in range(count)]

    @property
    def latent_dim(self) -> int:
        return self.width * prod(self.sides[-1])

    def encoder(self) -> nn.Sequential:
        """Images (N, C, H, W) in [0, 1] to latents (N, latent_dim)."""
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
        """Latents to images in [0, 1].

        Args:
            inputs: size of another encoder's latents, which a linear layer makes ones of these.
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
    """Fully connected layers on codes, without batch norm, initialised by Glorot's normal: the
    generator and the latent critic of FlexAE's Table 7."""
    return _initialised(mlp(inputs, [hidden] * layers, outputs), uniform=False)


class Sigmoid(nn.Module):
    """1 / (1 + exp(-x)) in float32 under autocast, too: bfloat16 has few values near 1."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(full_precision(x))


def _initialised(net: nn.Sequential, *, uniform: bool = True) -> nn.Sequential:
    """Glorot's initialisation, biases zero; convolutions (not transposed) always uniform."""
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
