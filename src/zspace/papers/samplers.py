"""What to draw codes from: every sampler on the same decoders, measured alike."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zspace import catalogue, metrics, plots
from zspace.bench import GENERATION, Bench, Subject, bench_of, generated, reconstructed
from zspace.compare import figure_of
from zspace.core import Density, Sampler, codes, decoded, stream
from zspace.evaluate import METRICS
from zspace.fitting import fit_sampler, sampler_of
from zspace.metrics import Figure
from zspace.novelty import novelty
from zspace.options import options_of
from zspace.papers.base import Entry, Experiment, Scale, Workbench, mean_and_deviation, over_seeds
from zspace.samplers import FlowMatching, Learned, Mixture
from zspace.storage import write_text
from zspace.tables import Table
from zspace.tuning import tune

KINDS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "normal": ("normal", {}), "mixture, 10": ("mixture", {}),
    "mixture, 100": ("mixture", {"components": 100}), "KDE": ("kde", {}),
    "two-stage": ("two-stage", {}), "spline flow": ("flow", {}),
    "pushforward": ("pushforward", {}), "flow matching": ("flow-matching", {"classes": 0}),
}  # fmt: skip
"""The samplers that are compared, by what the table calls them: name and options."""

OWN = "own prior"
BLURRED = "Frechet to reconstructions"
COLUMNS = ("Frechet", BLURRED, "F8 (recall)", "F1/8 (precision)", "PMS", "log p of test codes",
           "fit, s", "drawing, s")  # fmt: skip

CONDITIONAL: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("Medium2", "medium2", {}), ("convex combinations", "convex", {}),
    ("flow matching", "flow-matching", {}),
    ("flow matching, guidance 2", "flow-matching", {"guidance": 2.0}),
)  # fmt: skip
"""Samplers of a class: what the table calls them, their names, how they are drawn from."""


class Cells:
    """What has been measured so far, in a file: a call that was stopped goes on behind it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held: dict[str, dict[str, Any]] = {}
        if path.is_file():
            self.held = json.loads(path.read_text(encoding="utf-8"))

    def of(self, key: str, measure: Callable[[], Mapping[str, Figure]]) -> dict[str, Figure]:
        if key not in self.held:
            self.held[key] = {name: figure.as_json() for name, figure in measure().items()}
            write_text(self.path, json.dumps(self.held, indent=1) + "\n")
        return {name: figure_of(stored) for name, stored in self.held[key].items()}


def trained(bench: Workbench, decoder: str) -> Bench:
    """A decoder of the settings, and what its images are measured against."""
    options = dict(bench.settings["decoders"][decoder])
    run = bench.trained(options.pop("recipe"), str(bench.data), seed=0, **options)
    return bench_of(run.folder, n=bench.settings.get("n"), device=bench.device)


def distances(held: Bench, blurred: Tensor, subject: Subject) -> dict[str, Figure]:
    """Frechet distances to the test images and to their reconstructions, of features blurred.

    The latter is what the sampler is to blame for: reconstructions are as blurred as anything that
    is decoded, and 0 is in reach.
    """
    made = held.features(subject)
    return {
        "Frechet": METRICS["fid"].measure(held, subject)[""],
        BLURRED: metrics.jackknife(metrics.frechet_distance, blurred, made, groups=8),
    }


def measured(held: Bench, blurred: Tensor, subject: Subject) -> dict[str, Figure]:
    """What the columns hold of images."""
    prd = METRICS["prd"].measure(held, subject)
    return {
        **distances(held, blurred, subject),
        "F8 (recall)": prd["f8"], "F1/8 (precision)": prd["f1/8"],
        "PMS": METRICS["pms"].measure(held, subject)[""],
    }  # fmt: skip


