"""Codes and brief fits that the tests of samplers share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from zspace.core import Sampler
from zspace.recipes import catalogue
from zspace.recipes.catalogue import SAMPLERS
from zspace.samplers import Learned


def made(name: str, dim: int) -> Sampler:
    """A sampler that is not fitted yet, with the options that it can't do without."""
    return catalogue.make(name, dim, needed(name, dim))


def needed(name: str, dim: int) -> dict[str, Any]:
    """A theta, or few iterations."""
    if name.startswith("medium"):
        return {"theta": ",".join(["0.5"] * dim)}
    return BRIEF if catalogue.find(name).learns else {}


BRIEF: dict[str, Any] = {"iterations": 20, "batch_size": 64}


KIND = pytest.mark.parametrize("name", SAMPLERS)


def clouds(n: int = 1500) -> torch.Tensor:
    """Two Gaussians of different shape in three dimensions."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, 3, generator=generator)
    first = z[: n // 3] @ torch.tensor([[2.0, 0.5, 0], [0, 1, 0], [0, 0, 0.3]]) + torch.tensor(
        [4.0, 0, 0]
    )
    second = 0.5 * z[n // 3 :] - torch.tensor([3.0, 1, 0])
    return torch.cat([first, second])


def classes(n: int = 3000, dim: int = 2) -> tuple[Tensor, Tensor]:
    """Codes of three classes, of different places and widths."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    scale = torch.tensor([1.0, 2.0, 0.5])[y][:, None]
    return scale * torch.randn(n, dim, generator=generator) + 10 * y[:, None], y


LEARNED = [name for name, kind in catalogue.SAMPLERS.items() if issubclass(kind, Learned)]


def two_clouds(n: int = 2000) -> tuple[Tensor, Tensor]:
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    y = torch.arange(n) % 2
    return 0.4 * z + torch.tensor([[2.0, 0], [-2.0, 1]])[y], y
