"""Classifiers of published sizes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from zspace.errors import InputError
from zspace.nets.classifiers import cnn, densenet, resnet56


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


@pytest.mark.parametrize("build", [cnn, resnet56])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 48)])
def test_classifiers_of_all_sizes(
    build: Callable[[tuple[int, ...], int], nn.Module], shape: tuple[int, ...]
) -> None:
    assert build(shape, 5)(torch.rand(2, *shape)).shape == (2, 5)
    with pytest.raises(InputError, match="8 pixels or more"):
        build((1, 4, 4), 5)


def test_densenet_bc_100_has_its_published_size() -> None:
    body, features = densenet((3, 32, 32))
    total = sum(p.numel() for p in body.parameters()) + (features + 1) * 10
    # Huang et al., Table 2: 0.8 million
    assert (features, total) == (342, 769_162)