def cell(
    bench: Workbench, held: Bench, blurred: Tensor, z: Tensor, name: str, seed: int
) -> dict[str, Figure]:
    """A sampler, fitted to codes z with a seed, drawn from and measured."""
    began = time.monotonic()
    if name == OWN:
        assert held.model.prior is not None
        sampler: Sampler = held.model.prior
    else:
        kind, options = KINDS[name]
        options = {**options, **bench.settings["options"].get(name, {})}
        if "seed" in options_of(catalogue.SAMPLERS[kind]):
            options["seed"] = seed
        sampler = catalogue.make(kind, held.model.latent_dim, options)
        if isinstance(sampler, Learned):
            sampler.fit(z, precision=bench.settings["precision"])
        else:
            sampler.fit(z)
    fitted = time.monotonic() - began
    generator = torch.Generator(z.device).manual_seed(stream(seed, 12))
    began = time.monotonic()
    with torch.no_grad():
        drawn = sampler.sample(len(held.test), generator=generator)
    seconds = time.monotonic() - began
    row = measured(held, blurred, Subject(name, GENERATION, decoded(held.model, drawn)))
    if isinstance(sampler, Density):
        with torch.no_grad():
            log_p = sampler.log_prob(held.means[: bench.settings["densities"]].to(z.device))
        row["log p of test codes"] = metrics.mean_figure(log_p)
    return row | {"fit, s": Figure(fitted, math.nan), "drawing, s": Figure(seconds, math.nan)}


def samplers(bench: Workbench) -> list[Entry]:
    """Every sampler on every decoder: fitted and drawn with several seeds, and measured."""
    cells = Cells(bench.out / "cells.json")
    entries: list[Entry] = []
    lines: list[str] = []
    for decoder, seeds in bench.settings["seeds"].items():
        held = trained(bench, decoder)
        z = codes(held.model, held.images.train.x)
        again = reconstructed(held)
        blurred = held.features(again)
        found: dict[str, dict[str, Figure]] = {}
        own = [] if held.model.prior is None else [OWN]
        for name in [*own, *bench.settings["samplers"]]:
            each = [
                cells.of(f"{decoder}: {name}, {k}", partial(cell, bench, held, blurred, z, name, k))
                for k in range(seeds)
            ]
            found[name] = {c: over_seeds([row[c] for row in each]) for c in each[0]}
        # the scale: what a perfect sampler of this decoder would have, and the data themselves
        others = replace(reconstructed(held, held.others.x), name="training codes")
        for subject in (again, others, held.others):
            found[f"({subject.name})"] = cells.of(
                f"{decoder}: {subject.name}", partial(measured, held, blurred, subject)
            )
        found["(test images)"] = {"PMS": METRICS["pms"].measure(held, held.reference)[""]}
        by, data, n = held.extractor.name, held.images.name, len(held.test)
        for name, figures in found.items():
            entries += [Entry(f"{decoder}: {name}", c, f, by, data, n) for c, f in figures.items()]
        notes = [
            f"{data}, features {by}, n = {n}; fits and draws: {seeds}. ± is their deviation; of "
            "what there is one of, the error of the measurement."
        ]
        rows = [[name, *(str(f.get(c, "")) for c in COLUMNS)] for name, f in found.items()]
        lines.append(Table([decoder, *COLUMNS], rows, notes=notes).markdown())
        write_text(bench.out / "samplers.md", "\n".join(lines))
    return entries


def conditional(bench: Workbench) -> list[Entry]:
    """Codes of a class: accuracy and Frechet distance, class by class, on several decoders."""
    entries: list[Entry] = []
    rows: list[list[str]] = []
    strips: dict[str, Tensor] = {}
    for decoder in bench.settings["decoders"]:
        held = trained(bench, decoder)
        run = held.run.folder
        tune(run, "medium2", trials=bench.settings["trials"], samples=bench.settings["samples"],
             min_accuracy=bench.settings["accuracy"], device=bench.device)  # fmt: skip
        fit_sampler(run, "flow-matching", bench.settings["options"], device=bench.device,
                    precision=bench.settings["precision"])  # fmt: skip
        for name, kind, drawing in CONDITIONAL:
            sampler = sampler_of(run, kind, held.model, images=held.images).changed(**drawing)
            subject = generated(held, name, sampler=sampler)
            figures = by_class(held, subject)
            what = f"{decoder}: {name}"
            rows.append([what, *(str(f) for f in figures.values())])
            by, data, n = held.extractor.name, held.images.name, len(held.test)
            entries += [Entry(what, c, f, by, data, n) for c, f in figures.items()]
            assert subject.labels is not None
            two = [(subject.labels == k).nonzero()[:2, 0] for k in subject.labels.unique()]
            strips[what] = subject.x[torch.cat(two)]
    plots.save_strips(bench.picture("conditional"), strips)
    notes = [
        "As many codes of each class as there are test images of it; the Frechet distance of a "
        "class is between those. Its mean and deviation over the classes are shown; the others' ± "
        "is the error of the measurement."
    ]
    header = ["", "accuracy", "Frechet of a class", "Frechet of all", "PMS"]
    write_text(bench.out / "conditional.md", Table(header, rows, notes=notes).markdown())
    return entries


