"""ReGene's networks against the paper's tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d

from zspace.nets.regene import ReGeneNets


def convolutions(net: nn.Module) -> list[tuple[int, int, int]]:
    return [
        (layer.in_channels, layer.out_channels, layer.kernel_size[0])
        for layer in net.modules()
        if isinstance(layer, nn.Conv2d)
    ]


def sides(net: nn.Sequential, x: Tensor) -> list[int]:
    """The image's side after each convolution."""
    found: list[int] = []
    for layer in net:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            found.append(x.shape[3])
    return found


def test_the_networks_are_those_of_tables_a5_to_a7() -> None:
    mnist = ReGeneNets((1, 28, 28))
    assert mnist.latent_dim == 1152
    assert convolutions(mnist.encoder()) == [(1, 128, 3)] + [(128, 128, 3)] * 5
    assert sides(mnist.encoder(), torch.rand(2, 1, 28, 28)) == [28, 28, 14, 7, 3, 3]
    assert convolutions(mnist.decoder()) == [
        (128, 512, 3),
        (512, 512, 3),
        (512, 512, 3),
        (512, 256, 3),
        *[(256, 256, 3)] * 5,
        (256, 1, 3),
    ]
    assert sides(mnist.decoder(), torch.rand(2, 1152)) == [5, 7, 7, 14, 14, 14, 28, 28, 28, 28]
    cifar = ReGeneNets((3, 32, 32), last_kernels=(9, 11))
    assert cifar.latent_dim == 2048
    kernels = [k for _, _, k in convolutions(cifar.encoder())]
    assert kernels == [3, 3, 3, 3, 9, 11]
    assert sides(cifar.decoder(), torch.rand(1, 2048))[::3] == [4, 8, 16, 32, 32]
    faces = ReGeneNets((3, 64, 64))
    assert (faces.latent_dim, len(faces.sides)) == (2048, 5)
    assert len(convolutions(faces.encoder())) == 7
    assert len(convolutions(faces.decoder())) == 16
    assert ReGeneNets((3, 128, 128)).latent_dim == 2048
    assert ReGeneNets((1, 8, 8)).sides == [(8, 8), (4, 4), (2, 2)]
    # the order of Tables A.5 to A.7: batch norm before the activation in E, after it in D
    names = [type(layer).__name__ for layer in mnist.encoder()][:4]
    assert names == ["Conv2d", "BatchNorm2d", "LeakyReLU", "Conv2d"]
    names = [type(layer).__name__ for layer in mnist.decoder()][:4]
    assert names == ["Unflatten", "Conv2d", "LeakyReLU", "BatchNorm2d"]


@pytest.mark.parametrize(
    "blocks, each, latent",
    [(4, 1, 2048), (4, 3, 2048), (5, 1, 512), (5, 3, 512), (6, 1, 128), (6, 3, 128)],
)
def test_the_grid_of_table_1(blocks: int, each: int, latent: int) -> None:
    nets = ReGeneNets((3, 32, 32), blocks=blocks, convolutions=each)
    assert nets.latent_dim == latent
    assert len(convolutions(nets.encoder())) == blocks * each + 2
    small_one = replace(nets, width=2, decoder_width=4)
    z = small_one.encoder()(torch.rand(2, 3, 32, 32))
    assert small_one.decoder()(z).shape == (2, 3, 32, 32)


def test_a_transposed_convolution_of_stride_1_is_a_convolution() -> None:
    x, w = torch.randn(2, 3, 3, 3), torch.randn(3, 4, 3, 3)
    for valid, padding in ((0, 2), (1, 1)):
        theirs = conv_transpose2d(x, w, padding=valid)
        ours = torch.nn.functional.conv2d(x, w.flip(2, 3).transpose(0, 1), padding=padding)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
