"""What fits of a mixture and of a kernel density cost, against how they were fitted before.

    zspace encode RUN --part train --out CODES.npz
    OMP_NUM_THREADS=1 python bench/samplers.py CODES.npz [--rounds N] [--only mixture,bandwidth]

Before, scikit-learn fitted the mixture, and Brent's method computed the leave-one-out likelihood of
the kernel density anew for each bandwidth, in float64. Both take turns; each round has its own
seed, and so its own start or choice of codes.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from sklearn.mixture import GaussianMixture
from torch import Tensor

from zspace.functional import kernel_entropy
from zspace.samplers import Mixture
from zspace.samplers.kde import likeliest_bandwidth

warnings.simplefilter("ignore")

HELD_OUT = 4000
"""The number of codes at which the fitted mixtures' log densities are compared."""

SLOW = 20_000
"""The number of codes from which the bandwidth took too long before to be measured."""


def mixture_before(z: Tensor, test: Tensor, components: int, seed: int) -> float:
    codes = z.double().numpy()
    ridge = 1e-6 * max(float(codes.var(0).mean()), 1e-12)
    mixture = GaussianMixture(components, reg_covar=ridge, random_state=seed, max_iter=200)
    return float(mixture.fit(codes).score(test.double().numpy()))


def mixture_now(z: Tensor, test: Tensor, components: int, seed: int) -> float:
    mixture = Mixture(z.shape[1], components=components, seed=seed).fit(z)
    return float(mixture.log_prob(test).double().mean())


def bandwidth_before(z: Tensor) -> float:
    z = z.double()
    scale = float(z.std(0).square().mean().sqrt())
    least: Any = minimize_scalar(
        lambda log_h: kernel_entropy(z, math.exp(log_h)),
        bounds=(math.log(1e-4 * scale), math.log(2 * scale)),
        options={"xatol": 1e-3},
    )
    return math.exp(float(least.x))


def timed(function: Callable[[], float]) -> tuple[float, float, float]:
    """What a function returns, and the seconds that it takes: of the processor, and by a clock."""
    processor, clock = time.process_time(), time.perf_counter()
    value = function()
    return value, time.process_time() - processor, time.perf_counter() - clock


def spread(values: list[float]) -> str:
    """The median and the quartiles, or a dash if there are no two values."""
    if len(values) < 2:
        return "-"
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def row(what: str, before: list[tuple[float, float, float]], now: list[Any], quality: str) -> str:
    """A row of the table, from each round's value, processor time and time by the clock."""
    cells = [
        f"{spread([took[1] for took in side])}; {spread([took[2] for took in side])}"
        for side in (before, now)
    ]
    ratios = [a[1] / b[1] for a, b in zip(before, now, strict=False)]
    return f"| {what} | {' | '.join(cells)} | {spread(ratios)} | {quality} |"


def mean_and_deviation(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def mixtures(z: Tensor, rounds: int) -> Iterator[str]:
    test, z = z[:HELD_OUT], z[HELD_OUT:]
    mixture_now(z[:2000], test, 2, 0)  # imports, which no round counts
    for n in (12_000, 50_000):
        for components in (10, 40, 100):
            before: list[tuple[float, float, float]] = []
            now: list[tuple[float, float, float]] = []
            for seed in range(rounds):
                for fit, took in ((mixture_before, before), (mixture_now, now)):
                    took.append(timed(lambda: fit(z[:n], test, components, seed)))  # noqa: B023
            log_p = [mean_and_deviation([one[0] for one in side]) for side in (before, now)]
            quality = f"log p {log_p[0]}; {log_p[1]}"
            yield row(f"mixture, {components} components, {n:,} codes", before, now, quality)


def bandwidths(z: Tensor, rounds: int) -> Iterator[str]:
    for n in (10_000, 50_000):
        before: list[tuple[float, float, float]] = []
        now: list[tuple[float, float, float]] = []
        for seed in range(rounds):
            order = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed))
            some = z[order[:n]]
            if n < SLOW:
                before.append(timed(lambda: bandwidth_before(some)))  # noqa: B023
            now.append(timed(lambda: likeliest_bandwidth(some)))  # noqa: B023
        apart = max((abs(a[0] / b[0] - 1) for a, b in zip(before, now, strict=False)), default=0)
        quality = (
            f"h {now[0][0]:.4f}, at most {apart:.1e} apart" if before else f"h {now[0][0]:.4f}"
        )
        yield row(f"bandwidth, {n:,} codes", before, now, quality)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("codes", type=Path, help="codes of 54,000 images or more (zspace encode)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="mixture,bandwidth")
    options = parser.parse_args()
    with np.load(options.codes) as stored:
        z = torch.from_numpy(stored["codes"]).float()
    z = z[torch.randperm(len(z), generator=torch.Generator().manual_seed(0))]
    print("| fit | before, s | now, s | ratio | before; now |\n|---|---|---|---|---|", flush=True)
    for name, rows in (("mixture", mixtures), ("bandwidth", bandwidths)):
        if name in options.only.split(","):
            for line in rows(z, options.rounds):
                print(line, flush=True)


if __name__ == "__main__":
    main()