def steps(bench: Workbench) -> list[Entry]:
    """Flow matching's quality and time by Heun's steps, and by the adaptive solver."""
    entries: list[Entry] = []
    held = trained(bench, "AE")
    run = held.run.folder
    fit_sampler(run, "flow-matching", bench.settings["options"], device=bench.device,
                precision=bench.settings["precision"])  # fmt: skip
    flow = sampler_of(run, "flow-matching", held.model, images=held.images)
    blurred = held.features(reconstructed(held))
    for count in (*bench.settings["steps"], None):
        drawing = {"solver": "adaptive"} if count is None else {"steps": count}
        drawn = flow.changed(**drawing)
        seconds: list[float] = []
        for _ in range(bench.settings["times"]):
            began = time.monotonic()
            drawn.sample(len(held.test))
            seconds.append(time.monotonic() - began)
        found = distances(held, blurred, generated(held, "", sampler=drawn))
        found["drawing, s"] = Figure(min(seconds), math.nan)
        what = "adaptive" if count is None else f"steps {count}"
        by, data, n = held.extractor.name, held.images.name, len(held.test)
        entries += [Entry(what, c, f, by, data, n) for c, f in found.items()]
    return entries


def by_class(held: Bench, subject: Subject) -> dict[str, Figure]:
    """Accuracy, the Frechet distance of a class, that of all, and memorisation."""
    assert held.labels is not None
    assert subject.labels is not None
    true, made = held.features(held.reference), held.features(subject)
    each = [
        metrics.frechet_distance(true[held.labels == k], made[subject.labels == k])
        for k in held.labels.unique().tolist()
    ]
    return {
        "accuracy": METRICS["accuracy"].measure(held, subject)[""],
        "Frechet of a class": mean_and_deviation(each),
        "Frechet of all": METRICS["fid"].measure(held, subject)[""],
        "PMS": METRICS["pms"].measure(held, subject)[""],
    }


FRESH = 5000
"""Draws at which a density is held against the truth."""


def mixtures() -> dict[str, Mixture]:
    """Known densities in two dimensions."""
    angles = torch.arange(8) * math.pi / 4
    ring = 3 * torch.stack([angles.cos(), angles.sin()], 1)
    eye = torch.eye(2)
    slanted = torch.tensor([[[1.0, 0.8], [0.8, 1.0]], [[0.3, -0.2], [-0.2, 0.4]]])
    return {
        "two, far apart": Mixture.of(
            torch.tensor([0.7, 0.3]), torch.tensor([[-2.0, 0], [2, 1]]),
            torch.stack([0.5 * eye, 0.2 * eye]),
        ),
        "two, slanted": Mixture.of(
            torch.tensor([0.5, 0.5]), torch.tensor([[0.0, 0], [1.5, -1.5]]), slanted
        ),
        "eight in a ring": Mixture.of(torch.ones(8), ring, 0.09 * eye.repeat(8, 1, 1)),
    }  # fmt: skip


def against_truth(
    flow: FlowMatching, truth: Mixture, grid: int, n: int = FRESH
) -> dict[str, Figure]:
    """What log p(z) in two dimensions integrates to over [-8, 8]^2, and how far from the truth it
    is at n draws of it."""
    fresh = truth.sample(n, generator=torch.Generator().manual_seed(1))
    error = flow.log_prob(fresh) - truth.log_prob(fresh)
    side = torch.linspace(-8, 8, grid)
    density = flow.log_prob(torch.cartesian_prod(side, side)).double().exp()
    total = float(density.sum()) * float(side[1] - side[0]) ** 2
    return {
        "integral": Figure(total, math.nan),
        "mean of log p - truth": metrics.mean_figure(error),
        "mean of |log p - truth|": metrics.mean_figure(error.abs()),
    }


