"""The experiments of Categorical generation of images via analysis of learned latent vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from zspace import api
from zspace.display import plots
from zspace.display.progress import Display
from zspace.errors import InputError
from zspace.generation.fit import read_sampler
from zspace.generation.tuning.objective import Objective, below_bar
from zspace.generation.tuning.search import FRESH, Tuned, tune
from zspace.metrics import Figure
from zspace.papers.base import Experiment, Lab, Scale
from zspace.papers.entries import Entry, published
from zspace.samplers import Classwise
from zspace.storage.run import Run

JUDGE = "classifier of reconstructions"


def _trained(lab: Lab, prior_loss: str, dim: int) -> Run:
    return lab.trained(
        "vae-mlp", str(lab.data), prior_loss=prior_loss, latent_dim=dim, **lab.settings["options"]
    )


def _tuned(lab: Lab, run: Run, sampler: str, **options: Any) -> Tuned:
    """A tuned sampler of a run. A note is made if its classifier's accuracy is too low."""
    with Display(quiet=lab.quiet) as progress:
        found = tune(
            run.folder,
            sampler,
            device=lab.device,
            progress=progress,
            samples=lab.settings["samples"],
            **options,
        )
    warning = below_bar(found.judge)
    notes = lab.more.setdefault("notes", [])
    if warning is not None and (note := f"{run.folder.name}: {warning}") not in notes:
        notes.append(note)
    return found


def _data(lab: Lab, run: Run) -> str:
    return f"{lab.data}, {run.facts.train_images:,} training images"


def fig1(lab: Lab) -> list[Entry]:
    """Figure 1: accuracy against mean cosine, for a VAE trained with a KL and one with an MMD.

    Each point of the curve is a pair (theta, n) of the sampler Simple's grid, and depends on
    theta / sqrt(n) only; it is the mean over all classes. The accuracies at a given mean cosine are
    interpolated between the nearest points.
    """
    dim = lab.settings["dim"]
    fig, axes = plots.figure(1, 1, (5, 4))
    entries: list[Entry] = []
    for loss in ("elbo", "mmd"):
        run = _trained(lab, loss, dim)
        found = _tuned(lab, run, "simple")
        curve = sorted((c, a) for c, a, _ in found.curve)
        axes[0, 0].plot(*zip(*curve, strict=True), marker=".", label=f"{loss}, D = {dim}")
        by: dict[str, Any] = {"by": JUDGE, "data": _data(lab, run)}
        n, tests = lab.settings["samples"], len(api.run_images(run).test)
        what = f"{loss}-{dim} Simple"
        entries.append(
            Entry(
                what, "accuracy on reconstructed test images", found.judge.accuracy, **by, n=tests
            )
        )
        for cosine in (0.9, 0.75):
            at = Figure(_between(curve, cosine), math.nan)
            entries.append(Entry(what, f"accuracy at mean cosine {cosine:g}", at, **by, n=n))
        lowest = found.smallest(0.995)
        smallest = Figure(math.nan if lowest is None else lowest, math.nan)
        entries.append(Entry(what, "smallest mean cosine with accuracy 0.995", smallest, **by, n=n))
        lab.more[what] = found.curve
    axes[0, 0].set_xlabel("mean cosine of two images of a class")
    axes[0, 0].set_ylabel("accuracy")
    axes[0, 0].legend()
    plots.save_figure(lab.picture("fig1"), fig)
    return entries


def _between(curve: list[tuple[float, float]], place: float) -> float:
    """The second coordinate of a curve at a value of the first, linearly interpolated.

    It is NaN outside the curve.
    """
    at, values = zip(*sorted(curve), strict=True)
    return float(np.interp(place, at, values, left=math.nan, right=math.nan))


