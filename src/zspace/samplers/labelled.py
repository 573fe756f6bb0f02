"""The prior of conditional models, whose codes are noise and the indicator of a class."""

from __future__ import annotations

import torch
from torch import Tensor

from zspace.core import Sampler
from zspace.errors import InputError
from zspace.functional import one_hot
from zspace.samplers.normal import Normal, no_labels


class Labelled(Sampler):
    """The distribution of codes z = (n, e_y), with n ~ N(0, I) and e_y the indicator of a label y.

    If no label is given, all labels are equally likely.

    Args:
        noise_dim: the size of n; a code has noise_dim + K numbers.
        classes: K, the number of labels; if it is 0, codes are noise alone.
    """

    by_label = True
    exportable = True
    jumps = True

    def __init__(self, noise_dim: int, classes: int) -> None:
        super().__init__()
        self.normal, self.classes = Normal(noise_dim), classes

    @property
    def labels(self) -> int:
        return self.classes

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        noise = self.normal.draw(n, generator=generator)
        if not self.classes:
            no_labels(label)
            return noise
        device = noise.device
        if label is None:
            y = torch.randint(self.classes, (n,), generator=generator, device=device)
        else:
            self.name_of(label)  # refuses an unknown label
            y = torch.full((n,), label, device=device)
        return self._joined(noise, y)

    @property
    def noise_dim(self) -> int:
        return self.normal.noise_dim

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        if not self.classes:
            return noise
        if y is None:
            raise InputError("these codes are of a class: give its label")
        return self._joined(noise, y)

    def _joined(self, noise: Tensor, y: Tensor) -> Tensor:
        return torch.cat([noise, one_hot(y, self.classes).to(noise)], 1)