def densities(bench: Workbench) -> list[Entry]:
    """Flow matching's log p(z) of known mixtures, and novelty scores by it."""
    entries: list[Entry] = []
    for name, truth in mixtures().items():
        z = truth.sample(bench.settings["codes"], generator=torch.Generator().manual_seed(0))
        flow = FlowMatching(2, **bench.settings["toy"]).fit(z)
        for what, figure in against_truth(flow, truth, bench.settings["grid"]).items():
            entries.append(Entry(name, what, figure, "codes", "a mixture", FRESH))
    for model, chosen in bench.settings["novelty"].items():
        options = dict(chosen)
        run = bench.trained(options.pop("recipe"), str(bench.data), seed=0, classes="1", **options)
        fit_sampler(run.folder, "flow-matching", bench.settings["options"], device=bench.device)
        for density in ("prior", "normal", "kde", "flow-matching"):
            scored = novelty(run.folder, data=bench.data, data_dir=bench.data_dir, label="1",
                             density=density, device=bench.device)  # fmt: skip
            area = scored.auroc()
            assert area is not None
            what = f"AUROC, {density}"
            n = len(scored.part)
            entries.append(Entry(f"{model}, 1 known", what, area, "log p(x)", str(bench.data), n))
    return entries


_FC: dict[str, Any] = {"arch": "fc", "hidden": 256, "batch_size": 128, "precision": "bf16"}
_AE: dict[str, Any] = {"recipe": "ae", "iterations": 20_000, "rate": 5e-4, "latent_dim": 20, **_FC,
                       "hidden": 512, "batch_size": 256}  # fmt: skip
_DECODERS: dict[str, dict[str, Any]] = {
    "AE": _AE, "FlexAE-SR": {"recipe": "flexae-sr", "iterations": 6000, "latent_dim": 20, **_FC},
    "GEN": {"recipe": "gen", "iterations": 6000, "latent_dim": 8, **_FC},
}  # fmt: skip
_REGENE: dict[str, Any] = {
    "recipe": "regene", "iterations": 6000, "classifier_iterations": 2000, "width": 16,
    "decoder_width": 32, "batch_size": 128, "precision": "bf16", "perceptual": 0.0,
}  # fmt: skip
_TOY: dict[str, Any] = {"iterations": 10, "arch": "fc", "hidden": 16, "latent_dim": 3,
                        "batch_size": 16}  # fmt: skip
_SMALLEST: dict[str, Any] = {"iterations": 10, "batch_size": 64}
_COMPARED = [name for name in KINDS if name != "pushforward"]

