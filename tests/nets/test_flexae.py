"""FlexAE's networks against the paper's tables."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zspace.nets.flexae import FlexAENets


def shapes(net: nn.Sequential) -> list[str]:
    """A network as the papers write it."""
    words = []
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            kind = "conv" if isinstance(layer, nn.Conv2d) else "tconv"
            words.append(f"{kind} {layer.out_channels},{layer.kernel_size[0]},{layer.stride[0]}")
        elif isinstance(layer, nn.Linear):
            words.append(f"fc {layer.out_features}")
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            words.append("bn")
        elif not isinstance(layer, nn.Unflatten | nn.Flatten | nn.ZeroPad2d):
            words.append(type(layer).__name__.lower())
    return words


def test_networks_are_those_of_tables_7_and_8() -> None:
    nets = FlexAENets((3, 32, 32), 64)
    down = "conv 64,4,2 relu conv 128,4,2 {}relu fc 1024 {}relu fc {}"
    assert " ".join(shapes(nets.encoder())) == down.format("bn ", "bn ", 64)
    assert " ".join(shapes(nets.image_critic())) == down.format("", "", 1)
    assert " ".join(shapes(nets.decoder())) == (
        "fc 1024 bn relu fc 8192 bn relu tconv 128,4,2 bn relu tconv 64,4,2 bn elu "
        "conv 3,4,1 sigmoid"
    )
    assert " ".join(shapes(nets.generator())) == "fc 1024 relu " * 4 + "fc 64"
    assert " ".join(shapes(nets.latent_critic())) == "fc 1024 relu " * 4 + "fc 1"


def test_networks_are_those_of_table_6() -> None:
    nets = FlexAENets((128,), 50, hidden=128)
    assert shapes(nets.encoder()) == ["fc 128", "relu", "fc 50"]
    assert shapes(nets.decoder()) == ["fc 128", "tanh"]
    assert shapes(nets.generator()) == ["fc 128", "relu", "fc 50"]
    assert shapes(nets.latent_critic()) == ["fc 128", "relu", "fc 128", "relu", "fc 1"]


def test_the_codes_variant_of_the_decoder() -> None:
    nets = FlexAENets((1, 28, 28), 20, last_activation="relu", last_kernel=3)
    assert shapes(nets.decoder())[-4:] == ["bn", "relu", "conv 1,3,1", "sigmoid"]


def test_initialisation_is_glorots() -> None:
    """Uniform: never beyond sqrt(6 / (in + out)); normal: of deviation sqrt(2 / (in + out))."""
    torch.manual_seed(0)
    nets = FlexAENets((3, 16, 16), 32, hidden=256)
    cases = {
        "uniform": [nets.encoder()[-1], nets.encoder()[2], nets.image_critic()[-1]],
        "normal": [
            nets.decoder()[3],
            nets.decoder()[7],
            nets.generator()[2],
            nets.latent_critic()[2],
            FlexAENets((128,), 50, hidden=128).decoder()[0],
        ],
    }
    for kind, layers in cases.items():
        for layer in layers:
            weight = layer.weight
            fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(weight)
            deviation = (2 / (fan_in + fan_out)) ** 0.5
            if weight.numel() > 1000:
                assert weight.std().item() == pytest.approx(deviation, rel=0.05)
            beyond = bool(weight.abs().max() > 3**0.5 * deviation * 1.0001)
            assert beyond == (kind == "normal")
            assert not layer.bias.any()
