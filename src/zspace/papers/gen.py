"""GEN's tables and figures (Saha, Elhabian and Whitaker, 2020)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zspace import api, plots
from zspace.bench import GENERATION, bench_of
from zspace.core import as_float, blockwise, codes, stream
from zspace.evaluate import measure
from zspace.functional import kernel_entropy, kernel_jsd, whitened
from zspace.methods.gen import GEN
from zspace.metrics import Figure, mean_figure, mean_squared_error
from zspace.novelty import auroc, error_variance, novelty
from zspace.papers.base import (
    Entry,
    Experiment,
    Scale,
    Workbench,
    mean_and_deviation,
    published,
)  # fmt: skip
from zspace.pictures import interpolation_rows, reconstruction_rows
from zspace.run import Run
from zspace.samplers import Mixture, Normal
from zspace.samplers.kde import likeliest_bandwidth, optimal_bandwidths

SAMPLES = (250, 500, 1000, 2000, 4000, 8000)
"""Columns of Table 1."""


def table1(bench: Workbench) -> list[Entry]:
    """h_opt of N(0, I) by dimension and samples: by the root, and by the fixed point.

    Behind ± stands the standard deviation over the trials, as in the paper. A fixed point that did
    not settle is left out of its mean, and counted.
    """
    trials = bench.settings["trials"]
    entries: list[Entry] = []
    fig, axes = plots.figure(1, 1, (5.5, 4))
    theirs, spread = published()["gen/table1"], published()["gen/table1-sd"]
    for dim in bench.settings["dims"]:
        means: list[float] = []
        for m in bench.settings["samples"]:
            column = SAMPLES.index(m)
            for route in ("root", "fixed-point"):
                found = optimal_bandwidths(Normal(dim), m, trials=trials, route=route)
                settled = found[~found.isnan()]
                figure = mean_and_deviation(settled.tolist())
                entries.append(
                    Entry(
                        f"l = {dim}, m = {m}", f"h_opt by the {route}, ± deviation", figure,
                        "N(0, I)", f"{len(settled)} of {trials} trials", len(settled),
                        theirs[str(dim)][column], spread[str(dim)][column], "N(0, I)",
                        f"{len(settled)} of {trials} trials",
                    )
                )  # fmt: skip
                if route == "root":
                    means.append(figure.value)
        line = axes[0, 0].plot(bench.settings["samples"], means, marker=".", label=f"l = {dim}")
        points = [theirs[str(dim)][SAMPLES.index(m)] for m in bench.settings["samples"]]
        axes[0, 0].plot(
            bench.settings["samples"], [math.nan if p is None else p for p in points], "x",
            color=line[0].get_color(),
        )  # fmt: skip
    axes[0, 0].axhline(1, color="grey", linewidth=0.8)
    axes[0, 0].set_xscale("log")
    axes[0, 0].set_xticks(bench.settings["samples"], bench.settings["samples"])
    axes[0, 0].minorticks_off()
    axes[0, 0].set_xlabel("samples m")
    axes[0, 0].set_title("h_opt: ours (dots) and the paper's (crosses)", fontsize=9)
    axes[0, 0].legend(fontsize=8)
    plots.save_figure(bench.picture("table1"), fig)
    return entries


SEPARATIONS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
"""The s of Figure 1, from 0 to 6."""


FRESH = 10_000
"""Draws of either distribution that an estimate is judged on."""


def separated(dim: int, s: float) -> Mixture:
    """Two standard normals of equal weight at distance s on the first axis, whitened: its
    covariance is I for every s, by the mixture's own moments."""
    scale = torch.ones(dim)
    scale[0] = 1 / math.sqrt(1 + s**2 / 4)
    means = torch.zeros(2, dim)
    means[:, 0] = torch.tensor([-s / 2, s / 2]) * scale[0]
    return Mixture.of(torch.ones(2), means, torch.diag(scale**2).expand(2, dim, dim))


def adversary_jsd(x: Tensor, y: Tensor, fresh_x: Tensor, fresh_y: Tensor, seed: int) -> float:
    """The JSD in nats that a discriminator sees between two sets, judged on fresh draws.

    Three hidden layers of 10 l, 5 l and 2 l units (scikit-learn's network, Adam), trained on 90%
    of the sets until the accuracy on the other 10% has not risen for ten epochs.
    """
    from sklearn.neural_network import MLPClassifier

    dim = x.shape[1]
    net = MLPClassifier(
        (10 * dim, 5 * dim, 2 * dim), early_stopping=True, max_iter=200, random_state=seed
    )
    net.fit(torch.cat([x, y]).numpy(), np.repeat([0, 1], [len(x), len(y)]))
    on_x: Any = net.predict_proba(fresh_x.numpy())
    on_y: Any = net.predict_proba(fresh_y.numpy())
    # a network may be certain, and wrong: its logarithm would be infinite
    right = [np.log(p.clip(1e-12)).mean() for p in (on_x[:, 0], on_y[:, 1])]
    return math.log(2) + float(sum(right)) / 2