EXPERIMENTS = (
    Experiment(
        "all/samplers",
        "Every sampler on the same decoders: fitting, drawing, Frechet distance, PRD, memorisation "
        "and the density of held-out codes.",
        {
            "smoke": Scale(
                {
                    "decoders": {"AE": {"recipe": "ae", **_TOY},
                                 "FlexAE-SR": {"recipe": "flexae-sr", "width": 4, **_TOY,
                                               "arch": "conv"}},
                    "seeds": {"AE": 2, "FlexAE-SR": 1}, "samplers": list(KINDS), "n": 100,
                    "precision": "32", "densities": 20,
                    "options": {"mixture, 100": {"components": 12}, **dict.fromkeys(
                        ("two-stage", "spline flow", "pushforward", "flow matching"), _SMALLEST)},
                },
                "ten iterations of everything, 100 samples",
                "a minute",
            ),
            "small": Scale(
                {
                    "decoders": _DECODERS, "seeds": {"AE": 3, "FlexAE-SR": 3, "GEN": 3},
                    "samplers": _COMPARED, "precision": "bf16", "densities": 1000,
                    "options": {"two-stage": {"hidden": 256}, "spline flow": {"iterations": 3000},
                                "flow matching": {"iterations": 8000}},
                },
                "one training of each decoder: fully connected networks of 512 units (AE, 20,000 "
                "iterations) and 256 (FlexAE-SR, GEN, 6,000 iterations); three fits of each "
                "sampler; bfloat16; densities of 1,000 test codes",
                "2 hours on a core",
            ),
            "paper": Scale(
                {
                    "decoders": {
                        "AE": {"recipe": "ae", "iterations": 130_000, "latent_dim": 20},
                        "FlexAE-SR": {"recipe": "flexae-sr", "latent_dim": 20},
                        "GEN": {"recipe": "gen", "iterations": 100_000, "latent_dim": 8},
                    },
                    "seeds": {"AE": 3, "FlexAE-SR": 3, "GEN": 3}, "samplers": list(KINDS),
                    "precision": "32", "densities": 10_000,
                    "options": {"flow matching": {"iterations": 50_000, "width": 512}},
                },
                "",
                "about 12 hours on a GPU, not measured",
            ),
        },
        samplers,
        ("mnist", "fashion-mnist", "digits"),
        "the data set's files",
    ),
    Experiment(
        "all/conditional",
        "Codes of a class by flow matching, Medium2 and convex combinations, on an autoencoder's "
        "codes and on ReGene's.",
        {
            "smoke": Scale(
                {
                    "decoders": {
                        "AE": {"recipe": "ae", **_TOY},
                        "ReGene": {"recipe": "ae", "arch": "regene", "iterations": 10,
                                   "width": 4, "decoder_width": 4, "batch_size": 16},
                    },
                    "options": _SMALLEST, "trials": 2, "samples": 10, "accuracy": None,
                    "precision": "32", "n": 200,
                },
                "ten iterations of everything, 200 samples; in place of ReGene an autoencoder of "
                "its networks, which has no judges",
                "a minute",
            ),
            "small": Scale(
                {
                    "decoders": {"AE": _AE, "ReGene": _REGENE}, "options": {"iterations": 8000},
                    "trials": 60, "samples": 200, "accuracy": 0.99, "precision": "bf16",
                },
                "one training of each, as in all/samplers and all/systems; 60 trials for Medium2",
                "half an hour on 2 cores",
            ),
        },
        conditional,
        ("mnist", "fashion-mnist", "digits"),
        "the data set's files",
    ),
    Experiment(
        "all/steps",
        "Flow matching's Frechet distance and time by the steps of Heun's method.",
        {
            "smoke": Scale(
                {"decoders": {"AE": {"recipe": "ae", **_TOY}}, "options": _SMALLEST, "n": 100,
                 "steps": (1, 2), "times": 1, "precision": "32"},
                "ten iterations of everything, 100 samples",
                "a minute",
            ),
            "small": Scale(
                {"decoders": {"AE": _AE}, "options": {"iterations": 8000}, "times": 3,
                 "steps": (1, 2, 4, 6, 8, 12, 16, 32), "precision": "bf16"},
                "as in all/conditional",
                "10 minutes on 2 cores",
            ),
        },
        steps,
        ("mnist", "fashion-mnist", "digits"),
        "the data set's files",
    ),
    Experiment(
        "all/densities",
        "Flow matching's log p(z) against known mixtures, and novelty scores by it.",
        {
            "smoke": Scale(
                {
                    "codes": 300, "grid": 21, "toy": {**_SMALLEST, "width": 16},
                    "novelty": {"VAE": {"recipe": "vae", **_TOY}}, "options": _SMALLEST,
                },
                "ten iterations of everything",
                "a minute",
            ),
            "small": Scale(
                {
                    "codes": 50_000, "grid": 321, "toy": {"iterations": 5000, "width": 128},
                    "novelty": {
                        "VAE": {"recipe": "vae", "iterations": 3000, "latent_dim": 10, **_FC},
                        "GEN": {"recipe": "gen", "iterations": 3000, "latent_dim": 8, **_FC},
                    },
                    "options": {"iterations": 4000, "width": 128},
                },
                "3,000 iterations of each model",
                "half an hour on 2 cores",
            ),
        },
        densities,
        ("mnist", "fashion-mnist", "digits"),
        "the data set's files",
    ),
)  # fmt: skip
