"""The five papers' systems and their strongest baselines, on one data set and with one budget."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from zspace.core import decoded
from zspace.display import plots
from zspace.display.tables import Table
from zspace.errors import ModelError
from zspace.evaluation.compare import figure_of
from zspace.evaluation.evaluate import measure
from zspace.evaluation.measurement import GENERATION, RECONSTRUCTION, Measurement, generated
from zspace.evaluation.metrics import METRICS
from zspace.generation.drawing import draw_labelled
from zspace.generation.tuning.search import tune
from zspace.metrics import Figure
from zspace.papers.base import PROTOCOLS, Experiment, Scale
from zspace.papers.cells import Cells
from zspace.papers.entries import Entry, over_seeds
from zspace.papers.lab import Lab, check_fit
from zspace.papers.protocol import FLEXAE, LIKELIHOOD, RATE, RATES, Point, System, grid, settled
from zspace.storage.files import write_text
from zspace.storage.run import Run

SYSTEMS = {
    "FlexAE": System("flexae", grid=FLEXAE),
    "FlexAE-SR": System("flexae-sr", grid=FLEXAE),
    "GEN": System("gen", grid=grid(learning_rate=RATES, latent_dim=(8, 32))),
    "ReGene": System("regene", "convex", {"perceptual": 0.0}, grid(learning_rate=(None, 2e-4))),
    "categorical generation": System("vae-mlp", "medium2", {"prior_loss": "mmd"}, RATE),
    "LSR-GAN": System(
        "lsrgan", grid=grid(learning_rate=RATES, likelihood=("log-mse", "bernoulli"))
    ),
    "VAE": System("vae", grid=LIKELIHOOD),
    "WAE-GAN": System("wae-gan", grid=RATE),
    "two-stage VAE": System("two-stage-vae", grid=RATE),
    "AE + mixture": System("ae", "mixture", grid=RATE),
    "RAE + mixture": System("rae", "mixture", grid=RATE),
}
"""The compared systems.

The published rates are the recipes' defaults. GEN's grid has the paper's size of the code, too,
since its kernels see few dimensions.
"""

Columns = Mapping[str, tuple[str, str]]
"""The columns of a table, each with the kind of subject and the metric that it shows."""

COLUMNS: Columns = {
    "Frechet, generated": (GENERATION, "fid"),
    "F8 (recall)": (GENERATION, "f8"),
    "F1/8 (precision)": (GENERATION, "f1/8"),
    "accuracy": (GENERATION, "accuracy"),
    "PMS": (GENERATION, "pms"),
    "Frechet, reconstructed": (RECONSTRUCTION, "fid"),
}

PRD = {"f8": "prd", "f1/8": "prd"}
"""The metrics that have several figures, by the names of these."""

SHOWN = 20
"""The number of samples that the picture shows of each system."""


def tuned(lab: Lab, sampler: str, run: Run) -> None:
    """Search the parameters of a run's sampler, if it is one by class.

    The search has judges of its own, trained on training images.
    """
    if sampler.startswith("medium"):
        trials, accuracy = lab.settings["trials"], lab.settings["accuracy"]
        tune(run.folder, sampler, trials=trials, min_accuracy=accuracy, **lab.where(run))


def measured(lab: Lab, system: System, seed: int, options: Point) -> Measurement:
    """The measurement of a system's run, trained with a seed and options."""
    run = lab.trained(system.recipe, str(lab.data), seed=seed, **options)
    return lab.measured(run, lab.settings.get("features"), n=lab.settings.get("n"))


def figures(
    lab: Lab, system: System, seed: int, options: Point, columns: Columns
) -> dict[str, Figure]:
    """The figures of a system's run, by column; none of samples if its sampler can't draw any."""
    held = measured(lab, system, seed, options)
    check_fit(held.run, system.sampler)
    wanted = {PRD.get(metric, metric) for _, metric in columns.values()}
    try:
        tuned(lab, system.sampler, held.run)
        table = measure(held, metrics=sorted(wanted), samplers=[system.sampler])
    except ModelError as error:
        lab.note(f"{held.run.folder.name} has no figures of samples: {error}")
        table = measure(held, metrics=sorted(wanted), samplers=[])
    lab.note(*table["notes"])
    return {
        column: figure_of(row["figures"][metric])
        for row in table["rows"]
        for column, (kind, metric) in columns.items()
        if row["kind"] == kind and metric in row["figures"]
    }