def fig1(bench: Workbench) -> list[Entry]:
    """Pearson's correlation of s with the JSD between a whitened mixture and N(0, I).

    The JSD is estimated by kernels (m centres, bandwidth h_opt) and by a discriminator (trained on
    m draws of either), both judged on 10,000 fresh draws of either: what varies between trials is
    then what m draws could teach. The paper names no number, and prints its correlations in a
    picture alone.
    """
    trials = bench.settings["trials"]
    entries: list[Entry] = []
    curves: dict[str, Any] = {}
    for dim in bench.settings["dims"]:
        for m in bench.settings["samples"]:
            target = Normal(dim)
            h = float(optimal_bandwidths(target, m, trials=3).nanmean())
            values: dict[str, list[list[float]]] = {"KDE": [], "NN": []}
            for s in SEPARATIONS:
                mixture = separated(dim, s)
                values["KDE"].append([])
                values["NN"].append([])
                for trial in range(trials):
                    seeded = torch.Generator().manual_seed(stream(31, dim, m, int(s), trial))
                    x, fresh_x = (mixture.sample(n, generator=seeded) for n in (m, FRESH))
                    y, fresh_y = (target.sample(n, generator=seeded) for n in (m, FRESH))
                    jsd = kernel_jsd(fresh_x, fresh_y, x, h, target.log_prob)
                    values["KDE"][-1].append(float(jsd))
                    values["NN"][-1].append(adversary_jsd(x, y, fresh_x, fresh_y, trial))
            for name, jsds in values.items():
                s = torch.tensor(SEPARATIONS).repeat_interleave(trials)
                entries.append(
                    Entry(
                        f"l = {dim}, m = {m}: {name}", "correlation of JSD with s",
                        correlation(s, torch.tensor(jsds).flatten()), "samples",
                        "whitened mixture against N(0, I)", len(s),
                    )
                )  # fmt: skip
            curves[f"{dim}, {m}"] = values
    bench.more["jsd"] = curves
    _draw_curves(bench.picture("fig1"), curves)
    return entries


def correlation(x: Tensor, y: Tensor) -> Figure:
    """Pearson's correlation of pairs, with its large-sample error (1 - r^2) / sqrt(N - 1)."""
    r = float(torch.corrcoef(torch.stack([x.double(), y.double()]))[0, 1])
    return Figure(r, (1 - r**2) / math.sqrt(len(x) - 1))


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


def _entropy(z: Tensor) -> float:
    """Of codes (N, D): leave-one-out, at their likeliest bandwidth."""
    return kernel_entropy(z, likeliest_bandwidth(z))


TABLE2 = (1000, 2000, 5000, 10000)
"""Columns of Table 2."""


