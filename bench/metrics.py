"""What metrics and densities cost: time, peak memory, and Frechet against SciPy's matrix root.

    python bench/metrics.py

Every contender runs in a process of its own, whose peak memory is read at its end.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from zspace import metrics, recipes
from zspace.evaluation.novelty import log_densities
from zspace.functional import kernel_log_density
from zspace.samplers import FlowMatching, Normal

warnings.simplefilter("ignore")


def features(n: int, dim: int, seed: int) -> Tensor:
    """float32 features whose variances fall off as those of networks do."""
    generator = torch.Generator().manual_seed(seed)
    scales = torch.arange(1, dim + 1) ** -0.5
    x = torch.empty(n, dim)
    for block in x.split(4096):
        block.copy_(torch.randn(len(block), dim, generator=generator) * scales)
    return x


def scipy_frechet(x: Tensor, y: Tensor) -> float:
    a, b = np.cov(x.double().numpy().T), np.cov(y.double().numpy().T)
    mean = np.square(x.double().mean(0) - y.double().mean(0)).sum()
    return float(mean + np.trace(a) + np.trace(b) - 2 * np.trace(np.real(sqrtm(a @ b))))


def frechet_2048() -> str:
    x, y = features(10_000, 2048, 0), features(10_000, 2048, 1)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(3):
        for function, times in ((metrics.frechet_distance, ours), (scipy_frechet, theirs)):
            began = time.perf_counter()
            value = function(x, y)
            times.append(time.perf_counter() - began)
            print(f"{function.__name__} {value:.9g}", file=sys.stderr)
    ratio = [b / a for a, b in zip(ours, theirs, strict=True)]
    return (
        f"{statistics.median(ours):.1f} s, SciPy's sqrtm {statistics.median(theirs):.1f} s: "
        f"{min(ratio):.1f} to {max(ratio):.1f} times as long"
    )


def timed(function: str, n: int = 50_000) -> str:
    x, y = features(n, 2048, 0), features(n, 2048, 1)
    began = time.perf_counter()
    if function == "kid":
        metrics.kernel_inception_distance(x, y)
    else:
        getattr(metrics, function)(x, y)
    return f"{time.perf_counter() - began:.0f} s"


def thrice(function: Callable[[], object]) -> str:
    times: list[float] = []
    for _ in range(3):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return f"{statistics.median(times):.1f} s (of 3: {min(times):.1f} to {max(times):.1f})"


def neighbours() -> str:
    generator = torch.Generator().manual_seed(0)
    a, b = (
        torch.randint(0, 256, (n, 1, 28, 28), generator=generator, dtype=torch.uint8)
        for n in (10_000, 60_000)
    )
    return thrice(lambda: metrics.nearest(a, b))


def kernel_density() -> str:
    generator = torch.Generator().manual_seed(0)
    centres, z = (torch.randn(n, 40, generator=generator) for n in (100_000, 10_000))
    began = time.perf_counter()
    z.requires_grad_()
    kernel_log_density(z, centres, 0.9).sum().backward()
    return f"{time.perf_counter() - began:.0f} s"


def novelty(arch: str) -> str:
    model = recipes.find("vae")(recipes.Facts((1, 28, 28)), arch=arch, latent_dim=8).model.eval()  # type: ignore[call-arg]
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (2048, 1, 28, 28), generator=generator, dtype=torch.uint8)
    rates: list[float] = []
    for _ in range(3):
        began = time.perf_counter()
        log_densities(model, x, Normal(8), 0.02)
        rates.append(len(x) / (time.perf_counter() - began))
    return f"{statistics.median(rates):.0f} images/s (of 3: {min(rates):.0f} to {max(rates):.0f})"


TASKS = {
    "Frechet, 10,000 x 2048 against as many": frechet_2048,
    "Frechet, 50,000 x 2048 against as many": lambda: timed("frechet_distance"),
    "KID, likewise": lambda: timed("kid"),
    "PRD, likewise": lambda: timed("precision_recall_distributions"),
    "improved precision and recall, 10,000 x 2048 against as many": lambda: timed(
        "improved_precision_recall", 10_000
    ),
    "nearest of 60,000 images of 784 pixels for 10,000": neighbours,
    "kernel density of 100,000 centres at 10,000 codes of 40 dimensions, and its gradient": (
        kernel_density
    ),
    "10,000 codes of 20 dimensions by flow matching, 8 steps": lambda: thrice(
        lambda: FlowMatching(20).sample(10_000)
    ),
    "novelty scores, 28x28, l = 8, fully connected, 512 units": lambda: novelty("fc"),
    "novelty scores, 28x28, l = 8, convolutions of 64 and 128 channels": lambda: novelty("conv"),
}


def main() -> None:
    if len(sys.argv) > 1:
        what = TASKS[sys.argv[1]]()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"| {sys.argv[1]} | {what} | {peak:.2f} GiB |")
        return
    print("| | time | peak memory |\n|---|---|---|", flush=True)
    for name in TASKS:
        subprocess.run([sys.executable, __file__, name], check=True)


if __name__ == "__main__":
    main()
