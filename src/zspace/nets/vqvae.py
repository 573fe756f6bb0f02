"""The networks of the vector-quantised VAE."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import relu

from zspace.errors import InputError
from zspace.nets.layers import Border, Sigmoid


class Residual(nn.Module):
    """A residual block h + F(h), in which F is ReLU, a 3 by 3 convolution, ReLU, and a 1 by 1.

    Args:
        channels: the number of channels of the input and of the output.

    Reference: van den Oord et al. (2017), section 4.1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 1)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.second(relu(self.first(relu(h))))


@dataclass(frozen=True)
class VQVAENets:
    """The convolutional encoder and decoder of the vector-quantised VAE.

    The encoder has two 4 by 4 convolutions of stride 2 and two residual blocks; the decoder mirrors
    it. Between them is a grid of a quarter of the image's height and width. Images whose height or
    width is no multiple of 4 get a black border, which is cut off again.

    Args:
        shape: the shape (C, H, W) of an image.
        embedding: e, the size of an embedding.
        width: the number of channels, 256 in the paper.

    Raises:
        InputError: the data are no images.

    Reference: van den Oord et al. (2017), section 4.1.
    """

    shape: tuple[int, ...]
    embedding: int
    width: int

    def __post_init__(self) -> None:
        if len(self.shape) != 3:
            raise InputError("VQ-VAE's codes lie on a grid: it takes images, not vectors")

    @property
    def border(self) -> Border:
        """The border of images, which are halved twice."""
        return Border(self.shape, 4)

    @property
    def grid(self) -> tuple[int, int]:
        """The height and width of the codes' grid."""
        return self.border.grid

    @property
    def latent_dim(self) -> int:
        """The size of a flattened code: e numbers at each place of the grid."""
        return self.embedding * self.grid[0] * self.grid[1]

    def encoder(self) -> nn.Sequential:
        """The encoder, which maps images in [0, 1] to a grid (N, e, H / 4, W / 4)."""
        w = self.width
        return nn.Sequential(
            *self.border.added(),
            nn.Conv2d(self.shape[0], w // 2, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(w // 2, w, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(w, w, 3, padding=1),
            Residual(w),
            Residual(w),
            nn.ReLU(),
            nn.Conv2d(w, self.embedding, 1),
        )

    def decoder(self) -> nn.Sequential:
        """The decoder, which maps a grid (N, e, H / 4, W / 4) to images in [0, 1]."""
        w = self.width
        return nn.Sequential(
            nn.Conv2d(self.embedding, w, 3, padding=1),
            Residual(w),
            Residual(w),
            nn.ReLU(),
            nn.ConvTranspose2d(w, w // 2, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(w // 2, self.shape[0], 4, 2, 1),
            *self.border.removed(),
            Sigmoid(),
        )
