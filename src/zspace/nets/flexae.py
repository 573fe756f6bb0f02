"""The networks of FlexAE (its Tables 6 to 8)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from torch import nn

from zspace.errors import InputError
from zspace.nets.layers import Border, Sigmoid, initialised, latent_net
from zspace.nets.mlp import mlp


@dataclass(frozen=True)
class FlexAENets:
    """The networks of the FlexAE paper for data of one shape.

    Images (C, H, W) have the networks of Tables 7 and 8; vectors (D,) have those of Table 6. All
    convolutions keep or halve the size ('same' padding). Images whose height or width is no
    multiple of 4 get a black border, which is cut off again.

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

    """

    shape: tuple[int, ...]
    latent_dim: int
    width: int = 64
    hidden: int = 1024
    bounded: bool = True
    last_activation: Literal["elu", "relu"] = "elu"
    last_kernel: Literal[3, 4] = 4
    momentum: float = 0.1

    @property
    def is_image(self) -> bool:
        """Whether the data are images (C, H, W) rather than vectors (D,)."""
        return len(self.shape) == 3

    @property
    def border(self) -> Border:
        """The border of images, which are halved twice."""
        return Border(self.shape, 4)

    def encoder(self, outputs: int | None = None, *, norm: bool = True) -> nn.Sequential:
        """The encoder E, which maps data (N, ...) to (N, outputs).

        Args:
            outputs: m unless given; 2 m for a mean and a log variance.
            norm: whether it has batch norm, which a network that compares two batches must not
                have.
        """
        outputs = outputs or self.latent_dim
        if not self.is_image:
            return initialised(mlp(self.shape[0], [self.hidden], outputs), uniform=True)
        return initialised(nn.Sequential(*self._down(norm=norm), nn.Linear(self.hidden, outputs)))

    def decoder(self) -> nn.Sequential:
        """The decoder D, which maps codes (N, m) to images in [0, 1] or to vectors."""
        if not self.is_image:
            last = [nn.Tanh()] if self.bounded else []
            net = nn.Sequential(nn.Linear(self.latent_dim, self.shape[0]), *last)
            return initialised(net, uniform=False)
        base = 2 * self.width, *self.border.grid
        activation = nn.ELU() if self.last_activation == "elu" else nn.ReLU()
        return initialised(
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
                nn.Conv2d(self.width, self.shape[0], self.last_kernel),
                *self.border.removed(),
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
        flat = 2 * self.width * prod(self.border.grid)
        layers: list[nn.Module | None] = [
            *self.border.added(),
            nn.Conv2d(self.shape[0], self.width, 4, 2, 1),
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
