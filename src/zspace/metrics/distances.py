"""Distances between two sets of vectors."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import eigh
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance as scipy_wasserstein_distance
from torch import Tensor, nn

from zspace.errors import InputError
from zspace.functional.tensors import all_finite, own_random, rows_at_once
from zspace.metrics.arrays import of_arrays
from zspace.metrics.figure import Figure, jackknife

BLOCK = 8192
"""The number of rows that are converted to float64 at a time."""

ADVISED = 5
"""The number of samples per dimension below which a Frechet distance gives a `BiasWarning`.

For the 2048 Inception features that is 10,240 samples, where 10,000 are customary.
"""

CLOSE = 1e-6
"""The share of its terms below which a distance of covariances is computed at full precision."""

STRAIGHT = 20
"""The number of generated samples per dimension below which FID_inf gives a `BiasWarning`."""

LEAST_IN_LIMIT = 0.1
"""The smallest subset that FID_inf is extrapolated from, as a share of the samples."""

SORTED = 8
"""The numbers that are held for each one that is sorted: both sets, in order, with its indices."""

POINTS = 15
"""The number of subsets, of sizes evenly spaced in 1/N, that FID_inf is extrapolated from."""


class BiasWarning(UserWarning):
    """A warning that a figure is known to be biased, which also says in which direction."""


@of_arrays
def frechet_distance(x: Tensor, y: Tensor, *, limit: bool = False, seed: int = 0) -> float:
    """The squared Frechet distance of two sets of vectors, taken as normal distributions.

        ||m_x - m_y||^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2))

    m and S are the sets' means and unbiased covariances. With S = L L^T for either set, the trace
    of the root is the sum of the singular values of L_x^T L_y. L is the Cholesky factor of S; if S
    is singular, a factor from its eigenvalues; and if a set has no more samples than dimensions,
    its centred samples divided by sqrt(N - 1).

    The estimate from N samples is too large, by about a constant over N; below 5 samples per
    dimension a `BiasWarning` says so. The limit FID_inf is the intercept of a straight line fitted
    to the distances of subsets of y from all of x as a function of 1/N: it removes most of the bias
    due to the size of y, and none of that due to the size of x. Small subsets bend the line: of a
    distance of 1.28 between N(0, I) and N(0, 1.44 I) in 32 dimensions it makes 1.17 from 20 samples
    per dimension and 0.64 from 10 (the plain distance: 1.85 and 2.42); a warning says so below 20.

    Args:
        x, y: (N, D) and (M, D), N and M above 1, of any float type. The computation is in float64
            and in blocks: the memory beyond the sets is a few matrices (D, D).
        limit: whether to return FID_inf.
        seed: the seed of the subsets' choice.

    Returns the distance, at least 0 unless it is FID_inf.
    Raises:
        InputError: wrong shapes, fewer than 2 samples, NaN or infinite values; with `limit`,
            fewer than 20 samples in y.

    Reference: Dowson and Landau (1982), Eq. 1; Heusel et al. (2017), Eq. 6, where it is the FID;
    Chong and Forsyth (2020), section 4, for the limit.

    >>> x = torch.randn(100, 3)
    >>> round(frechet_distance(x, x + 2), 3)
    12.0
    """
    check_shapes(x, y)
    fewest, dim = min(len(x), len(y)), x.shape[1]
    if not limit:
        if fewest < ADVISED * dim:
            warnings.warn(
                f"the Frechet distance of {fewest} samples in {dim} dimensions is biased upwards: "
                f"{ADVISED * dim} samples or more are advised",
                BiasWarning,
                stacklevel=2,
            )
        return _between(_moments(x, "first"), _moments(y, "second"))
    _check_limit(y)
    return _limit(x, y, _keys(y, seed))


@of_arrays
def frechet_limit(
    x: Tensor, y: Tensor, *, groups: int = 20, paired: bool = False, seed: int = 0
) -> Figure:
    """FID_inf (see `frechet_distance`) with its standard error by the jackknife.

    A sample of y stays in the same subsets, whichever others are left out: else the error would be
    that of the subsets' choice.

    Args:
        x, y: what `frechet_distance` takes.
        groups, paired, seed: what `zspace.metrics.jackknife` takes; the seed is that of the
            subsets, too.

    Raises:
        InputError: what `frechet_distance` and `jackknife` raise.
    """
    check_shapes(x, y)
    _check_limit(y)
    y = real(y).cpu()
    y = y if y.is_floating_point() else y.double()
    keyed = torch.cat([y, _keys(y, seed).to(y.dtype)], 1)

    def limit(x: Tensor, keyed: Tensor) -> float:
        return _limit(x, keyed[:, :-POINTS], keyed[:, -POINTS:])

    return jackknife(limit, x, keyed, groups=groups, paired=paired, seed=seed)


def _keys(y: Tensor, seed: int) -> Tensor:
    """Random numbers (M, POINTS): a subset of m samples is those of the m least in its column."""
    return torch.rand(len(y), POINTS, generator=torch.Generator().manual_seed(seed))


def _check_limit(y: Tensor) -> None:
    n, dim = y.shape
    if n < 20:
        raise InputError(f"fid-inf needs 20 generated samples or more, not {n}")
    if n < STRAIGHT * dim:
        few = f"FID_inf of {n} samples in {dim} dimensions is extrapolated from too small subsets"
        advice = f"{STRAIGHT * dim} samples or more are advised"
        warnings.warn(f"{few}: {advice}", BiasWarning, stacklevel=3)


def _limit(x: Tensor, y: Tensor, keys: Tensor) -> float:
    n = len(y)
    inverse = np.linspace(1 / n, 1 / (LEAST_IN_LIMIT * n), POINTS)
    reference = _moments(x, "first")
    chosen = (keys[:, j].argsort()[: round(1 / i)] for j, i in enumerate(inverse))
    distances = [_between(reference, _moments(y[rows], "second")) for rows in chosen]
    return float(np.polyfit(inverse, distances, 1)[1])


def frechet_distances(x: Tensor, others: Iterable[Tensor]) -> list[float]:
    """The Frechet distances of several sets from one, whose moments are computed once.

    Args:
        x: (N, D).
        others: sets (M, D), which may be made one by one.

    Raises:
        InputError: what `frechet_distance` raises.

    >>> x = torch.randn(100, 3)
    >>> [round(d, 3) for d in frechet_distances(x, (x, x + 2))]
    [0.0, 12.0]
    """
    reference = _moments(x, "first")
    found: list[float] = []
    for y in others:
        check_shapes(x, y)
        found.append(_between(reference, _moments(y, "second")))
    return found


Array = npt.NDArray[np.float64]
Moments = tuple[Array, Array]
"""A mean (D,) and a factor L (D, R) of the covariance L L^T."""


@np.errstate(over="ignore")
def _moments(x: Tensor, which: str) -> Moments:
    # NumPy throughout: it does half the work for the product of a matrix with itself, and
    # PyTorch's threads, which wait busily after every call, would occupy the cores
    stored = real(x).detach().cpu().numpy()
    n, dim = stored.shape
    # a single pass, centred on the first block's mean, which is near enough to that of all rows
    near = stored[:BLOCK].astype(np.float64).mean(0)
    total, squares = np.zeros(dim), np.zeros((dim, dim))
    for start in range(0, n, BLOCK):
        centred = stored[start : start + BLOCK] - near
        total += centred.sum(0)
        if n > dim:
            squares += centred.T @ centred
    offset = total / n
    if not np.isfinite(offset).all():
        raise InputError(f"the {which} set holds NaN or infinite values")
    mean = near + offset
    factor: Array = (stored - mean).T / math.sqrt(n - 1) if n <= dim else squares
    if not np.isfinite(np.square(factor).sum()):
        raise InputError(f"the {which} set holds numbers that are too large: scale them down")
    if n <= dim:
        return mean, factor
    squares -= np.outer(offset, n * offset)
    squares /= n - 1
    try:
        factor = np.linalg.cholesky(squares)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(squares)
        factor = vectors * np.sqrt(values.clip(min=0))
    return mean, factor


def _between(a: Moments, b: Moments) -> float:
    (m_a, l_a), (m_b, l_b) = a, b
    product = l_a.T @ l_b
    traces = np.square(l_a).sum() + np.square(l_b).sum()
    if min(product.shape) == len(m_a):
        # the singular values' squares are a symmetric matrix's eigenvalues: several times faster
        squares = eigh(
            product @ product.T,
            eigvals_only=True,
            driver="evr",
            overwrite_a=True,
            check_finite=False,
        )
        apart = traces - 2 * np.sqrt(squares.clip(min=0)).sum()
        if apart > CLOSE * traces:
            return float(np.square(m_a - m_b).sum() + apart)
    apart = traces - 2 * np.linalg.svd(product, compute_uv=False).sum()
    return max(0.0, float(np.square(m_a - m_b).sum() + apart))


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
