"""The papers' tables of networks, exactly, for any image size that they allow."""

from __future__ import annotations

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

    def encoder(self, outputs: int | None = None) -> nn.Sequential:
        """E: data to `outputs` numbers (m unless told: twice that for a mean and a variance)."""
        outputs = outputs or self.latent_dim
        if not self.is_image:
            return _initialised(mlp(self.shape[0], [self.hidden], outputs), uniform=True)
        return _initialised(nn.Sequential(*self._down(norm=True), nn.Linear(self.hidden, outputs)))

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
                nn.Linear(self.latent_dim, self.hidden), self._norm1(self.hidden), nn.ReLU(),
                nn.Linear(self.hidden, prod(base)), self._norm1(prod(base)), nn.ReLU(),
                nn.Unflatten(1, base),
                nn.ConvTranspose2d(base[0], 2 * self.width, 4, 2, 1),
                self._norm2(2 * self.width), nn.ReLU(),
                nn.ConvTranspose2d(2 * self.width, self.width, 4, 2, 1),
                self._norm2(self.width), activation,
                # 'same' padding of an even kernel: one pixel more at the end
                nn.ZeroPad2d((1, self.last_kernel - 2, 1, self.last_kernel - 2)),
                nn.Conv2d(self.width, channels, self.last_kernel), Sigmoid(),
            ),
            uniform=False,
        )  # fmt: skip

    def generator(self) -> nn.Sequential:
        """G: noise (N, m) to codes (N, m). No batch norm."""
        layers = 4 if self.is_image else 1
        net = mlp(self.latent_dim, [self.hidden] * layers, self.latent_dim)
        return _initialised(net, uniform=False)

    def latent_critic(self) -> nn.Sequential:
        """C_z: codes (N, m) to (N, 1). No batch norm."""
        layers = 4 if self.is_image else 2
        return _initialised(mlp(self.latent_dim, [self.hidden] * layers, 1), uniform=False)

    def image_critic(self) -> nn.Sequential:
        """C_x: images to (N, 1). No batch norm. The paper has none for vectors."""
        if not self.is_image:
            raise InputError(
                "FlexAE-SR smooths images by a critic of images; Table 6 has none for vectors "
                "(leave out --smoothing)"
            )
        return _initialised(nn.Sequential(*self._down(norm=False), nn.Linear(self.hidden, 1)))

    def _down(self, *, norm: bool) -> list[nn.Module]:
        channels, height, width = self.shape
        flat = 2 * self.width * (height // 4) * (width // 4)
        layers: list[nn.Module | None] = [
            nn.Conv2d(channels, self.width, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(self.width, 2 * self.width, 4, 2, 1),
            self._norm2(2 * self.width) if norm else None, nn.ReLU(),
            nn.Flatten(), nn.Linear(flat, self.hidden),
            self._norm1(self.hidden) if norm else None, nn.ReLU(),
        ]  # fmt: skip
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

    def encoder(self, outputs: int | None = None) -> nn.Sequential:
        """E: data to `outputs` numbers (l unless told: twice that for a mean and a variance)."""
        widths = [self.hidden, self.hidden]
        return nn.Sequential(
            nn.Flatten(), mlp(prod(self.shape), widths, outputs or self.latent_dim, norm=True)
        )

    def decoder(self) -> nn.Sequential:
        """D: codes (N, l) to images in [0, 1] or to vectors."""
        net = mlp(self.latent_dim, [self.hidden, self.hidden], prod(self.shape), norm=True)
        last = [Sigmoid(), nn.Unflatten(1, self.shape)] if len(self.shape) == 3 else []
        return nn.Sequential(net, *last)


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
