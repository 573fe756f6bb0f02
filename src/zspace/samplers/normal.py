"""The normal distribution with a full covariance."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from zspace.core import Density, Progress, Sampler
from zspace.errors import InputError
from zspace.functional.tensors import all_finite, rows_at_once, where_exact

RIDGE = 1e-6
"""The share of each variance that is added to it, since codes may span a subspace."""


class Normal(Density):
    """The normal distribution N(mean, covariance) of codes, which is N(0, I) before it is fitted.

    Args:
        dim: D, the size of a code; None takes it from the codes that it is fitted to.

    >>> Normal(2).sample(3).shape, Normal(2).log_prob(torch.zeros(1, 2))
    (torch.Size([3, 2]), tensor([-1.8379]))
    """

    exportable = True
    mean: Tensor
    factor: Tensor

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.of_size(dim)

    def build(self, dim: int) -> None:
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("factor", torch.eye(dim))

    def fit_to(self, z: Tensor, y: Tensor | None, progress: Progress) -> None:
        """Fit the mean and the maximum-likelihood covariance to codes (N, D), N above 1."""
        mean, covariance = moments(z)
        self.to(z.device)
        self.mean.copy_(mean)
        self.factor.copy_(torch.linalg.cholesky(covariance))

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        no_labels(label)
        noise = torch.randn(n, self.noise_dim, generator=generator, device=self.mean.device)
        return self.of_noise(noise)

    @property
    def noise_dim(self) -> int:
        return len(self.mean)

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        return self.mean + noise @ self.factor.T

    def log_density(self, z: Tensor) -> Tensor:
        normal = MultivariateNormal(self.mean, scale_tril=self.factor, validate_args=False)
        return normal.log_prob(z)


def moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (D,) and the covariance (D, D) of codes (N, D), in float64.

    The covariance is regularised, so that it has a Cholesky factor.

    Raises:
        InputError: the codes have wrong shapes or values.
    """
    mean, covariance, scales = scaled_moments(z)
    return mean, covariance + (RIDGE * scales).diag()


def scaled_moments(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean (D,), the covariance (D, D) as it is, and the scales (D,) of codes, in float64.

    The scales are what `scales_of` gives; Raises are those of `moments`.
    """
    check_codes(z)
    blocks = where_exact(z).split(rows_at_once(z.shape[1]))
    mean = torch.zeros_like(blocks[0][0], dtype=torch.float64)
    for block in blocks:
        mean += block.double().sum(0) / len(z)
    covariance = torch.zeros_like(mean).diag()
    for block in blocks:
        centred = block.double() - mean
        covariance += centred.T @ centred / len(z)
    return mean, covariance, scales_of(covariance.diagonal(), mean)


def scales_of(variance: Tensor, mean: Tensor) -> Tensor:
    """The variances (D,) to which a ridge is relative, so that a narrow dimension stays narrow.

    They are the codes' own. A dimension in which all codes agree, but for the rounding of their
    mean (D,) in double precision, has the mean over all dimensions; or 1e-12, if all are such.
    """
    varies = variance > (1e-14 * mean) ** 2
    general = torch.where(varies.any(), variance.mean(), 1e-12)
    return torch.where(varies, variance, general)


def normal_cdf(x: Tensor) -> Tensor:
    """The cumulative distribution function of N(0, 1) at x of any shape, in [0, 1]."""
    return 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def check_codes(z: Tensor) -> None:
    """Check codes (N, D) to which a sampler is to be fitted.

    Raises:
        InputError: the shape is another, N is below 2, or there are NaN or infinite values.
    """
    if z.ndim != 2 or len(z) < 2:
        raise InputError(f"codes must be (N, D) with N at least 2, not {tuple(z.shape)}")
    if not all_finite(z):
        raise InputError("the codes hold NaN or infinite numbers: no sampler can be fitted to them")


def no_labels(label: int | None) -> None:
    """Refuse a label, for samplers that know none.

    Raises:
        InputError: a label is given.
    """
    if label is not None:
        raise InputError("this sampler knows no labels: ask it for none")


def highest_label(y: Tensor | None, classes: int | None) -> int:
    """The highest of labels (N,), -1 if none is known, after a check against the option `classes`.

    Raises:
        InputError: the option is set, and no label is known, or one is not below it.
    """
    highest = -1 if y is None or not len(y) else int(y.max())
    if classes and not 0 <= highest < classes:
        have = f"a label {highest}" if highest >= 0 else "no labels"
        raise InputError(f"--classes {classes}: the data have {have}")
    return highest


def learned_label(sampler: Sampler, label: int) -> int:
    """The label itself, after a check that its class has training images.

    Raises:
        InputError: the sampler does not know the label, or the class has no training images.
    """
    name = sampler.name_of(label)
    if label not in sampler.learned():
        raise InputError(f"{name} has no training image: there is nothing to learn it from")
    return label
