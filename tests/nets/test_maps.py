"""Networks whose codes are maps."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from tests.conftest import seeded
from zspace.errors import InputError
from zspace.nets.maps import MapAttention, MapBlock, MapNets, Patches, map_shape
from zspace.nets.velocity import MapVelocity


@pytest.mark.parametrize(
    ("shape", "factor", "code"),
    [
        ((3, 32, 32), None, (4, 8, 8)),
        ((3, 64, 64), None, (4, 8, 8)),
        ((3, 64, 64), 4, (4, 16, 16)),
        ((1, 28, 28), None, (4, 7, 7)),
        ((1, 45, 30), None, (4, 6, 4)),
        ((1, 8, 8), None, (4, 4, 4)),
        ((3, 218, 178), None, (4, 7, 6)),
    ],
)
def test_codes_are_maps_of_eight_by_eight_or_less(
    shape: tuple[int, ...], factor: int | None, code: tuple[int, ...]
) -> None:
    nets = MapNets(shape, 4, 8, factor)
    assert nets.code_shape == code
    x = torch.rand(2, *shape)
    z = nets.encoder(2 * nets.latent_dim)(x)
    assert z.shape == (2, 2 * nets.latent_dim)
    assert nets.decoder()(z[:, : nets.latent_dim]).shape == x.shape


def test_means_are_the_first_channels() -> None:
    """The first half of an encoder's output is a map of its own, not every second channel."""
    nets = MapNets((1, 8, 8), 2, 8)
    encoder = nets.encoder(2 * nets.latent_dim)
    last = encoder[-2]
    torch.nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor([1.0, 2.0, 3.0, 4.0])
    mean, rest = encoder(torch.rand(1, 1, 8, 8)).chunk(2, 1)
    assert mean.unflatten(1, nets.code_shape)[0, :, 0, 0].tolist() == [1, 2]
    assert rest.unflatten(1, nets.code_shape)[0, :, 3, 3].tolist() == [3, 4]


@pytest.mark.parametrize("factor", [3, 1, 32, 64])
def test_factors_that_do_not_fit_are_refused(factor: int) -> None:
    with pytest.raises(InputError, match="reduced by a power of 2 from 2 to 16"):
        MapNets((3, 32, 32), factor=factor)


def test_vectors_are_refused() -> None:
    with pytest.raises(InputError, match="images, not vectors"):
        MapNets((12,))


def test_blocks_begin_as_their_shortcut() -> None:
    h, c = torch.randn(2, 32, 4, 4), torch.randn(2, 8)
    assert torch.equal(MapBlock(32, 32, 8)(h, c), h)
    assert torch.equal(MapAttention(32)(h), h)


def test_a_condition_scales_and_shifts() -> None:
    block = MapBlock(16, 16, 4)
    torch.nn.init.normal_(block.conv2.weight)
    h = torch.randn(2, 16, 4, 4)
    c = torch.randn(2, 4)
    assert not torch.allclose(block(h, c), block(h, c.flip(0)))
    assert block.condition is not None
    torch.nn.init.zeros_(block.condition.weight)
    torch.nn.init.zeros_(block.condition.bias)
    torch.testing.assert_close(block(h, c), block(h))


def test_attention_is_that_of_pytorch() -> None:
    layer = MapAttention(64)
    torch.nn.init.eye_(layer.outside.weight[:, :, 0, 0])
    h = torch.randn(3, 64, 4, 5)
    query, key, value = layer.inside(layer.norm(h)).chunk(3, 1)

    def heads(x: torch.Tensor) -> torch.Tensor:
        return x.reshape(3, 2, 32, 20).transpose(2, 3)

    mixed = scaled_dot_product_attention(heads(query), heads(key), heads(value))
    expected = h + mixed.transpose(2, 3).reshape(3, 64, 4, 5)
    torch.testing.assert_close(layer(h), expected)


def test_patches_are_judged_each_for_itself() -> None:
    """A change in a corner does not reach the logits of the opposite one, but by group norm."""
    judge = Patches(3, 8)
    for layer in judge.layers[1:]:
        layer[1] = torch.nn.Identity()
    x = torch.rand(1, 3, 32, 32)
    changed = x.clone()
    changed[:, :, :4, :4] = 0
    moved = (judge(x) - judge(changed)).abs()[0, 0]
    assert moved.shape == (8, 8)
    assert moved[0, 0] > 0
    assert moved[5:, 5:].max() == 0


@pytest.mark.parametrize("shape", [(2, 8, 8), (3, 7, 7), (4, 16, 16), (1, 4, 6), (1, 1, 1)])
def test_a_velocity_of_maps_begins_on_straight_paths(shape: tuple[int, int, int]) -> None:
    net = MapVelocity(shape, 16, 1, 3)
    u = torch.randn(5, shape[0] * shape[1] * shape[2], generator=seeded())
    for t in (0.0, 0.5, 1.0):
        q = t * t + (1 - t) ** 2
        torch.testing.assert_close(net(u, torch.full((1, 1), t)), (2 * t - 1) / q * u)
    torch.nn.init.normal_(net.leave.weight)
    t, y = torch.rand(5, 1), torch.tensor([0, 1, 2, 3, 3])
    out = net(u, t, y)
    assert out.shape == u.shape
    torch.testing.assert_close(out[3:], net(u, t)[3:])  # the last label stands for none


def test_every_parameter_of_a_velocity_learns() -> None:
    net = MapVelocity((2, 8, 8), 16, 1, 2)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.1)
    net(torch.randn(4, 128), torch.rand(4, 1), torch.tensor([0, 1, 2, 2])).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in net.parameters())


def test_shapes_in_words() -> None:
    assert map_shape(None) is None
    assert map_shape("4, 8,7") == (4, 8, 7)
    for wrong in ("4,8", "4x8x8", "0,8,8", "-1,8,8", "4,8,9999999"):
        with pytest.raises(InputError, match="channels, height and width"):
            map_shape(wrong)
