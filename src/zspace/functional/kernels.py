"""Kernel density estimates, and the entropies and divergences computed from them (GEN)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid

from zspace.errors import InputError
from zspace.functional.tensors import doubled, exact, full_precision

DISTANCES = 1 << 21
"""The number of distances held at a time: 8 MiB in single precision, near a CPU's cache."""


SINGLE = 1e4
"""The largest squared distance, in units of h^2, at which float32 gives kernels to 0.1%."""


TILE = 1024
"""The number of codes among which, and as many others, pairs are met at a time."""


FAINT = 80.0
"""The number of e-folds below the largest kernel from which on all kernels count as equally small.

They add nothing to a sum, and are not subnormal numbers, for which processors take many times as
long.
"""


LIMIT = 1e12
"""The largest squared distance, in units of h^2, at which float64 gives kernels to 0.1%."""


def kernel_log_density(
    z: Tensor, centres: Tensor, bandwidth: float | Tensor, *, leave_one_out: bool = False
) -> Tensor:
    """The kernel density estimate log (1/m) sum_i N(z; c_i, h^2 I), in nats.

    It can be differentiated once in the queries and in the bandwidth; the centres are constants.

    Args:
        z: the queries (N, D) at which the density is wanted.
        centres: the centres c (m, D) of the kernels, m at least 1.
        bandwidth: h, above 0; a tensor of shape () if a gradient in it is wanted.
        leave_one_out: the queries and the centres are the same set (m at least 2): each query's
            own kernel is left out, and the mean is over the m - 1 others.

    Returns the log densities (N,). They are computed in log space, `DISTANCES` distances at a time,
    with or without a gradient; in float64 if the queries are of that type or if the bandwidth is
    too small for float32, else in float32.

    Raises:
        InputError: h is not above 0, or is too small even for double precision and codes so far
            apart; there are no centres, or fewer than two if each one's own kernel is left out.

    Reference: Saha et al., GEN, Eq. 1; supplement, Eq. 4, for the sum without i.
    """
    if len(centres) <= leave_one_out or (leave_one_out and len(z) != len(centres)):
        raise InputError(
            f"{len(centres)} centres for {len(z)} codes: expected one or more, and the codes "
            "themselves, two or more, where each one's own kernel is left out"
        )
    h = bandwidth if isinstance(bandwidth, Tensor) else torch.tensor(bandwidth, dtype=torch.float64)
    value: Tensor = _KernelLogDensity.apply(  # pyright: ignore[reportAssignmentType]
        full_precision(z), centres.detach(), h, leave_one_out
    )
    return value