def systems(lab: Lab) -> list[Entry]:
    """Train and measure every system in the same way, and draw a picture with a row for each."""
    own = {
        name: (SYSTEMS[name], {**SYSTEMS[name].options, **options})
        for name, options in lab.settings["systems"].items()
    }
    return side_by_side(lab, "systems", own, COLUMNS)


def side_by_side(
    lab: Lab, name: str, compared: Mapping[str, tuple[System, Point]], columns: Columns
) -> list[Entry]:
    """Train and measure systems under a protocol, and draw a picture with a row for each.

    The printed table has a line for each number; NAME.md has them side by side, with the settings
    that the protocol chose.

    Args:
        lab: the experiment's surroundings.
        name: the name of the files.
        compared: the systems by name, each with the options that it has under every protocol.
        columns: the table's columns.
    """
    entries: list[Entry] = []
    rows: list[list[str]] = []
    strips: dict[str, Tensor] = {}
    seeds, cells = lab.settings["seeds"], Cells(lab)
    for title, (system, own) in compared.items():
        options = settled(lab, title, system, own, partial(tuned, lab, system.sampler))
        held = measured(lab, system, 0, options)
        judge = held.extractor.identity  # a judge that is trained anew is another one
        each = [
            cells.of(
                f"{title}, {seed}, {judge}", partial(figures, lab, system, seed, options, columns)
            )
            for seed in range(seeds)
        ]
        rows_of = {c: [row[c] for row in each if c in row] for c in columns}
        found = {c: over_seeds(values) for c, values in rows_of.items() if values}
        if any(columns[c][0] == GENERATION for c in each[0]):
            strips[title] = _strip(held, system.sampler)
        else:
            lab.note(f"No samples are shown of {title}: its first training gave none")
        rows.append([title, *chosen(held.run.config), *(str(found.get(c, "")) for c in columns)])
        by, data, n = held.extractor.name, f"{held.images.name} test", len(held.test)
        entries += [
            Entry(
                title,
                c,
                f,
                by if METRICS[PRD.get(columns[c][1], columns[c][1])].by_features else "pixels",
                data,
                n,
                repeats=len(rows_of[c]),
            )
            for c, f in found.items()
        ]
    if strips:
        plots.save_strips(lab.picture(name), strips)
    what = "deviation over trainings" if seeds > 1 else "error of the measurement"
    timed = f"; {lab.settings['seconds']:,} s each" if lab.protocol == "budget" else ""
    notes = [
        f"{entries[0].data}, features {entries[0].by}, n = {entries[0].n}; trainings of each: "
        f"{seeds}; ± is the {what}.",
        f"Protocol {lab.protocol}: {PROTOCOLS[lab.protocol]}{timed}.",
    ]
    table = Table(["", *CHOSEN, *columns], rows, notes=notes)
    write_text(lab.out / f"{name}.md", table.markdown())
    return entries


CHOSEN = ("rate", "likelihood", "m", "iterations")
"""The columns of the settings that a protocol chooses."""


def chosen(config: Mapping[str, Any]) -> list[str]:
    """The settings of a run in the columns of `CHOSEN`."""
    rate = config.get("learning_rate") or config.get("ae_rate")
    rates = [r for r in (rate, config.get("generator_rate")) if r is not None]
    return [
        ", ".join(f"{r:g}" for r in rates) or "the schedule's",
        str(config.get("likelihood") or config.get("loss") or ""),
        str(config.get("latent_dim") or ""),
        f"{config['iterations']:,}",
    ]


def _strip(held: Measurement, name: str) -> Tensor:
    """Samples (SHOWN, C, H, W), from each class in turn if the sampler knows classes."""
    sampler = held.sampler(name)
    if not sampler.labels:
        return generated(held, name, SHOWN).x
    device = next(held.model.parameters()).device
    seeded = torch.Generator(device).manual_seed(held.seed)
    with torch.no_grad():
        z = draw_labelled(sampler, name, torch.arange(SHOWN) % sampler.labels, seeded)
    return decoded(held.model, z)


def _fc(iterations: int, latent_dim: int = 32, **more: Any) -> dict[str, Any]:
    return {
        "iterations": iterations,
        "arch": "fc",
        "hidden": 256,
        "latent_dim": latent_dim,
        "batch_size": 128,
        "precision": "bf16",
        **more,
    }


