"""Expectation-maximisation, by which a mixture of normal distributions is fitted to codes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from zspace.core import SILENT, Progress
from zspace.functional import exact, stream
from zspace.functional.tensors import HELD, rows_at_once
from zspace.samplers.normal import RIDGE, scaled_moments

ROUNDS = 200
"""The largest number of rounds."""

TOLERANCE = 1e-3
"""The change of the mean log density, in nats, at which the rounds end."""

STARTING = 100_000
"""The largest number of codes that k-means is run on, for the start."""

ROWS = 2048
"""The largest number of codes in a block, whose numbers then mostly stay in a CPU's cache."""

SINGLE = 1e5
"""The largest squared code in units of the least variance of a component that float32 can take.

There, the log densities of single codes are exact to 0.01 nats, their mean to far less.
"""

MANY = 64
"""The number of dimensions from which products of codes are faster than sums of their statistics.

Of 27,000 codes in 256 dimensions a round with 10 components takes a fifth of the time.
"""

VANISHED = 1e-6
"""The number of codes, a sum of shares in them, below which a component is left out."""


@dataclass(frozen=True)
class Components:
    """The components of a mixture of normal distributions, in float64.

    Attributes:
        weights: (K,), above 0, whose sum is 1.
        means: (K, D).
        covariances: (K, D, D), symmetric and positive definite.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    @classmethod
    def of_sums(cls, sums: Tensor, dim: int) -> Components:
        """The likeliest components, given the sums (K, F) of `statistics` over each one's codes.

        Components that have lost all codes are left out. None is narrower than 0.001 of the codes'
        deviation in a dimension.
        """
        sums = sums[sums[:, -1] > VANISHED]
        counts = sums[:, -1]
        squares, means, _ = (sums / counts[:, None]).split([sums.shape[1] - dim - 1, dim, 1], 1)
        covariances = sums.new_empty(len(sums), dim, dim)
        i, j = torch.triu_indices(dim, dim, device=sums.device)
        covariances[:, i, j] = covariances[:, j, i] = squares
        covariances -= means[:, :, None] * means[:, None]
        # codes may span a subspace, and a component may have a single code
        covariances.diagonal(dim1=1, dim2=2).add_(RIDGE)
        return cls(counts / counts.sum(), means, covariances)

    def coefficients(self) -> Tensor:
        """The coefficients (K, F) of log(w_k N(z; mean_k, covariance_k)) in `statistics` of z."""
        dim = self.means.shape[1]
        factors, peaks = self._factors()
        precisions = torch.cholesky_inverse(factors)
        linear = (precisions @ self.means[:, :, None])[:, :, 0]
        constant = peaks - 0.5 * (linear * self.means).sum(1)
        i, j = torch.triu_indices(dim, dim, device=precisions.device)
        # x_i x_j stands for x_j x_i, too
        squares = precisions[:, i, j] * torch.where(i == j, -0.5, -1.0)
        return torch.cat([squares, linear, constant[:, None]], 1)

    def log_densities(self) -> Callable[[Tensor], Tensor]:
        """The function that gives log(w_k N(z; mean_k, covariance_k)), (K, B), of codes (B, D).

        Its products are in the codes' type.
        """
        factors, peaks = self._factors()
        unit = torch.eye(self.means.shape[1]).to(factors).expand_as(factors)
        whitening = torch.linalg.solve_triangular(factors, unit, upper=False)
        centres = (whitening @ self.means[:, :, None])[:, :, 0]

        def of(z: Tensor) -> Tensor:
            each = zip(whitening.to(z), centres.to(z), strict=True)
            squares = [(z @ white.T - centre).square().sum(1) for white, centre in each]
            return peaks.to(z)[:, None] - 0.5 * torch.stack(squares)

        return of

    def _factors(self) -> tuple[Tensor, Tensor]:
        """The covariances' Cholesky factors (K, D, D), and each log(w_k N) at its mean, (K,)."""
        factors = torch.linalg.cholesky(self.covariances)
        volumes = factors.diagonal(dim1=1, dim2=2).log().sum(1)
        constant = 0.5 * self.means.shape[1] * math.log(2 * math.pi)
        return factors, self.weights.log() - volumes - constant

    def wide(self, spread: float) -> bool:
        """Whether float32 can take codes of up to a given squared length (see `SINGLE`)."""
        least = float(torch.linalg.eigvalsh(self.covariances)[:, 0].min())
        return spread <= SINGLE * least


def statistics(z: Tensor) -> Tensor:
    """The products z_i z_j with i <= j, the numbers z_i and 1, (F, N), of codes (N, D).

    A normal distribution's log density is linear in them, and its likeliest parameters follow from
    their sums: F = D (D + 1) / 2 + D + 1.
    """
    columns = z.T.contiguous()
    products = [columns[i:] * columns[i] for i in range(len(columns))]
    return torch.cat([*products, columns, columns.new_ones(1, len(z))])