class _KernelLogDensity(torch.autograd.Function):
    """`kernel_log_density`, which computes its gradients in the forward pass to save memory.

    With w_i the share of centre i in the density at z, the gradient in z is sum_i w_i (c_i - z)
    / h^2, and that in h is (sum_i w_i ||z - c_i||^2 / h^2 - D) / h (GEN, supplement, Eq. 2).
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, centres: Tensor, bandwidth: Tensor, own: bool) -> Tensor:
        wanted = ctx.needs_input_grad[0] or ctx.needs_input_grad[2]
        logs, means, squares = _kernel_moments(z, centres, float(bandwidth), own, wanted)
        if wanted:
            h = float(bandwidth)
            ctx.save_for_backward((means - z) / h**2, (squares / h**2 - z.shape[1]) / h)
        return logs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        in_z, in_h = ctx.saved_tensors
        return gradient[:, None] * in_z, None, (gradient * in_h).sum(), None


def _kernel_moments(
    z: Tensor, centres: Tensor, h: float, leave_one_out: bool = False, moments: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """log p(z) (N,), and the moments sum_i w_i c_i (N, D) and sum_i w_i ||z - c_i||^2 (N,).

    w_i is the share of centre i in p(z). Both moments are empty unless they are wanted.
    """
    # relative to the centres' mean, where squares and products cancel least
    middle = centres.mean(0).to(z)
    queries, points = z - middle, centres.to(z) - middle
    norms = points.square().sum(1)
    spread = float(torch.maximum(norms.max(), queries.square().sum(1).max()))
    if not 0 < h < math.inf or spread > LIMIT * h * h:
        raise InputError(
            f"a bandwidth of {h:.3g} can't be used for codes of up to {math.sqrt(spread):.3g} from "
            "their mean: expected a number above 0 that is not so small"
        )
    if z.dtype == torch.float32 and spread > SINGLE * h**2:
        found = _kernel_moments(doubled(z), doubled(centres), h, leave_one_out, moments)
        return found[0].to(z), found[1].to(z), found[2].to(z)
    held = torch.cat([points, norms[:, None]], 1)
    count = len(points) - leave_one_out
    constant = 0.5 * z.shape[1] * math.log(2 * math.pi * h**2) + math.log(count)
    logs: list[Tensor] = []
    sums: list[Tensor] = []
    start = 0
    # the products are in full precision under autocast, too
    with exact(z):
        for block in queries.split(max(1, DISTANCES // len(points))):
            weights = torch.addmm(norms, block, points.T, beta=-0.5 / h**2, alpha=1 / h**2)
            if leave_one_out:
                own = torch.arange(len(block), device=z.device)
                weights[own, own + start] = -torch.inf
                start += len(block)
            top = weights.max(1, keepdim=True).values
            total = weights.sub_(top).clamp_(min=-FAINT).exp_().sum(1)
            logs.append(top[:, 0] + total.log() - block.square().sum(1) / (2 * h**2) - constant)
            if moments:
                sums.append(weights @ held / total[:, None])
    if not moments:
        return torch.cat(logs), z[:0], z[:0, 0]
    means, mean_norms = torch.cat(sums).split([z.shape[1], 1], 1)
    squares = queries.square().sum(1) - 2 * (queries * means).sum(1) + mean_norms[:, 0]
    return torch.cat(logs), means + middle, squares.clamp(min=0)


def kernel_entropy(z: Tensor, bandwidth: float) -> float:
    """The leave-one-out estimate of the entropy of codes (m, D), in nats.

        H = -(1/m) sum_i log (1/(m-1)) sum_(j != i) N(z_i; z_j, h^2 I)

    Args:
        z: codes (m, D), m at least 2.
        bandwidth: h, above 0.

    Raises:
        InputError: there are fewer than two codes, or h is out of range.

    Reference: Saha et al., GEN, Eq. 9; supplement, Eq. 4.
    """
    return -float(kernel_log_density(z, z, bandwidth, leave_one_out=True).mean())


def kernel_entropy_slopes(z: Tensor, bandwidth: float) -> tuple[float, float, float]:
    """`kernel_entropy` and its first two derivatives in log h, from one set of kernels.

    With q_ij = ||z_i - z_j||^2 / h^2, and the mean and the variance of q_ij over j by the shares of
    the kernels in the density at z_i:

        dH / d log h = D - E_i mean_j q        d2H / (d log h)^2 = E_i (2 mean_j q - var_j q)

    Each pair of codes is met once, `TILE` times `TILE` pairs at a time. The products are in float32
    unless the bandwidth is too small for codes as far from their mean as these are on average.

    Args:
        z: codes (m, D), m at least 2.
        bandwidth: h, above 0.

    Returns H in nats, and its derivatives.

    Reference: Saha et al., GEN, supplement, Eq. 4; the root of the first derivative is the fixed
    point of its Eq. 5.
    """
    x = doubled(z)
    x = (x - x.mean(0)) / bandwidth
    norms = x.square().sum(1, keepdim=True) / 2
    if 2 * float(norms.mean()) <= SINGLE:
        x, norms = x.float(), norms.float()
    ones = torch.ones_like(norms)
    # the product of a row and another is -q / 2
    left, right = torch.cat([x, -norms, ones], 1), torch.cat([x, ones, -norms], 1)
    sums = x.new_zeros(3, len(x), dtype=torch.float64)
    with exact(x):
        for i, block in enumerate(left.split(TILE)):
            rows = slice(i * TILE, i * TILE + len(block))
            for j, other in enumerate(right.split(TILE)[i:], i):
                columns = slice(j * TILE, j * TILE + len(other))
                halves = (block @ other.T).clamp_(min=-FAINT)
                kernels = halves.exp()
                if i == j:
                    kernels.fill_diagonal_(0)
                for total in sums:
                    total[rows] += kernels.sum(1)
                    if i != j:
                        total[columns] += kernels.sum(0)
                    kernels.mul_(halves)
        logs = sums[0].log()
        # codes so far from all others that their sum may be of clamped kernels
        far = (logs < math.log(len(z)) - 0.75 * FAINT).nonzero()[:, 0]
        for rows in far.split(max(1, DISTANCES // len(z))):
            halves = left[rows] @ right.T
            own = torch.arange(len(rows), device=x.device), rows
            halves[own] = -torch.inf
            top = halves.max(1, keepdim=True).values
            kernels = (halves - top).exp()
            halves[own] = 0
            each = kernels, kernels * halves, kernels * halves.square()
            sums[:, rows] = torch.stack([part.double().sum(1) for part in each])
            logs[rows] = sums[0, rows].log() + top[:, 0]
    mean = -2 * sums[1] / sums[0]
    variance = 4 * sums[2] / sums[0] - mean.square()
    dim = z.shape[1]
    constant = 0.5 * dim * math.log(2 * math.pi * bandwidth**2) + math.log(len(z) - 1)
    return (
        constant - float(logs.mean()),
        dim - float(mean.mean()),
        float((2 * mean - variance).mean()),
    )


def log_share(log_p: Tensor, log_q: Tensor) -> Tensor:
    """log(p / (p + q)), computed from log p and log q of one shape; finite wherever both are."""
    return logsigmoid(log_p - log_q)


def kernel_jsd(
    z: Tensor,
    target: Tensor,
    centres: Tensor,
    bandwidth: float | Tensor,
    log_target: Callable[[Tensor], Tensor],
) -> Tensor:
    """An estimate of the Jensen-Shannon divergence of a kernel density p_e from a target p_t.

        JSD(p_e, p_t) = log 2 + 1/2 E_z' log p_e/(p_e + p_t) + 1/2 E_z'' log p_t/(p_e + p_t)

    The estimate is in nats: near 0 if the distributions agree (below 0 if the kernels are too few
    for the dimension), log 2 if they do not overlap. It can be differentiated in z' and h.

    Args:
        z: z', samples (N, D) of the distribution that the centres are drawn from.
        target: z'', samples (M, D) of p_t.
        centres: the centres (m, D) of the kernels. No z' may be among them, or the estimate grows
            without bound as h -> 0.
        bandwidth: h, above 0; a tensor of shape () if a gradient in it is wanted.
        log_target: log p_t in nats, a function of codes (N, D) that returns (N,).

    Returns a scalar.
    Raises:
        InputError: there are no centres, or h is out of range.

    Reference: Saha et al., GEN, Eq. 2, which leaves out the constants log 2 and 1/2.
    """
    mine = log_share(kernel_log_density(z, centres, bandwidth), log_target(z))
    theirs = log_share(log_target(target), kernel_log_density(target, centres, bandwidth))
    return math.log(2) + (mine.mean() + theirs.mean()) / 2


def kernel_jsd_slope(
    z: Tensor,
    target: Tensor,
    centres: Tensor,
    bandwidth: float,
    log_target: Callable[[Tensor], Tensor],
) -> tuple[float, float]:
    """The derivative of `kernel_jsd` in h, and the next h of its fixed-point iteration.

    With s(z) = p_e / (p_e + p_t) and S(z) = sum_i w_i ||z - c_i||^2, w_i the share of centre i in
    p_e(z):

        A = E_z'[(1 - s) S] - E_z''[s S]        B = E_z'[1 - s] - E_z''[s]
        dJSD/dh = (A / h^2 - D B) / (2 h)       h^2 <- A / (D B), NaN unless that is above 0

    Args:
        z, target, centres, bandwidth, log_target: what `kernel_jsd` takes, with h a number.

    Returns the derivative and the next h.
    Raises:
        InputError: h is out of range.

    Reference: Saha et al., GEN, supplement, Eq. 2 (without the constant 1/2) and Eq. 3.
    """
    a = b = 0.0
    for codes, sign in ((z, 1), (target, -1)):
        logs, _, squares = _kernel_moments(codes, centres, bandwidth)
        share = torch.sigmoid(sign * (log_target(codes) - logs))
        a += sign * float(doubled(share * squares).mean())
        b += sign * float(doubled(share).mean())
    dim = z.shape[1]
    ratio = a / (dim * b) if b else math.nan
    slope = (a / bandwidth**2 - dim * b) / (2 * bandwidth)
    return slope, math.sqrt(ratio) if ratio > 0 else math.nan
