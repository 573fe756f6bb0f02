"""Classifiers of images: a small one of three convolutions, and those of the literature."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from zspace.errors import InputError
from zspace.nets.layers import fused

SMALLEST = 8
"""The height and width of an image for a classifier, at least."""


class ClassifierNet(nn.Module):
    """A classifier of images: a body that computes features, and a linear layer on top of them.

    It maps images (N, C, H, W) in [0, 1] to logits (N, K); the body gets them scaled to [-2, 2].

    Args:
        body: maps images (N, C, H, W) in [-2, 2] to features (N, D).
        features: D, the number of features.
        classes: K, the number of classes.
    """

    def __init__(self, body: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(features, classes)

    def features(self, x: Tensor) -> Tensor:
        """The activations (N, D) of the last hidden layer for images (N, C, H, W) in [0, 1]."""
        found: Tensor = self.body(4 * x - 2)
        return found

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def quick(net: ClassifierNet) -> ClassifierNet:
    """The same classifier for inference, in half the time on a CPU, equal but for rounding.

    Batch norm is part of the convolution before it, and memory lies channels last.

    Args:
        net: the classifier, in eval mode, which stays as it is.
    """
    return fused(net).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def cnn(shape: tuple[int, ...], classes: int) -> ClassifierNet:
    """A small classifier: convolutions of 32, 64 and 128 channels and 128 fully connected units.

    Each convolution is followed by batch norm and ReLU. Max pooling halves the image after the
    first two; the last feature map is averaged to 4 by 4 at most.

    Args:
        shape: the shape (C, H, W) of an image, H and W at least 8.
        classes: the number of classes.

    Raises:
        InputError: the shape is not that of an image, or is too small.
    """
    _check(shape, least=SMALLEST)
    channels, height, width = shape
    grid = min(4, height // 4), min(4, width // 4)
    layers: list[nn.Module] = []
    for i, out in enumerate((32, 64, 128)):
        layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out)]
        layers += [nn.ReLU(), nn.MaxPool2d(2) if i < 2 else nn.AdaptiveAvgPool2d(grid)]
        channels = out
    layers += [nn.Flatten(), nn.Linear(128 * grid[0] * grid[1], 128), nn.ReLU()]
    return ClassifierNet(nn.Sequential(*layers), 128, classes)


def dropout_cnn(shape: tuple[int, ...], classes: int) -> ClassifierNet:
    """The classifier of the categorical-generation paper's Table 3.

    3 by 3 convolutions of 32 and 64 channels without padding, 2 by 2 max pooling, dropout of 0.25,
    128 fully connected units and dropout of 0.5. The softmax of the table is part of the loss here.

    Args:
        shape: the shape (C, H, W) of an image, H and W at least 8.
        classes: the number of classes.

    Raises:
        InputError: the shape is not that of an image, or is too small.
    """
    _check(shape, least=SMALLEST)
    height, width = (side // 2 - 2 for side in shape[1:])
    body = nn.Sequential(
        nn.Conv2d(shape[0], 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(64 * height * width, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
    )
    return ClassifierNet(body, 128, classes)


class Residual(nn.Module):
    """A residual block, relu(shortcut(x) + F(x)), F two 3 by 3 convolutions with batch norm.

    If the block doubles the channels, its first convolution halves the image, and the shortcut
    takes every second pixel and fills the new channels with zeros (the paper's option A).

    Args:
        channels: the number of channels of the input.
        out: the number of channels of the output, equal to `channels` or twice as many.

    Reference: He et al., Deep Residual Learning (2016), Eq. 1.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.stride, self.more = out // channels, out - channels
        self.f = nn.Sequential(
            nn.Conv2d(channels, out, 3, self.stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return relu(pad(shortcut, (0, 0, 0, 0, 0, self.more)) + self.f(x))


def resnet56(shape: tuple[int, ...], classes: int) -> ClassifierNet:
    """ResNet-56 (version 1) for small images: three stages of nine blocks, 16, 32, 64 channels.

    Args:
        shape: the shape (C, H, W) of an image, H and W at least 8.
        classes: the number of classes.

    Raises:
        InputError: the shape is not that of an image, or is too small.

    Reference: He et al., Deep Residual Learning (2016), section 4.2, n = 9.
    """
    _check(shape, least=SMALLEST)
    layers: list[nn.Module] = [
        nn.Conv2d(shape[0], 16, 3, 1, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
    ]
    channels = 16
    for out in (16, 32, 64):
        for _ in range(9):
            layers.append(Residual(channels, out))
            channels = out
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    net = ClassifierNet(nn.Sequential(*layers), 64, classes)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    with torch.no_grad():
        net.head.bias.zero_()
    return net


class SmoothResidual(nn.Module):
    """A residual block h + F(h), F two 3 by 3 convolutions, each with batch norm and SiLU.

    Args:
        channels: the number of channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.f = nn.Sequential(*smooth(channels, channels), *smooth(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.f(x)
        return out


def smooth(channels: int, out: int) -> list[nn.Module]:
    """A 3 by 3 convolution with batch norm and SiLU."""
    return [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.SiLU()]


def silu_resnet(shape: tuple[int, ...], classes: int, width: int = 32) -> ClassifierNet:
    """A residual classifier of nine layers for colour images, which two cores train in an hour.

    A convolution of `width` channels, and then three of twice, four and eight times as many, each
    followed by 2 by 2 max pooling; a residual block after the first and the last of them; and the
    mean over the places that are left. SiLU is smooth, so that features change smoothly with an
    image. It has 1.6 million weights at a width of 32.

    Args:
        shape: the shape (C, H, W) of an image, H and W at least 8.
        classes: the number of classes.
        width: the channels of the first convolution.

    Raises:
        InputError: the shape is not that of an image, or is too small.

    Reference: the plan of layers is that of David Page's network for DAWNBench (2018).
    """
    _check(shape, least=SMALLEST)
    layers: list[nn.Module] = smooth(shape[0], width)
    for i in range(3):
        layers += [*smooth(width << i, width << i + 1), nn.MaxPool2d(2)]
        if i != 1:
            layers.append(SmoothResidual(width << i + 1))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return ClassifierNet(nn.Sequential(*layers), 8 * width, classes)


class Dense(nn.Module):
    """A layer of a dense block, which appends new channels to its input.

    Twice batch norm, ReLU and a convolution: first 1 by 1, to four times as many channels as the
    layer appends, then 3 by 3 (a bottleneck, DenseNet-B).

    Args:
        channels: the number of channels of the input.
        growth: the number of channels that the layer appends.

    Reference: Huang et al., Densely Connected Convolutional Networks (2017), Eq. 2.
    """

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.f = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth),
            nn.ReLU(),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.f(x)], 1)


def densenet(
    shape: tuple[int, ...], depth: int = 100, growth: int = 12
) -> tuple[nn.Sequential, int]:
    """DenseNet-BC for small images, without its last layer, and the number of its features.

    Three dense blocks of (depth - 4) / 6 layers. Between two blocks a 1 by 1 convolution halves the
    channels, and average pooling halves the image; at the end the mean over all pixels is taken.
    DenseNet-BC-100 of growth 12 has 342 features.

    Args:
        shape: the shape (C, H, W) of an image, H and W at least 8.
        depth: the number of layers, at least 10, 4 more than a multiple of 6.
        growth: the number of channels that each layer of a block appends.

    Returns a module that maps images (N, C, H, W) to features (N, D), and D.
    Raises:
        InputError: the shape is not that of an image or is too small, or no such depth exists.

    Reference: Huang et al., Densely Connected Convolutional Networks (2017), section 3.
    """
    _check(shape, least=SMALLEST)
    if depth < 10 or (depth - 4) % 6:
        raise InputError(f"a DenseNet's depth is 4 more than a multiple of 6, not {depth}")
    channels = 2 * growth
    layers: list[nn.Module] = [nn.Conv2d(shape[0], channels, 3, padding=1, bias=False)]
    for block in range(3):
        for _ in range((depth - 4) // 6):
            layers.append(Dense(channels, growth))
            channels += growth
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        if block < 2:
            layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), channels


def _check(shape: tuple[int, ...], least: int) -> None:
    if len(shape) != 3 or min(shape[1:]) < least:
        raise InputError(
            f"the classifiers take images of {least} pixels or more in height and width, "
            f"not {shape}"
        )
