"""Maximum mean discrepancies between two sets of codes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zspace.errors import InputError
from zspace.functional.tensors import full_precision


def gaussian_mmd(x: Tensor, y: Tensor, variance: float) -> Tensor:
    """An unbiased estimate of the squared maximum mean discrepancy between two distributions.

        (1/(N(N-1))) sum_(i != j) k(x_i, x_j) + (1/(M(M-1))) sum_(i != j) k(y_i, y_j)
            - (2/(N M)) sum_(i, j) k(x_i, y_j)        with k(a, b) = exp(-||a - b||^2 / (2 w^2))

    Args:
        x, y: samples (N, D) and (M, D) of the two distributions, with N and M at least 2.
        variance: w^2, the kernel's variance, above 0.

    Returns a scalar. If the distributions are equal, it is as often below 0 as above.
    Raises:
        InputError: a set has fewer than two samples.

    Reference: Gretton et al., A Kernel Two-Sample Test (2012), Eq. 3; the categorical-generation
    paper's Eq. 2.

    >>> gaussian_mmd(torch.zeros(3, 2), torch.zeros(4, 2), 1.0)
    tensor(0.)
    """
    return _mmd(x, y, lambda squares: (-squares / (2 * variance)).exp())


SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""The scales s of the inverse multiquadratic kernels that the authors of the WAE add up."""


def multiquadratic_mmd(x: Tensor, y: Tensor, variance: float) -> Tensor:
    """`gaussian_mmd` with the kernel k(a, b) = sum_s C_s / (C_s + ||a - b||^2), C_s = s 2 D w^2.

    The kernel falls off slowly, so that codes far from the prior have a gradient, too.

    Args:
        x, y: samples (N, D) and (M, D) of the two distributions, with N and M at least 2.
        variance: w^2, the prior's variance in each dimension: 2 D w^2 is the expected squared
            distance between two of its samples.

    Returns a scalar.
    Raises:
        InputError: a set has fewer than two samples.

    Reference: Tolstikhin et al., Wasserstein Auto-Encoders (2018), Algorithm 2 and section 4; the
    scales s, 0.1 to 10, are the authors' code's.
    """
    expected = 2 * x.shape[1] * variance

    def kernel(squares: Tensor) -> Tensor:
        each = (s * expected / (s * expected + squares) for s in SCALES)
        return torch.stack(list(each)).sum(0)

    return _mmd(x, y, kernel)


def _mmd(x: Tensor, y: Tensor, kernel: Callable[[Tensor], Tensor]) -> Tensor:
    """The unbiased estimate of MMD^2 with a kernel given as a function of squared distances."""
    if min(len(x), len(y)) < 2:
        raise InputError(f"an MMD needs two draws of each at least, not {len(x)} and {len(y)}")

    def gram(a: Tensor, b: Tensor) -> Tensor:
        # products would cancel where codes are far from 0, and differences take N M D numbers
        return kernel(torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square())

    def within(z: Tensor) -> Tensor:
        kernels = gram(z, z)
        return (kernels.sum() - kernels.diagonal().sum()) / (len(z) * (len(z) - 1))

    x, y = full_precision(x), full_precision(y)
    return within(x) + within(y) - 2 * gram(x, y).mean()
