"""A normal distribution of tuned width for the codes of each class (categorical generation)."""

from __future__ import annotations

from abc import ABC
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from zspace.core import Progress, Sampler
from zspace.errors import InputError
from zspace.functional import blockwise
from zspace.functional.tensors import doubled, rows_at_once
from zspace.options import About
from zspace.samplers.normal import check_codes, highest_label, learned_label

Classes = Annotated[
    int | None, About("number of labels (unset: as many as the data have)", least=1, most=1e5)
]
"""The option for the number of labels."""


class Classwise(Sampler, ABC):
    """Normal distributions of the codes of each class, with scaled standard deviations.

        z = (1/n) sum_i z_i with z_i ~ N(mu_y, diag(theta sigma_y)^2), for a label y

    mu_y and sigma_y are the mean and the standard deviation, in each dimension, of the codes of y's
    training images; theta in [0, 1] scales sigma_y (the paper's Equation 3; its text says that it
    scales the variance). The average of n draws has the distribution of one draw with
    theta / sqrt(n). Subclasses differ in whether theta depends on the dimension and the class. If
    no label is given, labels are drawn by their shares of the codes.

    Args:
        dim: D, the size of a code; None takes it from the codes that it is fitted to.
        theta: the factors in [0, 1], (1 or L, 1 or D).
        classes: L, the number of labels; None takes it from the data.
        average: n, the number of draws that are averaged.

    Reference: Categorical generation of images via analysis of learned latent vectors, section 3.5.
    """

    by_label = True
    exportable = True
    jumps = True
    by_dimension: ClassVar[bool] = False
    varying = "mean", "deviation", "counts"
    mean: Tensor
    deviation: Tensor
    counts: Tensor

    def __init__(
        self, dim: int | None, theta: Tensor, classes: int | None, average: int = 1
    ) -> None:
        super().__init__()
        self.theta, self.classes, self.average = theta, classes or 0, average
        self.of_size(dim)

    def build(self, dim: int) -> None:
        if self.by_dimension and self.theta.shape[1] != dim:
            raise InputError(
                f"--theta has {self.theta.shape[1]} numbers, codes have {dim} dimensions: give one "
                "for each"
            )
        self.register_buffer("mean", torch.zeros(self.classes, dim))
        self.register_buffer("deviation", torch.ones(self.classes, dim))
        self.register_buffer("counts", torch.zeros(self.classes, dtype=torch.int64))

    def fault(self) -> str | None:
        return None if bool((self.counts >= 0).all()) else "a number of codes is below 0"

    @property
    def labels(self) -> int:
        return max(len(self.names), len(self.counts))

    def fit_to(self, z: Tensor, y: Tensor | None, progress: Progress) -> None:
        """Fit the means and deviations to codes (N, D) by their labels (N,); -1 is an unknown one.

        Raises:
            InputError: there are no labels, one is not below `classes`, or `theta` has another
                number of rows than classes.
        """
        check_codes(z)
        if y is None or not bool((y >= 0).any()):
            raise InputError("these samplers are of the codes of a class: the data have no labels")
        y = y.to(z.device)
        highest_label(y, self.classes)
        self.counts = torch.bincount(y[y >= 0], minlength=self.classes)
        if len(self.theta) not in (1, len(self.counts)):
            raise InputError(
                f"theta has {len(self.theta)} rows, the data have {len(self.counts)} classes: give "
                "a row for each"
            )
        own = [doubled(z[y == label]) for label in range(len(self.counts))]
        empty = torch.zeros_like(z[0])
        self.mean = torch.stack([o.mean(0).to(z) if len(o) else empty for o in own])
        self.deviation = torch.stack(
            [o.std(0, correction=0).to(z) if len(o) else empty for o in own]
        )
        self.found = {"classes": len(self.counts)}

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Codes (n, D) of one label or, without a label, of labels drawn by their shares.

        Raises:
            InputError: the label is out of range, or its class has no training images.
        """
        device = self.mean.device
        if label is None:
            shares = self.counts.clamp(min=0).float()
            if not bool(shares.any()):
                raise InputError("no class has a training image: there is nothing to draw")
            y = torch.multinomial(shares, n, replacement=True, generator=generator)
        else:
            y = torch.full((n,), learned_label(self, label), device=device)
        theta = self.theta.to(device).expand(len(self.counts), -1)
        shape = self.average, self.mean.shape[1]

        def draw(y: Tensor) -> Tensor:
            noise = torch.randn(len(y), *shape, generator=generator, device=device)
            return self.codes(y, noise, theta)

        # a multiple of 16 rows, whose noise PyTorch draws as in one tensor
        return blockwise(draw, y, 16 * rows_at_once(16 * self.noise_dim))

    @property
    def noise_dim(self) -> int:
        return self.average * self.mean.shape[1]

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        if y is None:
            raise InputError("these samplers are of the codes of a class: give its label")
        theta = self.theta.to(noise).expand(len(self.counts), -1)
        return self.codes(y, noise.unflatten(1, (self.average, -1)), theta)

    def codes(self, y: Tensor, noise: Tensor, theta: Tensor) -> Tensor:
        """The codes (N, D) for labels and noise.

        Args:
            y: labels (N,).
            noise: samples (N, n, D) of N(0, I).
            theta: the factors (L, 1 or D).
        """
        draws = self.mean[y][:, None] + (theta[y] * self.deviation[y])[:, None] * noise
        return draws.mean(1)

    def learned(self) -> list[int]:
        return self.counts.nonzero()[:, 0].tolist()


class Simple(Classwise):
    """The classwise sampler with a single theta, whose codes are averages of n draws.

    Args:
        dim: D, the size of a code; None takes it from the codes that it is fitted to.
    """

    def __init__(
        self,
        dim: int | None = None,
        *,
        theta: Annotated[
            float, About("factor on the classes' standard deviations", least=0, most=1)
        ] = 1.0,
        average: Annotated[
            int, About("number of draws that are averaged to a code", least=1, most=1000)
        ] = 1,
        classes: Classes = None,
    ) -> None:
        super().__init__(dim, torch.tensor([[theta]]), classes, average)


class Medium1(Classwise):
    """The classwise sampler with a theta for each dimension, the same for all classes.

    Args:
        dim: D, the size of a code; None takes it from the codes that it is fitted to.

    Raises:
        InputError: theta is not set, or is not a row of D numbers in [0, 1].
    """

    by_dimension = True

    def __init__(
        self,
        dim: int | None = None,
        *,
        theta: Annotated[
            str | None,
            About(
                "factors on the classes' standard deviations, one for each dimension, separated by "
                "commas (unset: none; 'zspace tune' finds them)"
            ),
        ] = None,
        classes: Classes = None,
    ) -> None:
        super().__init__(dim, _given("medium1", theta), classes)


class Medium2(Classwise):
    """The classwise sampler with a theta for each dimension and class.

    Args:
        dim: D, the size of a code; None takes it from the codes that it is fitted to.

    Raises:
        InputError: theta is not set, or is not made of rows of D numbers in [0, 1].
    """

    by_dimension = True

    def __init__(
        self,
        dim: int | None = None,
        *,
        theta: Annotated[
            str | None,
            About(
                "factors on the standard deviations, one for each dimension, separated by commas, "
                "for each class, separated by ; (unset: none; 'zspace tune' finds them)"
            ),
        ] = None,
        classes: Classes = None,
    ) -> None:
        super().__init__(dim, _given("medium2", theta), classes)


def _given(name: str, theta: str | None) -> Tensor:
    """The rows of as many numbers in [0, 1] each in the text of an option."""
    if theta is None:
        raise InputError(
            f"{name} has no theta: 'zspace tune RUN --sampler {name}' finds one, 'zspace "
            f"fit-sampler RUN --sampler {name} --theta ...' sets it"
        )
    rows = theta.split(";")
    if name == "medium1" and len(rows) > 1:
        raise InputError(f"--theta has {len(rows)} rows: medium1 has one for all classes")
    try:
        numbers = [[float(v) for v in row.split(",")] for row in rows]
    except ValueError:
        raise InputError(
            f"--theta must be numbers with commas between them, not '{theta[:60]}'"
        ) from None
    for row in numbers:
        if len(row) != len(numbers[0]):
            raise InputError(f"--theta has rows of {len(numbers[0])} and of {len(row)} numbers")
        for value in row:
            if not 0 <= value <= 1:
                raise InputError(f"--theta must be numbers in [0, 1], not {value:g}")
    return torch.tensor(numbers)


def as_text(theta: Any) -> str:
    """Rows of numbers as the text that the option `theta` takes."""
    return ";".join(",".join(f"{v:g}" for v in row) for row in theta)