def summed(shares: Tensor, z: Tensor) -> Tensor:
    """The sums (K, F) of the `statistics` of codes (B, D), each by its shares (K, B)."""
    i, j = torch.triu_indices(z.shape[1], z.shape[1], device=z.device)
    products = torch.stack([(own[:, None] * z).T @ z for own in shares])[:, i, j]
    return torch.cat([products, shares @ z, shares.sum(1, keepdim=True)], 1)


def one_round(
    blocks: Iterable[Tensor], components: Components, count: int, *, many: bool = False
) -> tuple[float, Components]:
    """One round of expectation-maximisation.

    Args:
        blocks: the `statistics` (F, B) of each block of codes, of which a round takes two matrix
            products; or, if there are `many` dimensions, the codes (B, D) themselves, of which it
            takes two for each component. Products are in the blocks' type, their sums over blocks
            in float64.
        components: the components so far.
        count: N, the number of all codes.
        many: whether the blocks are codes.

    Returns the mean log density of the codes in nats by the components so far, and the likeliest
    components for the codes' shares in these.
    """
    if many:
        log_p, add = components.log_densities(), summed
    else:
        coefficients = components.coefficients()
        log_p, add = (lambda s: coefficients.to(s) @ s), (lambda shares, s: shares @ s.T)
    sums = total = torch.zeros((), dtype=torch.float64, device=components.means.device)
    for block in blocks:
        shares = log_p(block)
        top = shares.amax(0)
        whole = shares.sub_(top).exp_().sum(0)
        total = total + (top + whole.log()).double().sum()
        sums = sums + add(shares.div_(whole), block).double()
    return float(total) / count, Components.of_sums(sums, components.means.shape[1])


def fitted(z: Tensor, components: int, *, seed: int = 0, progress: Progress = SILENT) -> Components:
    """The mixture of normal distributions that expectation-maximisation fits to codes.

    It starts from k-means, and ends when the mean log density changes by less than `TOLERANCE`, or
    after `ROUNDS`. Its products are in float32 until a component is too narrow (`SINGLE`).

    Args:
        z: codes (N, D), N at least K.
        components: K, at least 1. Fewer are left if some lose all of their codes, as they do if
            there are fewer different codes than components.
        seed: the seed of the start.
        progress: told the rounds done, and the mean log density of the codes in nats.

    Returns the components, on the codes' device.
    Raises:
        InputError: the codes have wrong shapes or values.
    """
    mean, _, scales = scaled_moments(z)
    scale = scales.sqrt()
    dim = z.shape[1]
    numbers = dim * (dim + 1) // 2 + dim + 1
    many = dim >= MANY
    held = dim if many else numbers
    rows = rows_at_once(held + components, ROWS)

    def scaled(z: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
        """The codes about their mean and in units of their deviations, where little cancels."""
        return (((block - mean) / scale).to(dtype) for block in z.split(rows))

    generator = torch.Generator().manual_seed(stream(seed, 41))
    some = z[torch.randperm(len(z), generator=generator)[:STARTING].to(z.device)]
    # distances between codes are those of the codes as they are
    overall = (scale / scales.mean().sqrt()).float()
    labels = _clusters(torch.cat([*scaled(some, torch.float32)]) * overall, components, seed)
    sums = mean.new_zeros(components, numbers)
    for block, own in zip(scaled(some, torch.float64), labels.split(rows), strict=True):
        if many:
            sums += summed(torch.nn.functional.one_hot(own, components).T.double(), block)
        else:
            sums.index_add_(0, own, statistics(block).T)
    found = Components.of_sums(sums, dim)
    spread = max(float(block.square().sum(1).max()) for block in scaled(z, torch.float32))
    dtype = torch.float32 if found.wide(spread) else torch.float64
    known: list[Tensor] = []
    before, done = -math.inf, 0
    while done < ROUNDS:
        # what a round takes is kept if it fits into the memory, or made anew
        blocks = known or (scaled(z, dtype) if many else map(statistics, scaled(z, dtype)))
        if held * len(z) <= HELD:
            blocks = known = [*blocks]
        with exact(z):
            log_p, after = one_round(blocks, found, len(z), many=many)
        if dtype == torch.float32 and not after.wide(spread):
            dtype, known = torch.float64, []  # for the same round, and for all that follow
            continue
        found, done = after, done + 1
        progress(done, ROUNDS, {"log p": log_p - float(scale.log().sum())})
        if abs(log_p - before) < TOLERANCE:
            break
        before = log_p
    covariances = scale[:, None] * scale * found.covariances
    return Components(found.weights, mean + scale * found.means, covariances)


def _clusters(z: Tensor, count: int, seed: int) -> Tensor:
    """The clusters (N,) that k-means, which starts from k-means++, finds for codes (N, D)."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # fewer different codes than clusters leave some empty
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = KMeans(count, n_init="auto", random_state=seed).fit(z.cpu().numpy()).labels_
    return torch.from_numpy(labels).long().to(z.device)
