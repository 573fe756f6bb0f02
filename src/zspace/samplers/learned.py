"""Samplers that learn by iterations: each is a `Method`, too, and its batches are codes."""

from __future__ import annotations

from abc import ABC
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Generic, Self, TypeVar

import torch
from torch import Tensor

from zspace.core import Batches, Density, Method, Sampler
from zspace.functional import stream
from zspace.options import About
from zspace.samplers.normal import RIDGE, check_codes
from zspace.training import Precision, fit, make_fabric

FitIterations = Annotated[int, About("of the fit", least=1)]
FitBatch = Annotated[int, About("codes of a batch", least=1)]
FitRate = Annotated[float, About("learning rate of Adam", above=0)]
FitSeed = Annotated[
    int, About("of the fit's initialisation, order and noise", least=0, most=1 << 52)
]


Inner = TypeVar("Inner", bound=Sampler)
InnerDensity = TypeVar("InnerDensity", bound=Density)


ROWS = 4096
"""Codes that are made, or whose density is taken, at a time: memory stays bounded."""


class Learned(Sampler, Method, Generic[Inner], ABC):
    """Codes z = mean + deviation u, in each dimension, of codes u that another sampler learns.

    Its optimisers and objectives learn from batches of standardised codes u = (z - mean) /
    deviation, mean and deviation being those of the codes that it is fitted to. `fit` trains it
    here and now; `zspace.training.fit` by its `batches` does it with a run, from which it resumes.

    Args:
        iterations, batch_size, seed: of the fit.

    Attributes:
        inner: the sampler of u.
    """

    exportable = True
    learns = True
    inner: Inner
    mean: Tensor
    deviation: Tensor

    def __init__(self, dim: int, *, iterations: int, batch_size: int, seed: int) -> None:
        super().__init__()
        self.iterations, self.batch_size, self.seed = iterations, batch_size, seed
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))

    @property
    def labels(self) -> int:
        return self.inner.labels

    def batches(self, z: Tensor, y: Tensor | None = None) -> Batches:
        """Endless batches of codes (N, D), standardised, and labels, where this sampler is."""
        check_codes(z)
        self.mean.copy_(z.double().mean(0))
        variance = z.double().var(0, correction=0)
        # a dimension in which all codes agree stays one
        self.deviation.copy_((variance + RIDGE * variance.mean().clamp(min=1e-12)).sqrt())
        u = (z.to(self.mean) - self.mean) / self.deviation
        size = min(self.batch_size, len(u))
        return Batches(u, y, size=size, seed=self.seed, replacement=True, device=self.mean.device)

    def fit(self, z: Tensor, y: Tensor | None = None, *, precision: Precision = "32") -> Self:
        """Learn codes (N, D) and, where this sampler knows them, their labels (N,)."""
        self.to(z.device)
        fabric = make_fabric(z.device.type, precision)
        fit(self, self.batches(z, y), self.iterations, fabric=fabric)
        return self

    def sample(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return self.mean + self.deviation * self.inner.sample(n, label, generator=generator)

    @property
    def noise_dim(self) -> int:
        return self.inner.noise_dim

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        return self.mean + self.deviation * self.inner.of_noise(noise, y)


class LearnedDensity(Learned[InnerDensity], Density, ABC):
    """Likewise of a density: log p(z) = log p(u) - sum_d log deviation_d."""

    def log_prob(self, z: Tensor) -> Tensor:
        u = (z - self.mean) / self.deviation
        return self.inner.log_prob(u) - self.deviation.log().sum()


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Initial weights by a seed of their own, whatever else is drawn before or after."""
    with torch.random.fork_rng([]):
        torch.manual_seed(stream(seed, 31))
        yield
