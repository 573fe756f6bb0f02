"""`Sampler` and `Density`, the distributions of latent codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from zspace.errors import InputError


class Sampler(nn.Module, ABC):
    """A distribution of latent codes from which codes can be drawn.

    A new sampler that can be fitted to any model's codes and used by every command must define:

    - a constructor `(self, dim, *, ...)`, where `dim` is D, the size of a code. Its options are
      keywords with a default, such as `width: Annotated[float, About("width", above=0)] = 1.0`
      (`zspace.options.About`), from which the options of the command line, their help and their
      checks follow; the names of the commands' own options (`--n`, `--seed`, `--device`, ...) are
      taken. Fitted values are buffers, whose shapes follow from the constructor's arguments, since
      a stored sampler is built before its tensors are read.
    - `fit(z, y)`, which takes codes (N, D), float32, and labels (N,), int64, or None, and returns
      the sampler itself.
    - `sample(n, label, generator=...)`, which returns finite codes (n, D) on the sampler's device,
      all of whose randomness comes from the generator.

    A `Density` adds `log_prob`, and a sampler that is `by_label` adds `labels`. One line in
    `zspace.recipes.catalogue.SAMPLERS`, or an entry point of the group `zspace.samplers` in another
    package, makes it known by name; zspace's own names win. The attributes below say what else the
    class can do; commands, help texts and docs read them.

    Attributes:
        by_label: whether it can draw codes of one label, if it was fitted to labelled codes.
        exportable: whether its codes are a function of normal noise (`noise_dim`, `of_noise`),
            which `zspace export` writes to a file.
        learns: whether it is trained by iterations (`zspace.samplers.Learned`).
        drawing: the names of the options that affect how codes are drawn, but not the fit.
        found: values that fitting has found for unset options; stored with the sampler.
        names: the names of the labels (see `with_names`).
    """

    by_label: ClassVar[bool] = False
    exportable: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    drawing: ClassVar[tuple[str, ...]] = ()
    found: Mapping[str, Any] = {}
    names: tuple[str, ...] = ()

    def with_names(self, names: Sequence[str]) -> Self:
        """This sampler, after the names of its labels are set."""
        self.names = tuple(names)
        return self

    @property
    def labels(self) -> int:
        """The number of labels that can be asked for; 0 if the sampler knows none."""
        return len(self.names) if self.by_label else 0

    def learned(self) -> list[int]:
        """The labels whose codes can be drawn, which are those with training images."""
        return list(range(self.labels))

    def name_of(self, label: int) -> str:
        """The name of a label for messages, such as "class 7".

        Raises:
            InputError: the sampler does not know the label.
        """
        if not 0 <= label < self.labels:
            raise InputError(f"label {label} is none of the {self.labels} of these codes")
        return f"class {self.names[label] if label < len(self.names) else label}"

    def changed(self, **drawing: Any) -> Sampler:
        """The same distribution with other options for drawing codes, those in `drawing`."""
        return self

    def fit(self, z: Tensor, y: Tensor | None = None) -> Self:
        """Fit the sampler to codes (N, D) and, if it uses them, their labels (N,), on any device.

        Returns the sampler itself, on the codes' device.
        Raises:
            InputError: the codes or labels can't be used, or the sampler is trained with a model.
        """
        raise InputError(f"{type(self).__name__} is learned with its model and fits no codes")

    @abstractmethod
    def sample(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Codes (n, D) drawn from the distribution.

        Args:
            n: the number of codes.
            label: the label of the codes, if the sampler knows labels; None draws all labels.
            generator: the random generator, on the sampler's device.

        Raises:
            InputError: the label is unknown.
        """

    @property
    def noise_dim(self) -> int:
        """The number of standard normal numbers that determine a code; 0 if they do not."""
        return 0

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        """The codes (N, D) that noise, and labels if the sampler knows any, are mapped to.

        Noise from N(0, I) gives codes of this distribution, so that drawing is a function that can
        be exported.

        Args:
            noise: (N, noise_dim).
            y: labels (N,), or None.

        Raises:
            InputError: the codes are not a function of noise, or labels are missing.
        """
        raise InputError(f"{type(self).__name__} does not make its codes of noise alone")


class Density(Sampler, ABC):
    """A sampler whose density is known, which must define `log_prob`, too.

    The density of a sampler that is fitted to labelled codes is that of all codes, regardless of
    their labels.
    """

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """The log density log p(z) in nats, (N,), at codes (N, D)."""
