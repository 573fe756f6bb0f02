"""GEN's Table 1 and Figure 1: bandwidths for known densities, and their divergences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from zspace.display import plots
from zspace.functional import kernel_jsd, stream
from zspace.metrics import Figure, mean_figure
from zspace.papers.entries import Entry, mean_and_deviation, published
from zspace.papers.lab import Lab
from zspace.samplers import Mixture, Normal
from zspace.samplers.kde import optimal_bandwidths

SAMPLES = (250, 500, 1000, 2000, 4000, 8000)
"""The numbers of samples in the columns of Table 1."""


def table1(lab: Lab) -> list[Entry]:
    """Table 1: the optimal bandwidth of N(0, I), found as a root and as a fixed point.

    It is given by the dimension and the number of samples. The number after ± is the standard
    deviation over the trials, as in the paper. A fixed point that did not converge is left out of
    the mean, which a note tells. The two routes are compared on the trials in which it did, if
    these are two or more.
    """
    return _bandwidths(lab, ("root", "fixed-point"), lab.picture("table1"))


def dimensions(lab: Lab) -> list[Entry]:
    """Section 6: the optimal bandwidth of N(0, I) in more dimensions than Table 1's, as a root.

    The paper calls a bandwidth above 1 too high: each kernel is then wider than the target. It says
    that above 50 dimensions this is so for virtually any number of samples.
    """
    return _bandwidths(lab, ("root",), lab.picture("dimensions"))


Route = Literal["root", "fixed-point"]


def _bandwidths(lab: Lab, routes: tuple[Route, ...], picture: Path) -> list[Entry]:
    """The entries of a grid of dimensions and numbers of samples, beside those that are printed."""
    trials = lab.settings["trials"]
    entries: list[Entry] = []
    fig, axes = plots.figure(1, 1, (5.5, 4))
    samples = lab.settings["samples"]
    for dim in lab.settings["dims"]:
        theirs, spread = (
            dict(zip(SAMPLES, published()[name].get(str(dim), ()), strict=False))
            for name in ("gen/table1", "gen/table1-sd")
        )
        means: list[float] = []
        for m in samples:
            found = {
                route: optimal_bandwidths(Normal(dim), m, trials=trials, route=route)
                for route in routes
            }
            what = f"l = {dim}, m = {m}"
            for route, each in found.items():
                settled = each[~each.isnan()]
                figure = mean_and_deviation(settled.tolist())
                if len(settled) < trials:
                    lab.note(
                        f"{what}: the {route.replace('-', ' ')} was found in {len(settled)} of "
                        f"{trials} trials."
                    )
                entries.append(
                    Entry(
                        what,
                        f"h_opt by the {route}",
                        figure,
                        "JSD of two sets",
                        "samples of N(0, I)",
                        m,
                        theirs.get(m),
                        spread.get(m),
                        "JSD of two sets",
                        "samples of N(0, I)",
                        repeats=max(1, len(settled)),
                        repeated="trial",
                    )
                )
                if route == "root":
                    means.append(figure.value)
            if "fixed-point" in found:
                entries += _routes(what, m, found["root"], found["fixed-point"])
        line = axes[0, 0].plot(samples, means, marker=".", label=f"l = {dim}")
        points = [theirs.get(m) for m in samples]
        axes[0, 0].plot(
            samples, [math.nan if p is None else p for p in points], "x", color=line[0].get_color()
        )
    axes[0, 0].axhline(1, color="grey", linewidth=0.8)
    axes[0, 0].set_xscale("log")
    axes[0, 0].set_xticks(samples, samples)
    axes[0, 0].minorticks_off()
    axes[0, 0].set_xlabel("samples m")
    known = any(entry.published is not None for entry in entries)
    beside = ": ours (dots) and the paper's (crosses)" if known else ""
    axes[0, 0].set_title(f"h_opt{beside}", fontsize=9)
    axes[0, 0].legend(fontsize=8)
    plots.save_figure(picture, fig)
    return entries


PAIRED = "h_opt by the fixed-point over that by the root"
SETTLED = "share of trials in which the fixed-point settles"


def _routes(what: str, m: int, root: Tensor, fixed: Tensor) -> list[Entry]:
    """The entries that compare the two routes' bandwidths of as many trials."""
    about = "JSD of two sets", "samples of N(0, I)", m
    ratios = (fixed / root)[~fixed.isnan()].tolist()
    entries = [Entry(what, SETTLED, mean_figure((~fixed.isnan()).float()), *about)]
    if len(ratios) > 1:
        ratio, n = mean_and_deviation(ratios), len(ratios)
        entries.append(Entry(what, PAIRED, ratio, *about, repeats=n, repeated="trial"))
    return entries


SEPARATIONS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
"""The distances s of Figure 1."""
FRESH = 10_000
"""The number of fresh samples of either distribution on which an estimate is judged."""


def separated(dim: int, s: float) -> Mixture:
    """A whitened mixture of two standard normals at distance s along the first axis.

    Both have the same weight. The mixture is scaled by its own moments, so that its covariance is I
    for every s.
    """
    scale = torch.ones(dim)
    scale[0] = 1 / math.sqrt(1 + s**2 / 4)
    means = torch.zeros(2, dim)
    means[:, 0] = torch.tensor([-s / 2, s / 2]) * scale[0]
    return Mixture.of(torch.ones(2), means, torch.diag(scale**2).expand(2, dim, dim))


