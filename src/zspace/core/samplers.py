"""`Sampler` and `Density`: distributions of latent codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from zspace.errors import InputError


class Sampler(nn.Module, ABC):
    """A distribution of latent codes that can be drawn from.

    The least that a new one must write, to be fitted to any model's codes and used by every
    command:

    - a constructor `(self, dim, *, ...)`, `dim` being D, the size of a code. Its options are
      keywords annotated with `zspace.options.About`; from them come the command line's options,
      their help and their checks. What fitting finds lies in buffers, whose shapes follow from the
      constructor's arguments: a stored sampler is built before its tensors are read.
    - `fit(z, y)`: codes (N, D), float32, and labels (N,), int64, or None; returns self.
    - `sample(n, label, generator=...)`: codes (n, D).

    A `Density` adds `log_prob`; one that is `by_label` adds `labels`. One line in
    `zspace.recipes.catalogue.SAMPLERS`, or an entry point of the group `zspace.samplers` in another
    package, makes it known by name. The class says by these attributes what else it can do;
    commands, help texts and docs read them.

    Attributes:
        by_label: codes of one label can be asked for, where it was fitted to labelled codes.
        exportable: its codes are a function of normal noise (`noise_dim`, `of_noise`), which
            `zspace export` writes to a file.
        learns: it is trained by iterations (`zspace.samplers.Learned`).
        drawing: names of the options that say how codes are drawn, and not what is fitted.
        found: options that were left unset and that fitting has found; stored with the sampler.
        names: the names of the labels' classes (see `with_names`).
    """

    by_label: ClassVar[bool] = False
    exportable: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    drawing: ClassVar[tuple[str, ...]] = ()
    found: Mapping[str, Any] = {}
    names: tuple[str, ...] = ()

    def with_names(self, names: Sequence[str]) -> Self:
        """This sampler, whose labels are those of the classes of these names."""
        self.names = tuple(names)
        return self

    @property
    def labels(self) -> int:
        """How many labels codes can be asked for by; 0: it knows none."""
        return len(self.names) if self.by_label else 0

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
    """A sampler whose density is known: it must write `log_prob`, besides what a `Sampler` must.

    One that is fitted to labelled codes has the density of all of them, whatever their labels.
    """

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats: codes (N, D) to (N,)."""
