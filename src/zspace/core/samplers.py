"""`Sampler` and `Density`: distributions of latent codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from zspace.errors import InputError


class Sampler(nn.Module, ABC):
    """A distribution of latent codes that can be drawn from.

    Attributes:
        drawing: names of the options that say how codes are drawn, and not what is fitted.
        found: options that were left unset and that fitting has found: stored with the sampler.
        names: of the labels, for messages.
    """

    drawing: tuple[str, ...] = ()
    found: Mapping[str, Any] = {}
    names: Sequence[str] = ()

    @property
    def labels(self) -> int:
        """How many labels codes can be asked for by; 0: it knows none."""
        return 0

    def learned(self) -> list[int]:
        """The labels that codes can be asked for by: of classes that had training images."""
        return list(range(self.labels))

    def name_of(self, label: int) -> str:
        """What a label's class is called; an `InputError` for one that is not known."""
        if not 0 <= label < self.labels:
            raise InputError(f"label {label} is none of the {self.labels} of these codes")
        return f"class {self.names[label] if label < len(self.names) else label}"

    def changed(self, **drawing: Any) -> Sampler:
        """The same distribution, drawn from by other options."""
        return self

    def fit(self, z: Tensor, y: Tensor | None = None) -> Self:
        """Fit to codes (N, D) and, where it uses them, their labels (N,)."""
        raise InputError(f"{type(self).__name__} is learned with its model and fits no codes")

    @abstractmethod
    def sample(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """n codes (n, D), of one label where the sampler knows labels."""

    @property
    def noise_dim(self) -> int:
        """How many numbers of N(0, 1) a code is made of; 0: it is not made of such alone."""
        return 0

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        """The codes (N, D) that noise (N, noise_dim) and, where it knows some, labels (N,) make.

        Noise from N(0, I) makes codes of this distribution: it is drawing as a function, which can
        be exported.
        """
        raise InputError(f"{type(self).__name__} does not make its codes of noise alone")


class Density(Sampler, ABC):
    """A sampler whose density is known."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats: codes (N, D) to (N,)."""