def adversary_jsd(x: Tensor, y: Tensor, fresh_x: Tensor, fresh_y: Tensor, seed: int) -> float:
    """The Jensen-Shannon divergence of two sets, in nats, estimated by a discriminator.

    The discriminator is scikit-learn's network with three hidden layers of 10 l, 5 l and 2 l units,
    trained by Adam on 90% of the sets until the accuracy on the other 10% has not risen for ten
    epochs.

    Args:
        x, y: the sets (N, l) and (M, l) to train on.
        fresh_x, fresh_y: samples of the same distributions to judge by.
        seed: the seed of the training.
    """
    from sklearn.neural_network import MLPClassifier

    dim = x.shape[1]
    net = MLPClassifier(
        (10 * dim, 5 * dim, 2 * dim), early_stopping=True, max_iter=200, random_state=seed
    )
    net.fit(torch.cat([x, y]).numpy(), np.repeat([0, 1], [len(x), len(y)]))
    on_x: Any = net.predict_proba(fresh_x.numpy())
    on_y: Any = net.predict_proba(fresh_y.numpy())
    # the logarithm of a probability of 0 would be infinite
    right = [np.log(p.clip(1e-12)).mean() for p in (on_x[:, 0], on_y[:, 1])]
    return math.log(2) + float(sum(right)) / 2


def fig1(lab: Lab) -> list[Entry]:
    """Figure 1: Pearson's correlation of s with the JSD between a whitened mixture and N(0, I).

    The JSD is estimated by kernels (m centres, bandwidth h_opt) and by a discriminator (trained on
    m samples of either distribution). Both are judged on 10,000 fresh samples of either, so that
    trials differ only by the m samples that the estimate is made from. The paper names 20 trials
    for its curve of l = 5 and m = 1000, and shows its correlations only in a picture.
    """
    trials = lab.settings["trials"]
    entries: list[Entry] = []
    curves: dict[str, Any] = {}
    for dim in lab.settings["dims"]:
        for m in lab.settings["samples"]:
            target = Normal(dim)
            h = float(optimal_bandwidths(target, m, trials=3).nanmean())
            values: dict[str, list[list[float]]] = {"KDE": [], "NN": []}
            for s in SEPARATIONS:
                mixture = separated(dim, s)
                values["KDE"].append([])
                values["NN"].append([])
                for trial in range(trials):
                    seeded = torch.Generator().manual_seed(stream(31, dim, m, int(s), trial))
                    x, fresh_x = (mixture.draw(n, generator=seeded) for n in (m, FRESH))
                    y, fresh_y = (target.draw(n, generator=seeded) for n in (m, FRESH))
                    jsd = kernel_jsd(fresh_x, fresh_y, x, h, target.log_prob)
                    values["KDE"][-1].append(float(jsd))
                    values["NN"][-1].append(adversary_jsd(x, y, fresh_x, fresh_y, trial))
            for name, jsds in values.items():
                entries.append(
                    Entry(
                        f"l = {dim}, m = {m}: {name}",
                        "correlation of JSD with s",
                        trend(SEPARATIONS, torch.tensor(jsds)),
                        "samples",
                        "whitened mixture against N(0, I)",
                        len(SEPARATIONS) * trials,
                    )
                )
            curves[f"{dim}, {m}"] = values
    lab.more["jsd"] = curves
    _draw_curves(lab.picture("fig1"), curves)
    return entries


def correlation(x: Tensor, y: Tensor) -> Figure:
    """Pearson's correlation r of pairs, with its large-sample error (1 - r^2) / sqrt(N - 1)."""
    r = _pearson(x, y)
    return Figure(r, (1 - r**2) / math.sqrt(len(x) - 1))


def _pearson(x: Tensor, y: Tensor, weights: Tensor | None = None) -> float:
    moments = torch.cov(torch.stack([x.double(), y.double()]), aweights=weights)
    return float(moments[0, 1] / moments.diagonal().prod().sqrt())


def trend(levels: Sequence[float], values: Tensor) -> Figure:
    """Pearson's correlation r of values with chosen levels, and its error over the trials.

    The levels are the same whenever the trials are repeated. So the error is that of the jackknife
    which leaves out one trial of one level after the other, whose other trials then weigh as much
    as all had; r_kt is what is left:

        sqrt(sum_k (T - 1) / T sum_t (r_kt - mean_t r_kt)^2)

    The large-sample error of random pairs would count a curve as noise.

    Args:
        levels: the K levels.
        values: (K, T), T trials at each level; the error is NaN for T = 1.
    """
    count, trials = values.shape
    x, y = torch.tensor(levels).repeat_interleave(trials), values.flatten()
    if trials < 2:
        return Figure(_pearson(x, y), math.nan)
    left = torch.zeros(count, trials, dtype=torch.float64)
    for k in range(count):
        for t in range(trials):
            weights = torch.ones(count, trials, dtype=torch.float64)
            weights[k] = trials / (trials - 1)
            weights[k, t] = 0
            left[k, t] = _pearson(x, y, weights.flatten())
    variance = (trials - 1) / trials * (left - left.mean(1, keepdim=True)).square().sum()
    return Figure(_pearson(x, y), float(variance.sqrt()))


def _draw_curves(path: Path, curves: dict[str, Any]) -> None:
    columns = len({key.split(", ")[1] for key in curves})
    fig, axes = plots.figure(columns, math.ceil(len(curves) / columns), (3.2, 2.4))
    for axis, (key, values) in zip(axes.flat, curves.items(), strict=True):
        for name, jsds in values.items():
            means = [float(np.mean(j)) for j in jsds]
            axis.errorbar(SEPARATIONS, means, [float(np.std(j)) for j in jsds], label=name)
        dim, m = key.split(", ")
        axis.set_title(f"l = {dim}, m = {m}", fontsize=9)
        axis.tick_params(labelsize=7)
    axes[0, 0].legend(fontsize=8)
    axes[0, 0].set_ylabel("JSD, nats")
    axes[-1, 0].set_xlabel("s")
    plots.save_figure(path, fig)
