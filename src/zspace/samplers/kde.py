"""Kernel densities of codes, and two ways to choose their bandwidth."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from scipy.optimize import brentq
from torch import Tensor

from zspace.core import SILENT, Density, Progress
from zspace.errors import InputError
from zspace.functional import kernel_entropy_slopes, kernel_jsd_slope, kernel_log_density, stream
from zspace.functional.tensors import doubled
from zspace.options import About
from zspace.samplers.normal import Normal, check_codes, moments, no_labels, normal_cdf

MOST_CENTRES = 100_000
"""The largest number of centres for which `least_samples` looks for a bandwidth below 1."""

FEW = 2000
"""The number of codes for which the search of a bandwidth begins."""

NEAR = 0.02
"""The last step of a bandwidth's logarithm; what is left of it is about its square."""


class KDE(Density):
    """The kernel density (1/m) sum_i N(c_i, h^2 S) of codes, with S the codes' covariance.

    Before it is fitted it is N(0, I). A code is drawn as a random centre plus noise of the kernel.

    Args:
        dim: D, the size of a code; None takes it from the codes that it is fitted to.

    Reference: GEN, Eq. 1. The kernels there are isotropic; but the codes of other models than GEN
    have very different widths in different directions, so that no single h would suit all.
    """

    exportable = True
    jumps = True
    mean: Tensor
    factor: Tensor
    centres: Tensor
    count: Tensor
    h: Tensor

    def __init__(
        self,
        dim: int | None = None,
        *,
        centres: Annotated[
            int, About("number of codes with a kernel, chosen at random", least=2, most=100_000)
        ] = 10_000,
        bandwidth: Annotated[
            float | None,
            About(
                "width of the kernels in units of the codes' deviation (unset: the likeliest)",
                least=1e-4,
                most=1e4,
            ),
        ] = None,
        seed: Annotated[int, About("seed of the choice of codes", least=0, most=1 << 52)] = 0,
    ) -> None:
        super().__init__()
        self.most, self.bandwidth, self.seed = centres, bandwidth, seed
        self.of_size(dim)

    def build(self, dim: int) -> None:
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("factor", torch.eye(dim))
        self.register_buffer("centres", torch.zeros(self.most, dim))
        self.register_buffer("count", torch.tensor(1))
        self.register_buffer("h", torch.tensor(1.0))

    def fit_to(self, z: Tensor, y: Tensor | None, progress: Progress) -> None:
        """Place kernels on `centres` of the codes (N, D), or on all if there are fewer."""
        mean, covariance = moments(z)
        self.to(z.device)
        self.mean.copy_(mean)
        self.factor.copy_(torch.linalg.cholesky(covariance))
        generator = torch.Generator().manual_seed(self.seed)
        chosen = z[torch.randperm(len(z), generator=generator)[: len(self.centres)]]
        white = self._white(chosen.to(self.mean))
        self.centres[: len(chosen)] = white
        self.count.fill_(len(chosen))
        self.h.fill_(self.bandwidth or likeliest_bandwidth(white))

    def fault(self) -> str | None:
        within = 1 <= int(self.count) <= len(self.centres) and float(self.h) > 0
        return None if within else f"there are {int(self.count)} centres of width {float(self.h)}"

    def _white(self, z: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self.factor, (z - self.mean).T, upper=False).T

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        no_labels(label)
        device = self.mean.device
        rows = torch.randint(int(self.count), (n,), generator=generator, device=device)
        noise = torch.randn(n, len(self.mean), generator=generator, device=device)
        return self._drawn(rows, noise)

    @property
    def noise_dim(self) -> int:
        return 1 + len(self.mean)

    def of_noise(self, noise: Tensor, y: Tensor | None = None) -> Tensor:
        """The codes (N, D) that noise (N, 1 + D) makes; its first number chooses the centre."""
        count = int(self.count)
        rows = (count * normal_cdf(noise[:, 0])).long().clamp(0, count - 1)
        return self._drawn(rows, noise[:, 1:])

    def _drawn(self, rows: Tensor, noise: Tensor) -> Tensor:
        return self.mean + (self.centres[rows] + self.h * noise) @ self.factor.T

    def log_density(self, z: Tensor) -> Tensor:
        centres = self.centres[: int(self.count)]
        volume = self.factor.diagonal().log().sum()
        return kernel_log_density(self._white(z), centres, float(self.h)) - volume


