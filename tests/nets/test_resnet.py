"""LSR-GAN's residual networks against its table."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zspace.errors import InputError
from zspace.nets.resnet import LSRGANNets, ResidualBlock


def convolutions(net: nn.Module) -> list[tuple[int, int, int]]:
    return [
        (layer.in_channels, layer.out_channels, layer.kernel_size[0])
        for layer in net.modules()
        if isinstance(layer, nn.Conv2d)
    ]


def linears(net: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in net.modules() if isinstance(m, nn.Linear)]


def blocks(net: nn.Module) -> list[tuple[int, int]]:
    return [
        (m.shortcut[0].in_channels, m.shortcut[0].out_channels)  # type: ignore[union-attr]
        for m in net.modules()
        if isinstance(m, ResidualBlock)
    ]


def test_networks_are_table_3() -> None:
    nets = LSRGANNets((3, 32, 32))
    encoder, decoder, judge = nets.encoder(256), nets.decoder(), nets.discriminator()
    assert blocks(encoder) == [(3, 64), (64, 128), (128, 32)]
    assert linears(encoder) == [(512, 128), (128, 256)]
    assert blocks(decoder) == [(32, 128), (128, 64), (64, 32)]
    assert linears(decoder) == [(128, 512)]
    assert convolutions(decoder)[-1] == (32, 3, 1)
    assert convolutions(judge) == [(3, 32, 4), (32, 64, 4), (64, 128, 4), (128, 3, 4)]
    assert [m.num_features for m in judge.modules() if isinstance(m, nn.BatchNorm2d)] == [64, 128]
    assert judge(torch.rand(2, 3, 32, 32)).shape == (2, 3, 2, 2)
    weights = torch.cat([m.weight.flatten() for m in judge if isinstance(m, nn.Conv2d)])
    assert float(weights.detach().std()) == pytest.approx(0.02, rel=0.02)
    # a residual block has two 3 by 3 convolutions and a shortcut of 1 by 1
    assert convolutions(encoder[1]) == [(3, 64, 3), (64, 64, 3), (3, 64, 1)]


def test_plain_networks_are_the_same_without_shortcuts() -> None:
    nets = LSRGANNets((3, 32, 32), 16, 8, residual=False)
    encoder, decoder = nets.encoder(), nets.decoder()
    assert convolutions(encoder[1]) == [(3, 8, 3), (8, 8, 3)]
    assert all(kernel == 3 for _, _, kernel in convolutions(decoder)[:-1])
    assert decoder(encoder(torch.rand(2, 3, 32, 32))).shape == (2, 3, 32, 32)


@pytest.mark.parametrize(
    "shape, down, up",
    [
        ((1, 8, 8), [32], [32]),
        ((1, 16, 16), [64, 32], [64, 32]),
        ((1, 28, 28), [64, 128, 32], [128, 64, 32]),
        ((3, 64, 64), [64, 128, 128, 32], [128, 128, 64, 32]),
    ],
)
def test_blocks_follow_from_the_size(
    shape: tuple[int, ...], down: list[int], up: list[int]
) -> None:
    nets = LSRGANNets(shape)
    assert [out for _, out in blocks(nets.encoder())] == down
    assert [out for _, out in blocks(nets.decoder())] == up
    assert nets.base[1:] == (4, 4)
    x = torch.rand(2, *shape)
    assert nets.decoder()(nets.encoder()(x)).shape == x.shape
    assert nets.discriminator()(x).shape == (2, 3, 2, 2)


def test_images_of_28_pixels_are_padded_to_32() -> None:
    nets = LSRGANNets((1, 28, 28))
    assert nets.border.widths == (2, 2, 2, 2)
    x = torch.rand(3, 1, 28, 28)
    padded = nets.encoder()[0](x)
    assert padded.shape == (3, 1, 32, 32)
    torch.testing.assert_close(padded[:, :, 2:-2, 2:-2], 2 * x - 1)
    assert bool((padded[:, :, :2] == -1).all())
    crop = nets.decoder()[-1]
    inner = crop(torch.atanh(0.999 * padded))
    torch.testing.assert_close(inner, (0.999 * (2 * x - 1) + 1) / 2, rtol=0, atol=1e-5)
    with pytest.raises(InputError, match="images, not vectors"):
        LSRGANNets((12,))
    with pytest.raises(InputError, match="--width 5: the residual networks need an even one"):
        LSRGANNets((1, 8, 8), width=5)
