"""What makes the best images in colour: systems at equal time, on CIFAR-10 or on faces.

No paper has this table: it is how the recipe `latent-flow` came to be as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from zspace.display import plots
from zspace.display.tables import Table
from zspace.evaluation.compare import figure_of
from zspace.evaluation.evaluate import measure
from zspace.evaluation.measurement import GENERATION, RECONSTRUCTION, Measurement, measure_run
from zspace.metrics import Figure
from zspace.papers.base import PROTOCOLS, Experiment, Lab, Scale
from zspace.papers.cells import Cells
from zspace.papers.entries import Entry, over_seeds
from zspace.papers.protocol import System, settled
from zspace.papers.systems import samples_of
from zspace.storage.files import write_text

_PLAIN: Mapping[str, Any] = {"width": 32, "hidden": 512, "latent_dim": 64}
_FLOW: Mapping[str, Any] = {"first_iterations": 10_000, "iterations": 50_000, "mirror": True}

SYSTEMS = {
    "FlexAE-SR": System(
        "flexae-sr", options={**_PLAIN, "iterations": 10_000, "generator_rate": 1e-3}
    ),
    "LSR-GAN": System(
        "lsrgan", options={"width": 32, "vae_iterations": 10_000, "iterations": 30_000}
    ),
    "RAE + mixture": System("rae", "mixture", {**_PLAIN, "iterations": 10_000}),
    "AE + flow matching": System(
        "ae", "flow-matching", {**_PLAIN, "iterations": 10_000, "learning_rate": 1e-3}
    ),
    "ReGene": System(
        "regene",
        "convex",
        {
            "perceptual": 0.0,
            "width": 32,
            "decoder_width": 64,
            "batch_size": 64,
            "classifier_iterations": 10_000,
            "iterations": 40_000,
        },
    ),
    "latent-flow": System("latent-flow", options=_FLOW),
    "latent-flow, pixels alone": System(
        "latent-flow", options={**_FLOW, "adversarial": 0.0, "perceptual": 0.0}
    ),
    "latent-flow, 2 by 2": System(
        "latent-flow", options={**_FLOW, "factor": 16, "code_channels": 64}
    ),
}
"""The compared systems, whose iterations are scaled to the time of all.

The last has codes that are nearly flat: as many numbers as the others' maps, on 2 by 2 places.
"""

COLUMNS = {
    "Frechet, generated": (GENERATION, "fid"),
    "Frechet, reconstructed": (RECONSTRUCTION, "fid"),
    "F8 (recall)": (GENERATION, "f8"),
    "F1/8 (precision)": (GENERATION, "f1/8"),
    "sharpness": (GENERATION, "sharpness"),
    "PMS": (GENERATION, "pms"),
}
"""The table's columns, each with the kind of subject and the metric it shows."""


def _measured(lab: Lab, name: str, seed: int, options: Mapping[str, Any]) -> Measurement:
    run = lab.trained(SYSTEMS[name].recipe, str(lab.data), seed=seed, **options)
    return measure_run(
        run.folder, n=lab.settings["n"], features=lab.settings["features"], device=lab.device
    )


def _figures(lab: Lab, name: str, seed: int, options: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures of a system's run, by column."""
    table = measure(
        _measured(lab, name, seed, options),
        metrics=["fid", "prd", "sharpness", "pms"],
        samplers=[SYSTEMS[name].sampler],
    )
    return {
        column: figure_of(row["figures"][metric])
        for row in table["rows"]
        for column, (kind, metric) in COLUMNS.items()
        if row["kind"] == kind and metric in row["figures"]
    }


def colour(lab: Lab) -> list[Entry]:
    """Train and measure every system in the same time, and draw a picture with a row for each."""
    entries: list[Entry] = []
    rows: list[list[str]] = []
    strips: dict[str, Tensor] = {}
    seeds, cells = lab.settings["seeds"], Cells(lab.out / "cells.json")
    for name, system in SYSTEMS.items():
        if name not in lab.settings["systems"]:
            continue
        labels = {"label_attribute": ATTRIBUTES} if lab.data == "celeba" else {}
        own = {**system.options, **lab.settings["options"], **labels}
        options = settled(lab, name, system, own)
        each = [
            cells.of(f"{name}, {seed}", partial(_figures, lab, name, seed, options))
            for seed in range(seeds)
        ]
        held = _measured(lab, name, 0, options)
        strips[name] = samples_of(held, system.sampler)
        found = {c: over_seeds([row[c] for row in each]) for c in each[0]}
        shown = [str(found.get(c, "")) for c in COLUMNS]
        rows.append([name, f"{held.run.config['iterations']:,}", *shown])
        by, data, n = held.extractor.name, f"{held.images.name} test", len(held.test)
        entries += [
            Entry(name, c, f, "pixels" if c == "PMS" else by, data, n, repeats=seeds)
            for c, f in found.items()
        ]
    plots.save_strips(lab.picture("colour"), strips)
    notes = [
        f"{entries[0].data}, features {entries[0].by}, n = {entries[0].n}; trainings of each: "
        f"{seeds}; ± is the {'deviation over trainings' if seeds > 1 else 'error of measurement'}.",
        f"Protocol {lab.protocol}: {PROTOCOLS[lab.protocol]}; {lab.settings['seconds']:,} s each.",
    ]
    table = Table(["", "iterations", *COLUMNS], rows, notes=notes)
    write_text(lab.out / "colour.md", table.markdown())
    return entries


ATTRIBUTES = "Male,Smiling"
"""The attributes of faces by whose combinations systems are conditional."""

_SHARED: Mapping[str, Any] = {"image_size": 32, "batch_size": 64, "precision": "bf16"}

EXPERIMENTS = (
    Experiment(
        "all/colour",
        "Systems in colour at equal time, with and without what makes latent-flow, and a row of "
        "samples of each.",
        {
            "smoke": Scale(
                {
                    "systems": ("RAE + mixture", "latent-flow"),
                    "options": {"image_size": 16, "width": 4, "train_size": 80, "batch_size": 16},
                    "seeds": 1,
                    "n": 20,
                    "features": "pixels",
                    "seconds": 1,
                },
                "two systems, a second of training, 80 images of 16 pixels",
                "a minute",
                protocols=("budget",),
            ),
            "small": Scale(
                {
                    "systems": tuple(SYSTEMS),
                    "options": _SHARED,
                    "seeds": 1,
                    "n": None,
                    "features": None,
                    "seconds": 1800,
                },
                "32 pixels, half an hour of a core for each system, bfloat16",
                "5 hours on a core",
                protocols=("budget",),
            ),
        },
        colour,
        ("celeba", "cifar10"),
        "the data set's files",
    ),
)
