"""Networks of codes that are maps: an autoencoder, and what tells its images from real ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, silu

from zspace.errors import InputError
from zspace.nets.layers import Border, Sigmoid, zeroed

SIDE = 8
"""The height or width of a map of codes, at most, unless another reduction is asked for."""


def parts(channels: int, size: int) -> int:
    """The number of equal parts of some channels that have about `size` each, or more."""
    return next(n for n in range(max(1, channels // size), 0, -1) if channels % n == 0)


def normed(channels: int) -> nn.GroupNorm:
    """Group norm (Wu and He, 2018), with groups of about 16 channels."""
    return nn.GroupNorm(parts(channels, 16), channels)


class MapBlock(nn.Module):
    """A residual block S(h) + F(h), in which F may depend on a vector c.

    F is norm, SiLU and a 3 by 3 convolution, twice; before the second SiLU the map is scaled by
    1 + a(c) and shifted by b(c), which are linear in c. S is a 1 by 1 convolution if the number of
    channels changes. The second convolution is initially 0, so that the block begins as S.

    Args:
        channels, out: the numbers of input and output channels.
        conditions: the size of c; 0 if there is none.

    Reference: Ho et al., Denoising Diffusion Probabilistic Models (2020), appendix B; Dhariwal and
    Nichol, Diffusion Models Beat GANs (2021), section 3, for scale and shift.
    """

    def __init__(self, channels: int, out: int, conditions: int = 0) -> None:
        super().__init__()
        self.norm1, self.conv1 = normed(channels), nn.Conv2d(channels, out, 3, padding=1)
        self.norm2, self.conv2 = normed(out), zeroed(nn.Conv2d(out, out, 3, padding=1))
        self.shortcut = nn.Conv2d(channels, out, 1) if channels != out else None
        self.condition = nn.Linear(conditions, 2 * out) if conditions else None

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        f = self.norm2(self.conv1(silu(self.norm1(h))))
        if self.condition is not None and c is not None:
            scale, shift = self.condition(c)[..., None, None].chunk(2, 1)
            f = f * (1 + scale) + shift
        f = self.conv2(silu(f))
        return f + (h if self.shortcut is None else self.shortcut(h))


class MapAttention(nn.Module):
    """Self-attention between all places of a map, added to the map; it is initially 0.

    Args:
        channels: the number of channels, in heads of about 32.

    Reference: Vaswani et al., Attention Is All You Need (2017), Eq. 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = parts(channels, 32)
        self.norm = normed(channels)
        self.inside = nn.Conv2d(channels, 3 * channels, 1)
        self.outside = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, h: Tensor) -> Tensor:
        # written out, since PyTorch's own has no derivative in forward mode, which densities need
        three = self.inside(self.norm(h)).unflatten(1, (3, self.heads, -1)).flatten(4)
        query, key, value = three.unbind(1)
        weights = (query.transpose(2, 3) @ key / math.sqrt(query.shape[2])).softmax(3)
        mixed = (value @ weights.transpose(2, 3)).flatten(1, 2).unflatten(2, h.shape[2:])
        out: Tensor = h + self.outside(mixed)
        return out


class Halved(nn.Module):
    """A map of half the height and width: a 3 by 3 convolution of stride 2."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, stride=2, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = self.conv(h)
        return out


class Doubled(nn.Module):
    """A map of twice the height and width: the nearest pixels, and a 3 by 3 convolution."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = self.conv(interpolate(h, scale_factor=2.0, mode="nearest"))
        return out


