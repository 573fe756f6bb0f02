"""The uniform distribution on the unit sphere."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from zspace.core import Sampler
from zspace.samplers.normal import Normal, no_labels


class Sphere(Sampler):
    """The uniform distribution on the unit sphere in D dimensions: z = n / ||n||, n ~ N(0, I).

    It has no density in the surrounding space.

    Args:
        dim: D, the size of a code.
    """

    exportable = True

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.normal = Normal(dim)

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        no_labels(label)
        return normalize(self.normal.draw(n, generator=generator))

    @property
    def noise_dim(self) -> int:
        return self.normal.noise_dim

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        return normalize(self.normal.of_noise(noise))