def likeliest_bandwidth(z: Tensor) -> float:
    """The bandwidth h that maximises the leave-one-out likelihood of codes (N, D).

    It is in the codes' unit, and exact to about `NEAR` squared. At this h, the fixed point of GEN's
    supplement, Eq. 5, the derivative in h is zero.

    The best of a few bandwidths for a small part of the codes is refined by Newton's method for it,
    and then for parts that are four times as large, up to all codes. Each begins where the h of the
    parts before lead to, so that all codes are mostly met once.

    Raises:
        InputError: the codes repeat one another, so that the likelihood grows without bound, or
            have wrong shapes or values.
    """
    check_codes(z)
    scale = float(doubled(z).std(0).square().mean().sqrt())
    if not scale > 0:
        raise InputError("the codes are all the same: they have no density")
    low, high = math.log(1e-4 * scale), math.log(2 * scale)
    z = z[torch.randperm(len(z), generator=torch.Generator().manual_seed(0)).to(z.device)]
    sizes = [len(z)]
    while sizes[0] > FEW:
        sizes.insert(0, sizes[0] // 4)
    part = z[: sizes[0]]
    coarse = [low + (high - low) * i / 10 for i in range(11)]
    found = min(coarse, key=lambda log_h: kernel_entropy_slopes(part, math.exp(log_h))[0])
    # the law of the best bandwidth for a smooth density, until there are two to tell
    power, before = -1 / (z.shape[1] + 4), 0
    for size in sizes:
        start = found + power * math.log(size / before) if before else found
        reached = _newton(z[:size], min(max(start, low), high), low, high)
        if before:
            power = (reached - found) / math.log(size / before)
        found, before = reached, size
    if found < low + 0.1:
        raise InputError("the codes repeat one another: a kernel density of them has no bandwidth")
    return math.exp(found)


def _newton(z: Tensor, log_h: float, low: float, high: float) -> float:
    """The likeliest log h between two bounds, by Newton's method, or halving where that fails."""
    while True:
        _, slope, bend = kernel_entropy_slopes(z, math.exp(log_h))
        low, high = (low, log_h) if slope > 0 else (log_h, high)
        following = log_h - slope / bend if bend > 0 else math.inf
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - log_h) < NEAR:
            return following
        log_h = following


def optimal_bandwidths(
    target: Density,
    samples: int,
    *,
    trials: int = 10,
    queries: int | None = None,
    route: Literal["root", "fixed-point"] = "root",
    seed: int = 0,
    progress: Progress = SILENT,
) -> Tensor:
    """The bandwidths h_opt that maximise `kernel_jsd` between two sets of samples of a target.

    Each trial draws the centres, z' and z'' again, as three disjoint sets.

    Args:
        target: p_t.
        samples: m, the number of centres, at least 2.
        trials: the number of trials, at least 1.
        queries: the number of samples in each of z' and z''; None means m, but at most 10,000.
        route: "root" finds a root of the derivative by Brent's method, "fixed-point" iterates the
            fixed point, going half of the way in each step.
        seed: the seed of the samples.
        progress: told the number of trials done.

    Returns h_opt (trials,), float64. It is NaN for a trial in which the derivative does not change
    its sign, or the fixed point does not converge.
    Raises:
        InputError: there are too few samples or trials.

    Reference: Saha et al., GEN, section 3; supplement, Eq. 2 and 3.
    """
    if samples < 2 or trials < 1:
        raise InputError(
            f"a bandwidth needs 2 samples and 1 trial or more, not {samples} and {trials}"
        )
    n = queries or min(samples, 10_000)
    dim = target.draw(1, generator=torch.Generator()).shape[1]
    find = _root if route == "root" else _fixed_point
    found: list[float] = []
    for trial in range(trials):
        progress(trial, trials)
        generator = torch.Generator().manual_seed(stream(seed, 21, dim, samples, trial))
        centres, z, other = (target.draw(k, generator=generator) for k in (samples, n, n))
        found.append(
            find(lambda h: kernel_jsd_slope(z, other, centres, h, target.log_prob))  # noqa: B023
        )
    return torch.tensor(found, dtype=torch.float64)


def _root(slope: Callable[[float], tuple[float, float]]) -> float:
    """The root at which the derivative falls through 0, in [0.1, 1.6] or a wider interval."""
    low, high = 0.1, 1.6
    while slope(low)[0] <= 0:
        low /= 2
        if low < 1e-4:
            return math.nan
    while slope(high)[0] >= 0:
        high *= 2
        if high > 1e4:
            return math.nan
    root: Any = brentq(lambda h: slope(h)[0], low, high, xtol=1e-4)
    return float(root)


def _fixed_point(slope: Callable[[float], tuple[float, float]]) -> float:
    h = 1.0
    for _ in range(100):
        following = math.sqrt((h**2 + slope(h)[1] ** 2) / 2)
        if not abs(following - h) > 1e-5:  # which also holds for NaN
            return following
        h = following
    return math.nan


def least_samples(dim: int, *, seed: int = 0, progress: Progress = SILENT) -> int | None:
    """The least number of samples m for which h_opt of N(0, I) is below 1, to about 10%.

    At h_opt = 1 the distribution of GEN's latents would be a point (section 4), which is how the
    paper interprets its Table 1. The number is found by bisection in log m.

    Args:
        dim: the number of dimensions.
        seed: the seed of the samples.
        progress: told the numbers of samples that are tried.

    Returns m, or None if it is more than `MOST_CENTRES`.
    """
    # h_opt grows with the dimension, and 100 dimensions are out of reach already
    dim = min(dim, 100)

    def beyond(m: int) -> bool:
        progress(m, MOST_CENTRES)
        found = optimal_bandwidths(Normal(dim), m, trials=1, queries=2000, seed=seed)
        return not float(found) < 1

    low, high = 2, MOST_CENTRES
    if not beyond(low):
        return low
    # starting from small numbers, which are cheap
    step = 16
    while step < high and beyond(step):
        low, step = step, 4 * step
    high = min(step, high)
    if high == MOST_CENTRES and beyond(high):
        return None
    while high > 1.1 * low and high > low + 1:
        middle = round(math.sqrt(low * high))
        low, high = (middle, high) if beyond(middle) else (low, middle)
    return high