def table4(lab: Lab) -> list[Entry]:
    """Table 4: theta, mean cosine and accuracy of each tuned sampler.

    Each sampler is tuned twice: by the paper's objective, and for the smallest cosine at which
    every class has an accuracy of 0.995.

    The search's noise favours the samplers that have more parameters to fit to it. Those of the
    second kind are therefore also compared at equal accuracy on fresh noise: their thetas are
    multiplied by factors, and the cosine is interpolated at mean accuracies of 0.98, 0.99 and
    0.995.

    The figures come from 1,000 images of each class, from noise that the search did not use, and
    are a little worse than those of the search. Medium2, and Simple at D = 10, are not in the
    paper, which searched 0.01% of the grid for Medium1.
    """
    entries: list[Entry] = []
    thetas: dict[str, Any] = {}
    curves: dict[str, list[tuple[float, float]]] = {}
    large, small = lab.settings["dims"]
    rows = [
        ("elbo", large, "Simple"),
        ("mmd", large, "Simple"),
        ("mmd", small, "Simple"),
        ("mmd", small, "Medium1"),
        ("mmd", small, "Medium2"),
    ]
    for least in (None, 0.995):
        for loss, dim, name in rows:
            run = _trained(lab, loss, dim)
            row = f"{loss.upper()}-{dim} {name}"
            what = row if least is None else f"{row}, every class {least:g}"
            try:
                found = _tuned(
                    lab, run, name.lower(), min_accuracy=least, trials=lab.settings["trials"]
                )
            except InputError as error:
                lab.more.setdefault("notes", []).append(f"{what}: {error}")
                continue
            thetas[what] = found.options
            theirs = published()["categorical/table4"]
            key = next((k for k in theirs if k.startswith(row)), None) if least is None else None
            known = theirs[key] if key and lab.data == "mnist" else {}
            data, n = _data(lab, run), len(found.classes) * FRESH
            for measure, ours, short in (
                ("mean cosine", found.mean_cosine, "cos"),
                ("accuracy", found.mean_accuracy, "acc"),
                ("least accuracy of a class", Figure(min(found.accuracy), math.nan), ""),
            ):
                entries.append(
                    Entry(
                        what,
                        measure,
                        ours,
                        JUDGE,
                        data,
                        n,
                        known.get(short),
                        None,
                        "the paper's classifier of reconstructions",
                        "mnist",
                    )
                )
            if least is not None and dim == small:
                curve = _factored(run, name.lower(), found)
                curves[row] = curve
                for level in (0.98, 0.99, 0.995):
                    at = _between([(a, c) for c, a in curve], level)
                    entries.append(
                        Entry(
                            row,
                            f"mean cosine at accuracy {level:g}, fresh noise",
                            Figure(at, math.nan),
                            JUDGE,
                            data,
                            n,
                        )
                    )
    if curves:
        fig, axes = plots.figure(1, 1, (5, 4))
        for row, curve in curves.items():
            axes[0, 0].plot(*zip(*curve, strict=True), marker=".", label=row)
        axes[0, 0].set_xlabel("mean cosine of two images of a class")
        axes[0, 0].set_ylabel("accuracy, of noise that no search saw")
        axes[0, 0].legend()
        plots.save_figure(lab.picture("table4"), fig)
    lab.more |= {"options": thetas, "curves": curves}
    return entries


FACTORS = (0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.4, 1.8, 2.4)


def _factored(run: Run, name: str, found: Tuned) -> list[tuple[float, float]]:
    """The mean cosine and accuracy of a run's tuned sampler, with thetas multiplied by factors."""
    model = api.load(run.folder)
    fitted = read_sampler(run.folder, name, model)
    assert isinstance(fitted, Classwise)
    net = found.judge.net.cpu().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    labels = range(len(found.classes))
    shape = FRESH, fitted.average, model.latent_dim
    noise = [torch.randn(*shape, generator=torch.Generator().manual_seed(y)) for y in labels]
    of = Objective(model, fitted, net, torch.stack(noise))
    curve: list[tuple[float, float]] = []
    for factor in FACTORS:
        theta = (factor * fitted.theta).expand(len(labels), -1)
        score = of.score(theta, fitted.average, labels)
        curve.append((float(score.cosine.mean()), float(score.accuracy.mean())))
    return sorted(curve)


def grid(lab: Lab) -> list[Entry]:
    """The best objective at D = 2 on the grid of 121 points, and that of coordinate descent."""
    entries: list[Entry] = []
    run = _trained(lab, "mmd", 2)
    for name in ("medium1", "medium2"):
        for search in ("grid", "descent"):
            found = _tuned(lab, run, name, search=search, trials=121)
            entries.append(
                Entry(
                    f"MMD-2 {name}, {search}",
                    "objective",
                    Figure(found.value, math.nan),
                    JUDGE,
                    _data(lab, run),
                    lab.settings["samples"],
                )
            )
    return entries


def _experiment(
    name: str,
    about: str,
    run: Callable[[Lab], list[Entry]],
    smoke: dict[str, Any],
    paper: dict[str, Any],
    cost: str,
) -> Experiment:
    toy = {"iterations": 1000, "hidden": 64}
    return Experiment(
        f"categorical/{name}",
        about,
        {
            "smoke": Scale(
                {"options": toy, "samples": 20, **smoke},
                "64 units, 1,000 iterations, 20 images of each class for a candidate",
                "a minute",
            ),
            "small": Scale(
                {"options": {"iterations": 8000}, "samples": 200, **paper},
                "8,000 iterations of 100 images; the paper names no number",
                cost,
            ),
            "paper": Scale(
                {"options": {"iterations": 100_000}, "samples": 1000, **paper},
                "",
                f"{cost}, ten times that",
            ),
        },
        run,
        ("mnist", "fashion-mnist", "digits"),
        "the data set's files",
    )


EXPERIMENTS = (
    _experiment(
        "fig1",
        "Categorical generation, Figure 1: accuracy against cosine similarity.",
        fig1,
        {"dim": 4},
        {"dim": 20},
        "20 minutes on a core",
    ),
    _experiment(
        "table4",
        "Categorical generation, Table 4, with Medium2.",
        table4,
        {"dims": (4, 3), "trials": 30},
        {"dims": (20, 10), "trials": 300},
        "an hour on a core",
    ),
    _experiment(
        "grid",
        "Categorical generation: coordinate descent against the full grid, D = 2.",
        grid,
        {},
        {},
        "15 minutes on a core",
    ),
)
