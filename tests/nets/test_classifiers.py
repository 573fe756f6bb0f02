"""Classifiers of published sizes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from zspace.errors import InputError
from zspace.nets.classifiers import (
    ClassifierNet,
    cnn,
    densenet,
    dropout_cnn,
    quick,
    resnet56,
    silu_resnet,
)


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_resnet56_has_the_published_size() -> None:
    """He et al., Table 6: 0.85 million parameters, counted here from the layers' sizes."""
    net = resnet56((3, 32, 32), 10)
    # (inputs, outputs) of each stage's first convolution, and of its 17 others
    pairs = [(3, 16), (16, 16), (16, 32), (32, 64)]
    pairs += [(c, c) for c in (16, 32, 64) for _ in range(17)]
    assert count(net) == sum(9 * a * b + 2 * b for a, b in pairs) + 64 * 10 + 10 == 853_018
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 55
    assert net.features(torch.rand(2, 3, 32, 32)).shape == (2, 64)


@pytest.mark.parametrize("build", [cnn, resnet56, dropout_cnn, silu_resnet])
def test_the_quick_form_is_the_same_function(build: Callable[..., ClassifierNet]) -> None:
    torch.manual_seed(0)
    net = build((3, 32, 32), 5)
    for layer in net.modules():  # statistics that are not those of the start
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.normal_(layer.weight, 1, 0.1)
            nn.init.normal_(layer.bias)
    net.eval()
    same, x = quick(net), torch.rand(6, 3, 32, 32)
    torch.testing.assert_close(same(x), net(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(same.features(x), net.features(x), rtol=1e-4, atol=1e-4)
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in n.modules()) for n in (net, same)]
    assert norms[1] == 0
    assert (norms[0] > 0) == (build is not dropout_cnn)


@pytest.mark.parametrize("build", [cnn, resnet56, silu_resnet])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 48)])
def test_classifiers_of_all_sizes(
    build: Callable[[tuple[int, ...], int], nn.Module], shape: tuple[int, ...]
) -> None:
    assert build(shape, 5)(torch.rand(2, *shape)).shape == (2, 5)
    with pytest.raises(InputError, match="8 pixels or more"):
        build((1, 4, 4), 5)


def test_silu_resnet_has_nine_layers() -> None:
    net = silu_resnet((3, 32, 32), 10)
    pairs = [(3, 32), (32, 64), (64, 64), (64, 64), (64, 128), (128, 256), (256, 256), (256, 256)]
    assert count(net) == sum(9 * a * b + 2 * b for a, b in pairs) + 256 * 10 + 10
    assert net.features(torch.rand(2, 3, 32, 32)).shape == (2, 256)


def test_densenet_bc_100_has_its_published_size() -> None:
    body, features = densenet((3, 32, 32))
    total = sum(p.numel() for p in body.parameters()) + (features + 1) * 10
    # Huang et al., Table 2: 0.8 million
    assert (features, total) == (342, 769_162)