def table2(bench: Workbench) -> list[Entry]:
    """Entropy of the whitened codes of n test images, models trained on n images.

    Fully connected networks, l = 8. Of GEN's n training images half carry the kernels. Behind ±
    stands the standard deviation over models, as in the paper. Draws of N(0, I), whose true entropy
    is 11.3515, are not whitened (the paper's deviations are those of draws that are not): 20 sets
    of them, or 5 of 5,000 draws and more.
    """
    where = bench.settings
    theirs, spread = published()["gen/table2"], published()["gen/table2-sd"]
    entries: list[Entry] = []

    def compare(name: str, n: int, of: str, values: list[float]) -> None:
        column = TABLE2.index(n)
        entries.append(
            Entry(
                f"{name}, n = {n}", "entropy, nats (± deviation)", mean_and_deviation(values),
                "leave-one-out KDE", of, len(values), theirs[name][column], spread[name][column],
                "leave-one-out KDE", of,
            )
        )  # fmt: skip

    for n in where["drawn"]:
        sets = [
            torch.randn(n, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            for seed in range(20 if n < 5000 else 5)
        ]
        compare("Standard Normal", n, "draws", [_entropy(z) for z in sets])
    for n in where["samples"]:
        for name in ("AAE", "VAE", "GEN"):
            values: list[float] = []
            errors: list[float] = []
            for seed in range(where["seeds"]):
                more = {"centres": n // 2} if name == "GEN" else {}
                run = bench.trained(
                    name.lower(), "mnist", train_size=n, seed=seed, latent_dim=8, arch="fc",
                    iterations=where["iterations"], batch_size=100, **more,
                )  # fmt: skip
                model = api.load(run.folder, device=bench.device)
                test = api.run_images(run).test.x[:n]
                values.append(_entropy(whitened(codes(model, test).cpu())))
                errors.append(error_variance(model, test))
            compare(name, n, "whitened codes of MNIST", values)
            entries.append(
                Entry(
                    f"{name}, n = {n}", "mean squared error (± deviation)",
                    mean_and_deviation(errors),
                    "pixels", "MNIST test", len(errors), published()["gen/text"]["loss"], None,
                    "pixels", "MNIST test",
                )
            )  # fmt: skip
    return entries


def fig3(bench: Workbench) -> list[Entry]:
    """MNIST mapped to ten 2-D Gaussians: without labels, and with labels for some images.

    A test image counts as right where the nearest mode is that of its digit; without labels,
    where that mode's commonest digit is its own.
    """
    entries: list[Entry] = []
    fig, axes = plots.figure(2, 1, (4.5, 4.5))
    for axis, labelled in zip(axes.flat, (None, bench.settings["labelled"]), strict=True):
        run = bench.trained(
            "gen", "mnist", target="mixture", components=10, labelled=labelled,
            iterations=bench.settings["iterations"], **bench.settings["options"],
        )  # fmt: skip
        model = api.load(run.folder, device=bench.device)
        assert isinstance(model, GEN)
        test = api.run_images(run).test
        assert test.y is not None
        z = codes(model, test.x)
        mode = model.target.component_log_probs(z).argmax(0).cpu()
        if labelled is None:
            counts = torch.zeros(10, 10).index_put_(
                (mode, test.y), torch.ones(len(mode)), accumulate=True
            )
            mode = counts.argmax(1)[mode]
        accuracy = mean_figure((mode == test.y).float())
        what = "no labels" if labelled is None else f"{labelled} labels"
        entries.append(
            Entry(what, "accuracy of the nearest mode", accuracy, "codes", "mnist", len(mode))
        )
        axis.scatter(*z.cpu().T, c=test.y, s=2, cmap="tab10", linewidths=0)
        axis.set_title(f"{what}: {accuracy.value:.1%} in their mode", fontsize=10)
        axis.set_aspect("equal")
        if labelled is not None:
            _draw_modes(bench.picture("modes"), model)
    plots.save_figure(bench.picture("fig3"), fig)
    return entries


def _draw_modes(path: Path, model: GEN) -> None:
    """A row of images for each mode, from the prior (as in the supplement's Figure 3)."""
    seeded = torch.Generator(model.centres.device).manual_seed(0)
    assert model.prior is not None
    with torch.no_grad():
        z = torch.cat([model.prior.sample(12, k, generator=seeded) for k in range(10)])
        plots.save_sheet(path, blockwise(model.decode, z), 12)


def fig4(bench: Workbench) -> list[Entry]:
    """Novelty: a GEN for each digit alone, and the scores of all test images.

    The pictures have the 100 most and least probable test images of the digit. The paper has no
    numbers; ours are areas under the ROC curve against the other digits, by the score and by two of
    its parts.
    """
    entries: list[Entry] = []
    for digit in bench.settings["digits"]:
        run = bench.trained(
            "gen", "mnist", classes=str(digit), latent_dim=8,
            iterations=bench.settings["iterations"],
        )  # fmt: skip
        found = novelty(
            run.folder, data="mnist", data_dir=bench.data_dir, label=str(digit),
            device=bench.device,
        )  # fmt: skip
        found.draw(bench.picture(f"fig4-{digit}"))
        known = found.known
        assert known is not None
        s = found.scores
        for what, score in (
            ("-log p(x)", s.score),
            ("-log p(z') + volume alone", s.volume - s.latent),
            ("-log p(x | x') alone", -s.residual),
        ):
            entries.append(
                Entry(f"digit {digit} against the others", f"AUROC of {what}",
                      auroc(score[known], score[~known]), "test images", "mnist", len(known))
            )  # fmt: skip
    return entries


METHODS = ("AAE", "VAE", "GEN")
"""In the order of Table 3."""


def _on_images(bench: Workbench, name: str) -> Run:
    """One of the three models of Table 3, with the same networks as the others."""
    data, where = str(bench.data), bench.settings
    own = where["gen"] if name == "GEN" else {}
    labels = {"label_attribute": "Male"} if data == "celeba" else {}
    latent_dim = where["latent_dim"] or {"svhn": 25, "celeba": 40}[data]
    return bench.trained(
        name.lower(), data, iterations=where["iterations"], batch_size=100, arch="conv",
        latent_dim=latent_dim, **where["options"], **labels, **own,
    )  # fmt: skip


def sheets(bench: Workbench) -> list[Entry]:
    """64 samples of each model, and 32 test images above their reconstructions."""
    entries: list[Entry] = []
    for name in METHODS:
        run = _on_images(bench, name)
        model = api.load(run.folder, device=bench.device)
        device = next(model.parameters()).device
        x = as_float(api.run_images(run).test.x[:32].to(device))
        seeded = torch.Generator(device).manual_seed(0)
        plots.save_sheet(bench.picture(f"samples-{name}"), model.sample(64, generator=seeded))
        plots.save_sheet(bench.picture(f"reconstructions-{name}"), *reconstruction_rows(model, x))
        error = mean_figure(mean_squared_error(model.reconstruct(x), x))
        entries.append(Entry(name, "mean squared error, reconstructed", error, "pixels",
                             f"{bench.data} test", len(x)))  # fmt: skip
    return entries


def interpolations(bench: Workbench) -> list[Entry]:
    """Lines between random codes of GEN's prior, and between the codes of test images."""
    run = _on_images(bench, "GEN")
    model = api.load(run.folder, device=bench.device)
    device = next(model.parameters()).device
    x = as_float(api.run_images(run).test.x[:16].to(device))
    assert model.prior is not None
    z = model.prior.sample(16, generator=torch.Generator(device).manual_seed(0))
    t = torch.linspace(0, 1, 9, device=device)[None, :, None]
    with torch.no_grad():
        rows = blockwise(model.decode, ((1 - t) * z[:8, None] + t * z[8:, None]).flatten(0, 1))
    plots.save_sheet(bench.picture("random"), rows, 9)
    plots.save_sheet(bench.picture("test-images"), *interpolation_rows(model, x[:8], x[8:]))
    error = mean_figure(mean_squared_error(model.reconstruct(x), x))
    return [Entry("GEN", "mean squared error, reconstructed", error, "pixels",
                  f"{bench.data} test", len(x))]  # fmt: skip


def table3(bench: Workbench) -> list[Entry]:
    """The Frechet distance of generated images: AAE, VAE and GEN with the same networks.

    GEN draws from N(0, (1 - h^2) I), and from its target as well. As many images of each as the
    test part has, 10,000 at most, against as many test images. The paper's are FIDs.
    """
    data, where = str(bench.data), bench.settings
    title = {"svhn": "SVHN", "celeba": "CelebA"}[data]
    theirs, spread = published()["gen/table3"][title], published()["gen/table3-sd"][title]
    entries: list[Entry] = []
    for i, name in enumerate(METHODS):
        run = _on_images(bench, name)
        for features in where["features"]:
            measured = measure(
                bench_of(run.folder, features=features, device=bench.device), metrics=["fid"]
            )
            bench.more.setdefault("notes", []).extend(measured["notes"])
            for row in measured["rows"]:
                if row["kind"] != GENERATION:
                    continue
                fid = row["figures"]["fid"]
                entries.append(
                    Entry(
                        name if row["subject"] == "prior" else f"{name}, from its target",
                        "Frechet distance, generated", Figure(fid["value"], fid["error"]),
                        fid["features"], f"{data}{where['size']}", row["n"], theirs[i], spread[i],
                        "inception", data,
                    )
                )  # fmt: skip
    return entries


def _scales(
    smoke: dict[str, Any], small: dict[str, Any], paper: dict[str, Any], short: tuple[str, str],
    costs: tuple[str, str, str],
) -> dict[str, Scale]:  # fmt: skip
    return {
        "smoke": Scale(smoke, short[0], costs[0]),
        "small": Scale(small, short[1], costs[1]),
        "paper": Scale(paper, "", costs[2]),
    }


_GRID = {"dims": (2, 5, 10, 20, 40), "samples": SAMPLES}
_MNIST = ("mnist",)

_IMAGES = _scales(
    {"iterations": 5, "latent_dim": 5, "gen": {"centres": 100}, "features": ("pixels",),
     "size": " at 16 pixels",
     "options": {"image_size": 16, "width": 4, "hidden": 16, "train_size": 400}},
    {"iterations": 2000, "latent_dim": 25, "gen": {"centres": 2000},
     "features": ("classifier", "pixels"), "size": " at 32 pixels",
     "options": {"image_size": 32, "width": 16, "hidden": 128}},
    {"iterations": 100_000, "latent_dim": None, "gen": {}, "features": ("inception",),
     "size": "", "options": {}},
    ("5 iterations, tiny networks, 400 images",
     "32 pixels, 25 dimensions, 2,000 centres, convolutions of 16 and 32 channels, 2,000 "
     "iterations (the paper names none)"),
    ("a minute", "20 minutes on 2 cores", "some hours on a GPU"),
)  # fmt: skip

EXPERIMENTS = (
    Experiment(
        "gen/table1",
        "GEN, Table 1: the bandwidth that tells two normal samples apart best, by dimension and "
        "samples.",
        _scales(
            {"dims": (2, 5), "samples": (250, 500), "trials": 3},
            {"dims": (2, 5, 10, 20, 40), "samples": (250, 500, 1000, 2000), "trials": 10},
            {**_GRID, "trials": 10},
            ("4 of 30 cells, 3 trials in place of 10", "20 of 30 cells: m up to 2,000"),
            ("seconds", "3 minutes on a core", "40 minutes on a core"),
        ),
        table1,
    ),
    Experiment(
        "gen/fig1",
        "GEN, Figure 1: how the JSD of two known densities follows their distance, by kernels and "
        "by a discriminator.",
        _scales(
            {"dims": (2,), "samples": (250,), "trials": 2},
            {**_GRID, "samples": (250, 1000, 4000), "trials": 4},
            {**_GRID, "trials": 20},
            ("1 cell of the grid, 2 trials in place of 20",
             "15 of 30 cells, 4 trials in place of 20"),
            ("seconds", "15 minutes on a core", "5 hours on a core"),
        ),
        fig1,
    ),
    Experiment(
        "gen/table2",
        "GEN, Table 2: how normal the codes of AAE, VAE and GEN are, by their entropy.",
        _scales(
            {"drawn": (1000,), "samples": (1000,), "seeds": 1, "iterations": 50},
            {"drawn": TABLE2, "samples": (10000,), "seeds": 3, "iterations": 3000},
            {"drawn": TABLE2, "samples": TABLE2, "seeds": 5, "iterations": 20_000},
            ("one column, 1 model in place of 5, 50 iterations",
             "1 of 4 columns, 3 models in place of 5, 3,000 iterations (the paper names none)"),
            ("2 minutes", "20 minutes on 2 cores", "10 hours on 2 cores"),
        ),
        table2,
        _MNIST,
    ),
    Experiment(
        "gen/fig3",
        "GEN, Figure 3 and the supplement's 3: MNIST mapped to ten 2-D Gaussians, without labels "
        "and with 10,000, and samples of its modes.",
        _scales(
            {"labelled": 1000, "iterations": 30, "options": {"train_size": 4000}},
            {"labelled": 10_000, "iterations": 6000, "options": {}},
            {"labelled": 10_000, "iterations": 50_000, "options": {}},
            ("4,000 images, 1,000 labels, 30 iterations",
             "6,000 iterations (the paper names none)"),
            ("a minute", "30 minutes on 2 cores", "3 hours on 2 cores"),
        ),
        fig3,
        _MNIST,
    ),
    Experiment(
        "gen/fig4",
        "GEN, Figure 4 and the supplement's 4: the most and least probable images of a digit, and "
        "its AUROC against the others.",
        _scales(
            {"digits": (1,), "iterations": 50},
            {"digits": (1,), "iterations": 4000},
            {"digits": (1, 0, 2, 5, 7), "iterations": 20_000},
            ("50 iterations", "digit 1 alone, 4,000 iterations (the paper names none)"),
            ("a minute", "5 minutes on 2 cores", "2 hours on 2 cores"),
        ),
        fig4,
        _MNIST,
    ),
    *(
        Experiment(
            f"gen/{name}",
            f"GEN, {about}",
            _IMAGES,
            run,
            data,
            "the data set's files; at scale paper the Inception weights (zspace weights)",
        )
        for name, about, run, data in (
            ("table3", "Table 3: Frechet distances of AAE, VAE and GEN on SVHN or CelebA.", table3,
             ("celeba", "svhn")),
            ("fig2", "Figure 2 and the supplement's 1: samples and reconstructions of AAE, VAE and "
             "GEN on CelebA.", sheets, ("celeba", "svhn")),
            ("supplement-fig2", "supplement, Figures 1 and 2: samples and reconstructions on SVHN.",
             sheets, ("svhn", "celeba")),
            ("supplement-fig5", "supplement, Figures 5 and 6: interpolations between random codes "
             "and between test images.", interpolations, ("celeba", "svhn")),
        )
    ),
)  # fmt: skip