class Centred(nn.Module):
    """Images in [0, 1], scaled to [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - 1


@dataclass(frozen=True)
class MapNets:
    """An encoder and a decoder whose codes are maps (c, h, w), and a discriminator of patches.

    The encoder has a block at each resolution, and halves the image until it is a factor f smaller;
    the decoder mirrors it. The discriminator judges overlapping patches: two 4 by 4 convolutions of
    stride 2 and two 3 by 3 ones, with group norm on all but the first and the last, and
    LeakyReLU(0.2). Images whose height or width is no multiple of f get a black border, which the
    decoder removes.

    Args:
        shape: the shape (C, H, W) of an image.
        channels: c, the number of channels of a code.
        width: the channels at the images' own resolution; there are twice as many at lower ones.
        factor: f, a power of 2; None takes the least that leaves no side longer than 8.

    Raises:
        InputError: the data are no images, or the factor is no power of 2 or too large for them.

    Reference: Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models (2022),
    section 3.1 and appendix E; Isola et al., Image-to-Image Translation with Conditional
    Adversarial Networks (2017), section 3.2.2, for the discriminator. Departures: fewer blocks and
    channels, and attention in no network.
    """

    shape: tuple[int, ...]
    channels: int = 4
    width: int = 32
    factor: int | None = None

    def __post_init__(self) -> None:
        if len(self.shape) != 3:
            raise InputError("codes that are maps are made of images, not vectors")
        f = self.factor
        if f is not None and (f & (f - 1) or not 1 < f <= max(2, min(self.shape[1:]) // 2)):
            raise InputError(
                f"--factor {f}: images of {self.shape[2]}x{self.shape[1]} pixels can be reduced by "
                f"a power of 2 from 2 to {1 << (max(4, min(self.shape[1:])).bit_length() - 2)}"
            )

    @property
    def halvings(self) -> int:
        """How often images are halved, log2 f."""
        if self.factor is not None:
            return self.factor.bit_length() - 1
        return max(1, math.ceil(math.log2(max(self.shape[1:]) / SIDE)))

    @property
    def border(self) -> Border:
        """The border of images, which are halved `halvings` times."""
        return Border(self.shape, 1 << self.halvings)

    @property
    def code_shape(self) -> tuple[int, int, int]:
        """The shape (c, h, w) of a code before it is flattened."""
        return self.channels, *self.border.grid

    @property
    def latent_dim(self) -> int:
        """The size of a flattened code."""
        return math.prod(self.code_shape)

    @property
    def widths(self) -> list[int]:
        """The channels at each resolution, from the images' own to the codes'."""
        return [self.width, *[2 * self.width] * self.halvings]

    def encoder(self, outputs: int | None = None) -> nn.Sequential:
        """The encoder, which maps images (N, C, H, W) in [0, 1] to (N, outputs).

        Args:
            outputs: `latent_dim` unless given; twice that for means and log variances.
        """
        channels = self.channels * ((outputs or self.latent_dim) // self.latent_dim)
        layers: list[nn.Module] = [
            *self.border.added(),
            Centred(),
            nn.Conv2d(self.shape[0], self.width, 3, padding=1),
        ]
        for now, then in pairwise(self.widths):
            layers += [MapBlock(now, now), Halved(now, then)]
        last = self.widths[-1]
        layers += [MapBlock(last, last), MapBlock(last, last), normed(last), nn.SiLU()]
        return nn.Sequential(*layers, nn.Conv2d(last, channels, 3, padding=1), nn.Flatten())

    def decoder(self) -> nn.Sequential:
        """The decoder, which maps codes (N, latent_dim) to images (N, C, H, W) in [0, 1]."""
        last = self.widths[-1]
        layers: list[nn.Module] = [
            nn.Unflatten(1, self.code_shape),
            nn.Conv2d(self.channels, last, 3, padding=1),
            MapBlock(last, last),
            MapBlock(last, last),
        ]
        for now, then in pairwise(self.widths[::-1]):
            layers += [Doubled(now, then), MapBlock(then, then)]
        layers += [
            normed(self.width),
            nn.SiLU(),
            nn.Conv2d(self.width, self.shape[0], 3, padding=1),
        ]
        return nn.Sequential(*layers, *self.border.removed(), Sigmoid())

    def discriminator(self) -> Patches:
        """The discriminator of patches of images (N, C, H, W) in [0, 1]."""
        return Patches(self.shape[0], 2 * self.width)


class Patches(nn.Module):
    """A discriminator of patches, which maps images (N, C, H, W) in [0, 1] to logits (N, 1, h, w).

    Args:
        channels: C.
        width: the channels of the first convolution; the others have twice and four times as many.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(channels, width, 4, 2, 1),
                nn.Sequential(nn.Conv2d(width, 2 * width, 4, 2, 1), normed(2 * width)),
                nn.Sequential(nn.Conv2d(2 * width, 4 * width, 3, padding=1), normed(4 * width)),
            ]
        )
        self.last = nn.Conv2d(4 * width, 1, 3, padding=1)

    def features(self, x: Tensor) -> list[Tensor]:
        """The maps after each layer, (N, C_i, h_i, w_i)."""
        found: list[Tensor] = []
        h = 2 * x - 1
        for layer in self.layers:
            h = leaky_relu(layer(h), 0.2)
            found.append(h)
        return found

    def judged(self, features: list[Tensor]) -> Tensor:
        """The logits (N, 1, h, w) of features."""
        logits: Tensor = self.last(features[-1])
        return logits

    def forward(self, x: Tensor) -> Tensor:
        return self.judged(self.features(x))


def map_shape(text: str | None) -> tuple[int, int, int] | None:
    """The shape (C, H, W) of a map in an option's text, such as "4,8,8"; None for None.

    Raises:
        InputError: it is no such shape.
    """
    if text is None:
        return None
    sizes = text.split(",")
    if len(sizes) != 3 or not all(s.strip().isdecimal() and 0 < int(s) <= 4096 for s in sizes):
        raise InputError(
            f"--code-shape must be channels, height and width, such as 4,8,8, not '{text}'"
        )
    channels, height, width = map(int, sizes)
    return channels, height, width