_EQUAL: dict[str, dict[str, Any]] = {
    "FlexAE": _fc(6000),
    "FlexAE-SR": _fc(6000),
    "GEN": _fc(6000, 8),
    "ReGene": {
        "iterations": 6000,
        "classifier_iterations": 2000,
        "width": 16,
        "decoder_width": 32,
        "batch_size": 128,
        "precision": "bf16",
    },
    "categorical generation": {
        "iterations": 6000,
        "batch_size": 128,
        "hidden": 256,
        "latent_dim": 20,
        "precision": "bf16",
    },
    "LSR-GAN": {"iterations": 6000, "vae_iterations": 2000, "width": 16, "precision": "bf16"},
    "VAE": _fc(6000),
    "WAE-GAN": _fc(6000),
    "two-stage VAE": {**_fc(12_000), "first_iterations": 6000, "second_hidden": 256},
    "AE + mixture": _fc(6000),
    "RAE + mixture": _fc(6000),
}
_DEMO: dict[str, dict[str, Any]] = {
    "FlexAE": {"iterations": 1500, "batch_size": 64, "latent_dim": 16, "width": 32, "hidden": 256},
    "GEN": {"iterations": 1500, "hidden": 256, "latent_dim": 8},
    "ReGene": {
        "iterations": 1600,
        "classifier_iterations": 300,
        "width": 16,
        "decoder_width": 32,
        "batch_size": 64,
    },
    "categorical generation": {"iterations": 2000, "hidden": 256, "latent_dim": 10},
    "LSR-GAN": {"iterations": 2500, "vae_iterations": 1000, "width": 32, "latent_dim": 32},
    "VAE": {
        "iterations": 1500,
        "batch_size": 64,
        "latent_dim": 16,
        "width": 32,
        "hidden": 256,
        "likelihood": "bernoulli",
    },
}
_PAPER: dict[str, dict[str, Any]] = {
    "FlexAE": {},
    "FlexAE-SR": {},
    "GEN": {"iterations": 100_000},
    "ReGene": {"iterations": None},
    "categorical generation": {"iterations": 100_000},
    "LSR-GAN": {"iterations": None},
    **{
        name: {"iterations": 130_000}
        for name in ("VAE", "WAE-GAN", "AE + mixture", "RAE + mixture")
    },
    "two-stage VAE": {"iterations": 260_000, "first_iterations": 130_000},
}
_TOY: dict[str, dict[str, Any]] = {
    "FlexAE": _fc(20, 3, train_size=300),
    "categorical generation": {"iterations": 20, "hidden": 16, "latent_dim": 3, "train_size": 300},
    "AE + mixture": _fc(20, 3, train_size=300),
}

_OPEN = "a tenth of the training images is held out; what is not stated is the recipe's default"

EXPERIMENTS = (
    Experiment(
        "all/systems",
        "The five systems and their strongest baselines on one data set, with a row of samples of "
        "each.",
        {
            "smoke": Scale(
                {
                    "systems": _TOY,
                    "seeds": 1,
                    "trials": 4,
                    "accuracy": None,
                    "n": 100,
                    "seconds": 0.1,
                },
                "three systems, 20 iterations, 300 images",
                "a minute",
                _OPEN,
                protocols=("tuned", "equal-time", "defaults"),
            ),
            "demo": Scale(
                {"systems": _DEMO, "seeds": 1, "trials": 60, "accuracy": 0.95},
                "made for the digits: a minute of training at most for each system",
                "8 minutes on 2 cores",
                _OPEN,
                protocols=("defaults",),
            ),
            "small": Scale(
                {"systems": _EQUAL, "seeds": 3, "trials": 60, "accuracy": 0.99, "seconds": 120},
                "6,000 iterations of each (the two-stage VAE: in each stage; equal time: two "
                "minutes of a core), fully connected networks of 256 units; ReGene and LSR-GAN: "
                "convolutions of 16 channels; bfloat16",
                "8 hours on a core",
                f"{_OPEN}; codes of 32 dimensions, of 8 for GEN (tuned: 8 or 32), of 20 for "
                "categorical generation and of 128 for LSR-GAN",
                protocols=("tuned", "equal-time", "defaults"),
            ),
            "paper": Scale(
                {"systems": _PAPER, "seeds": 3, "trials": 1000, "accuracy": 0.995, "seconds": 1e4},
                "a tenth of the training images is held out, by which settings are chosen: 54,000 "
                "of 60,000 are left",
                "about 150 hours on a GPU, by the papers' own figures, not measured",
                choices="130,000 iterations for the baselines, 100,000 for GEN and categorical "
                "generation, whose papers name none",
                protocols=("tuned", "equal-time", "defaults"),
            ),
        },
        systems,
        ("mnist", "fashion-mnist", "digits"),
        "the data set's files",
    ),
)
