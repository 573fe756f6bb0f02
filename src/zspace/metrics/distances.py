"""Distances between two sets of vectors: by kernels, and Wasserstein's."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance as scipy_wasserstein_distance
from torch import Tensor, nn

from zspace.errors import InputError
from zspace.functional.tensors import all_finite, own_random, rows_at_once
from zspace.metrics.arrays import of_arrays

SORTED = 8
"""The numbers that are held for each one that is sorted: both sets, in order, with its indices."""


@of_arrays
def kernel_inception_distance(
    reference: Tensor,
    generated: Tensor,
    *,
    subsets: int = 100,
    size: int = 1000,
    paired: bool = False,
    seed: int = 0,
) -> tuple[float, float]:
    """The kernel inception distance: the unbiased squared MMD with the kernel (x.y / D + 1)^3.

    Args:
        reference, generated: (N, D) and (M, D), N and M above 1.
        subsets: the number of random subsets of each set that the distance is averaged over.
        size: the number of samples in a subset, at most that of the smaller set.
        paired: whether `generated[i]` is made of `reference[i]`, such as its reconstruction. Pairs
            would draw the distance below 0; so it is that of a half of `reference`, chosen at
            random, from what was made of the other half.
        seed: the seed of the subsets' choice.

    Returns the mean and the standard deviation over subsets, as torchmetrics computes them.
    Raises:
        InputError: wrong shapes, fewer than 2 samples (4 pairs), NaN or infinite values, no subset
            or subsets of fewer than 2 samples, pairs of which sizes differ.

    Reference: Binkowski et al. (2018), Demystifying MMD GANs.
    """
    check_pair(reference, generated)
    if subsets < 1 or size < 2:
        raise InputError(f"KID needs subsets of 2 samples or more, not {subsets} of {size}")
    if paired:
        if len(reference) != len(generated) or len(reference) < 4:
            raise InputError(
                "KID of pairs needs two sets of one size, 4 or more, not "
                f"{len(reference)} and {len(generated)}"
            )
        order = torch.randperm(len(reference), generator=torch.Generator().manual_seed(seed))
        half = len(order) // 2
        reference, generated = reference[order[:half]], generated[order[half:]]
    from torchmetrics.image.kid import KernelInceptionDistance

    size = min(size, len(reference), len(generated))
    with own_random(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics warns that it keeps all features
        kid = KernelInceptionDistance(nn.Identity(), subsets=subsets, subset_size=size)
        # cubes of products, whose differences float32 can't tell for vectors far from 0
        kid.update(real(reference).cpu().double(), real=True)
        kid.update(real(generated).cpu().double(), real=False)
        mean, deviation = kid.compute()
    return float(mean), float(deviation)


@of_arrays
def wasserstein_distance(x: Tensor, y: Tensor) -> float:
    """The exact Wasserstein distance W_1 of two sets of equal size.

        W_1 = min over pairings p of (1/N) sum_i ||x_i - y_(p(i))||

    Args:
        x, y: (N, D) each, N above 1. The pairing costs up to N^3 operations, which suits a few
            thousand samples.

    Returns the distance, at least 0, in the unit of the vectors.
    Raises:
        InputError: wrong shapes, unequal sizes, NaN or infinite values.

    >>> wasserstein_distance(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [2.0]]))
    2.0
    """
    check_pair(x, y)
    if len(x) != len(y):
        raise InputError(f"the sets must be of equal size, not {len(x)} and {len(y)}")
    a, b = x.detach().cpu().double(), y.detach().cpu().double()
    cost = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")  # products cancel far off
    rows, columns = linear_sum_assignment(cost.numpy())
    return float(cost[rows, columns].mean())


@of_arrays
def wasserstein_distance_1d(x: Tensor, y: Tensor) -> Tensor:
    """The exact Wasserstein distance W_1 between the marginals of two sets in each dimension.

    For sets of equal size it is the mean distance of the sorted samples; for others SciPy computes
    it.

    Args:
        x, y: (N, D) and (M, D), N and M above 1.

    Returns (D,), float64, at least 0, in the unit of the vectors.
    Raises:
        InputError: wrong shapes, NaN or infinite values.

    >>> wasserstein_distance_1d(torch.zeros(5, 2), torch.tensor([[1.0, -2.0]] * 3))
    tensor([1., 2.], dtype=torch.float64)
    """
    check_pair(x, y)
    a, b = x.detach().cpu().double(), y.detach().cpu().double()
    if len(a) == len(b):
        columns = rows_at_once(SORTED * len(a), a.shape[1])
        pairs = zip(a.split(columns, 1), b.split(columns, 1), strict=True)
        return torch.cat([(_ascending(p) - _ascending(q)).abs().mean(0) for p, q in pairs])
    each = zip(a.T.numpy(), b.T.numpy(), strict=True)
    return torch.tensor([scipy_wasserstein_distance(*pair) for pair in each]).double()


def _ascending(x: Tensor) -> Tensor:
    """The columns of x (N, D), each sorted; NumPy's sort takes a tenth of PyTorch's time."""
    return torch.from_numpy(np.sort(x.numpy(), axis=0))


@of_arrays
def sliced_wasserstein_distance(
    x: Tensor, y: Tensor, *, projections: int = 200, seed: int = 0
) -> float:
    """The sliced Wasserstein distance: the mean over random directions u of W_1 of x.u and y.u.

    Args:
        x, y: (N, D) and (M, D), N and M above 1.
        projections: the number of directions, uniform on the sphere. With 200, another choice of
            directions changes the result by 3 to 5%.
        seed: the seed of the directions.

    Returns the distance, at least 0, in the unit of the vectors.
    Raises:
        InputError: wrong shapes, NaN or infinite values.

    Reference: Bonneel et al. (2015), section 3, with W_1 in place of W_2.

    >>> x = torch.randn(200, 3)
    >>> sliced_wasserstein_distance(x, x)
    0.0
    """
    check_pair(x, y)
    generator = torch.Generator().manual_seed(seed)
    u = torch.randn(x.shape[1], projections, generator=generator, dtype=torch.float64)
    u /= u.norm(dim=0)
    a, b = (z.detach().cpu().double() for z in (x, y))
    directions = u.split(rows_at_once(SORTED * max(len(a), len(b)), projections), 1)
    return float(torch.cat([wasserstein_distance_1d(a @ v, b @ v) for v in directions]).mean())


def check_pair(x: Tensor, y: Tensor, least: int = 2) -> None:
    """Check two sets of vectors that are to be compared, their shapes and their values.

    Args:
        x, y: (N, D) and (M, D).
        least: the number of vectors that each must have at least.

    Raises:
        InputError: wrong shapes, too few vectors, NaN or infinite values.
    """
    check_shapes(x, y, least)
    for name, z in (("first", x), ("second", y)):
        if not all_finite(z):
            raise InputError(f"the {name} set holds NaN or infinite values")


def check_shapes(x: Tensor, y: Tensor, least: int = 2) -> None:
    """Check the shapes of two sets of vectors: (N, D) and (M, D), N and M at least `least`.

    Raises:
        InputError: other shapes, or no tensors of real numbers.
    """
    x, y = real(x), real(y)
    alike = x.ndim == y.ndim == 2 and x.shape[1] == y.shape[1] > 0
    if not alike or min(len(x), len(y)) < least:
        raise InputError(
            f"expected two sets (N, D) of {least} vectors or more, not {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )


def real(x: Tensor) -> Tensor:
    """x as floats of 32 or 64 bits.

    Raises:
        InputError: x is no tensor of real numbers.
    """
    if not isinstance(x, Tensor) or x.is_complex() or x.dtype == torch.bool:  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"expected a torch tensor or a NumPy array of real numbers, not {kind}")
    return x if x.dtype in (torch.float32, torch.float64) else x.float()
