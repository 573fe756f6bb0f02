"""Samplers that are trained by iterations: each is also a `Method`, whose batches are codes."""

from __future__ import annotations

from abc import ABC
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Annotated, Generic, TypeVar

import torch
from torch import Tensor

from zspace.core import Batches, Density, Method, Progress, Sampler
from zspace.functional import stream
from zspace.functional.tensors import doubled, own_random
from zspace.options import About
from zspace.samplers.normal import RIDGE, check_codes, scales_of
from zspace.training import Precision, fit, make_fabric

FitIterations = Annotated[int, About("training iterations of the sampler", least=1)]
FitBatch = Annotated[int, About("number of codes in a batch", least=1)]
FitRate = Annotated[float, About("learning rate of Adam", above=0)]
FitSeed = Annotated[
    int, About("seed of the initialisation, order and noise", least=0, most=1 << 52)
]


Inner = TypeVar("Inner", bound=Sampler)
InnerDensity = TypeVar("InnerDensity", bound=Density)


ROWS = 4096
"""The number of codes that are drawn, or whose density is computed, at a time."""


class Learned(Sampler, Method, Generic[Inner], ABC):
    """A sampler that is trained on standardised codes.

        z = mean + deviation u in each dimension, with u from an inner sampler

    The optimisers and objectives train the inner sampler on batches of standardised codes
    u = (z - mean) / deviation, where mean and deviation are those of the codes that it is fitted
    to. `fit` trains it at once; `zspace.training.fit` with its `batches` can also store a run, from
    which the training can be resumed.

    Args:
        iterations: the number of training iterations.
        batch_size: the number of codes in a batch.
        seed: the seed of the initialisation, order and noise.

    Attributes:
        inner: the sampler of u.
        precision: the precision of `fit`, "32" or "bf16".
    """

    exportable = True
    learns = True
    precision: Precision = "32"
    inner: Inner
    mean: Tensor
    deviation: Tensor

    def __init__(self, *, iterations: int, batch_size: int, seed: int) -> None:
        super().__init__()
        self.iterations, self.batch_size, self.seed = iterations, batch_size, seed

    def build(self, dim: int) -> None:
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("deviation", torch.ones(dim))

    @property
    def labels(self) -> int:
        return self.inner.labels

    def schedule(self, iteration: int) -> float:
        """The factor on the learning rate at an iteration, from 0."""
        return 1.0

    def standardised(self, z: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The standardised codes (N, D), and the labels (N,) that are learned with them.

        It also stores the mean and the deviation.
        """
        check_codes(z)
        wide = doubled(z)
        mean = wide.mean(0)
        self.mean.copy_(mean)
        variance = wide.var(0, correction=0)
        # a dimension in which all codes agree keeps a small deviation
        self.deviation.copy_((variance + RIDGE * scales_of(variance, mean)).sqrt())
        return (z.to(self.mean) - self.mean) / self.deviation, y

    def batches(self, z: Tensor, y: Tensor | None = None) -> Batches:
        """Endless batches of codes (N, D), standardised, and labels (N,), on this sampler's device.

        It also stores the mean and the deviation.
        """
        u, y = self.standardised(z, y)
        size = min(self.batch_size, len(u))
        return Batches(u, y, size=size, seed=self.seed, replacement=True, device=self.mean.device)

    def fit_to(self, z: Tensor, y: Tensor | None, progress: Progress) -> None:
        """Train on codes (N, D) and, if this sampler uses them, their labels (N,).

        Args:
            z: the codes, on the device that the training uses.
            y: the labels, or None.
            progress: told the iterations and the losses; its `StopIteration` ends the training.

        Raises:
            InputError: the codes have wrong shapes or values, or a loss is not finite.
        """
        self.to(z.device)
        batches = self.batches(z, y)
        with suppress(StopIteration):
            fit(
                self,
                batches,
                self.iterations,
                rate=self.schedule,
                fabric=make_fabric(z.device.type),
                precision=self.precision,
                progress=progress.about(f"fitting {type(self).__name__}"),
            )
        self.eval()

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return self.mean + self.deviation * self.inner.draw(n, label, generator=generator)

    @property
    def noise_dim(self) -> int:
        return self.inner.noise_dim

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        return self.mean + self.deviation * self.inner.of_noise(noise, y)


class LearnedDensity(Learned[InnerDensity], Density, ABC):
    """A density that is trained on standardised codes.

    log p(z) = log p(u) - sum_d log deviation_d
    """

    def log_density(self, z: Tensor) -> Tensor:
        u = (z - self.mean) / self.deviation
        return self.inner.log_density(u) - self.deviation.log().sum()


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """A context in which initial weights depend on a seed alone, not on earlier random numbers."""
    with own_random(stream(seed, 31)):
        yield
