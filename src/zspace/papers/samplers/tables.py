"""The comparisons of samplers: without labels, by class, and by the number of steps."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from zspace import metrics
from zspace.core import codes
from zspace.display import plots
from zspace.display.tables import Table
from zspace.evaluation.evaluate import METRICS
from zspace.evaluation.measurement import GENERATION, Measurement, Subject, generated, reconstructed
from zspace.generation.fit import fit_sampler
from zspace.generation.tuning.search import tune
from zspace.metrics import Figure
from zspace.papers.cells import Cells
from zspace.papers.entries import Entry, mean_and_deviation, over_seeds
from zspace.papers.lab import Lab
from zspace.papers.samplers.cells import (
    BY,
    COLUMNS,
    CONDITIONAL,
    DENSITY,
    FOUND,
    OWN,
    TUNED,
    cell,
    density,
    distances,
    measured,
    trained,
)
from zspace.samplers.convex import TooFewError
from zspace.storage.files import write_text
from zspace.storage.run import Run

OF_CLASS = "Frechet of a class"
"""The measure whose ± is the deviation over classes."""


def samplers(lab: Lab) -> list[Entry]:
    """Fit every sampler on every decoder with several seeds, draw codes, and measure the images.

    Of the first seed's images a sheet is drawn.
    """
    cells = Cells(lab)
    entries: list[Entry] = []
    lines: list[str] = []
    asked = lab.settings["precision"]
    precision = lab.precision(asked, "samplers that learn")
    # cells that were measured on a machine where bf16 is faster are not mixed with others
    how = "" if precision == asked else ", in float32"
    for decoder, seeds in lab.settings["seeds"].items():
        held = trained(lab, decoder)
        judge = held.extractor.identity  # one that is trained anew is another one
        z, y = codes(held.model, held.images.train.x), held.images.train.y
        again = reconstructed(held)
        blurred = held.features(again)
        found: dict[str, dict[str, Figure]] = {}
        own = [] if held.model.prior is None else [OWN]
        for name in [*own, *lab.settings["samplers"]]:
            sheet = lab.picture(re.sub(r"\W+", "-", f"{decoder} {name}".lower()))
            keys = [f"{decoder}: {name}, {k}{how}, {judge}" for k in range(seeds)]
            if name == TUNED and not cells.held.keys() >= set(keys):
                tune(held.run.folder, "medium2", **lab.settings["tuning"], **lab.where(held.run))
            each = [
                cells.of(key, partial(cell, lab, held, blurred, z, y, name, k, precision, sheet))
                for k, key in enumerate(keys)
            ]
            found[name] = {c: over_seeds([row[c] for row in each]) for c in each[0]}
            if name == OWN:
                once = partial(density, lab, held, held.model.prior, z.device)
                found[name] |= cells.of(f"{decoder}: {name}'s density", once)
        # for scale: the figures of a perfect sampler of this decoder, and of the data themselves
        others = Subject("training codes", GENERATION, reconstructed(held, held.others.x).x)
        for subject in (again, others, held.others):
            found[f"({subject.name})"] = cells.of(
                f"{decoder}: {subject.name}, {judge}", partial(measured, held, blurred, subject)
            )
        found["(test images)"] = {"PMS": METRICS["pms"].measure(held, held.reference)[""]}
        by, data, n = held.extractor.name, held.images.name, len(held.test)
        sizes = {DENSITY: min(lab.settings["densities"], n), "fit, s": len(z)}
        entries += entries_of(decoder, found, seeds, by, data, n, sizes)
        notes = [
            f"{data}, features {by}, n = {n}; fits and draws: {seeds}. ± is their deviation; of "
            "what there is one of, also the own prior's density, the error of the measurement. "
            "Samplers that know labels draw codes of the test images' labels."
        ]
        rows = [[name, *(str(f.get(c, "")) for c in COLUMNS)] for name, f in found.items()]
        lines.append(Table([decoder, *COLUMNS], rows, notes=notes).markdown())
        write_text(lab.out / "samplers.md", "\n".join(lines))
    return entries


def entries_of(
    decoder: str,
    found: Mapping[str, Mapping[str, Figure]],
    fits: int,
    by: str,
    data: str,
    n: int,
    sizes: Mapping[str, int],
) -> list[Entry]:
    """The entries of a decoder, whose ± is the deviation over the fits of a sampler.

    The features and n are those of the Frechet distances; `BY` and `sizes` have the columns that
    are of something else.

    What there is one of, a name in brackets or the own prior's density, has the error of the
    measurement.
    """

    def one(name: str, column: str) -> bool:
        return name.startswith("(") or (name, column) == (OWN, DENSITY)

    return [
        Entry(
            f"{decoder}: {name}",
            column,
            figure,
            BY.get(column, by),
            data,
            sizes.get(column, n),
            repeats=1 if one(name, column) else fits,
            repeated="draw" if name in FOUND else "fit",
        )
        for name, figures in found.items()
        for column, figure in figures.items()
    ]


def conditional(lab: Lab) -> list[Entry]:
    """Measure the samplers by class on several decoders: accuracy and Frechet distances."""
    entries: list[Entry] = []
    rows: list[list[str]] = []
    strips: dict[str, Tensor] = {}
    for decoder in lab.settings["decoders"]:
        held = trained(lab, decoder)
        tune(
            held.run.folder,
            "medium2",
            trials=lab.settings["trials"],
            samples=lab.settings["samples"],
            min_accuracy=lab.settings["accuracy"],
            **lab.where(held.run),
        )
        fit_flow(lab, held.run)
        for name, kind, drawing in CONDITIONAL:
            sampler = held.sampler(kind).changed(**drawing)
            what = f"{decoder}: {name}"
            try:
                subject = generated(held, name, sampler=sampler)
            except TooFewError as error:
                lab.note(f"No figures of {what}: {error}")
                continue
            figures = by_class(held, subject)
            rows.append([what, *(str(f) for f in figures.values())])
            by, data, n = held.extractor.name, held.images.name, len(held.test)
            assert held.labels is not None
            classes = len(held.labels[held.known].unique())
            for column, figure in figures.items():
                entry = Entry(what, column, figure, BY.get(column, by), data, n)
                if column == OF_CLASS:  # whose ± is the deviation over them
                    entry = replace(entry, repeats=classes, repeated="class")
                entries.append(entry)
            assert subject.labels is not None
            two = [(subject.labels == k).nonzero()[:2, 0] for k in subject.labels.unique()]
            strips[what] = subject.x[torch.cat(two)]
    plots.save_strips(lab.picture("conditional"), strips)
    notes = [
        "As many codes of each class as there are test images of it; the Frechet distance of a "
        "class is between those. Its mean and deviation over the classes are shown; the others' ± "
        "is the error of the measurement."
    ]
    header = ["", "accuracy", OF_CLASS, "Frechet of all", "PMS"]
    write_text(lab.out / "conditional.md", Table(header, rows, notes=notes).markdown())
    return entries


def fit_flow(lab: Lab, run: Run) -> None:
    """Fit flow matching to a run's codes, with an experiment's settings."""
    asked, options = lab.settings["precision"], lab.settings["options"]
    fit_sampler(run.folder, "flow-matching", options, precision=asked, **lab.where(run))
    fitted = Run(run.folder / "samplers" / "flow-matching")
    lab.used(asked, fitted.config["precision"], f"flow matching of {run.folder.name}")


def steps(lab: Lab) -> list[Entry]:
    """Measure flow matching's quality and time for several numbers of steps of Heun's method.

    The adaptive solver is measured, too.
    """
    entries: list[Entry] = []
    held = trained(lab, "AE")
    fit_flow(lab, held.run)
    flow = held.sampler("flow-matching")
    blurred = held.features(reconstructed(held))
    for count in (*lab.settings["steps"], None):
        drawing = {"solver": "adaptive"} if count is None else {"steps": count}
        drawn = flow.changed(**drawing)
        seconds: list[float] = []
        for _ in range(lab.settings["times"]):
            began = time.monotonic()
            drawn.sample(len(held.test))
            seconds.append(time.monotonic() - began)
        found = distances(held, blurred, generated(held, "", sampler=drawn))
        found["drawing, s"] = Figure(min(seconds), math.nan)
        what = "adaptive" if count is None else f"steps {count}"
        by, data, n = held.extractor.name, held.images.name, len(held.test)
        entries += [Entry(what, c, f, BY.get(c, by), data, n) for c, f in found.items()]
    return entries


def by_class(held: Measurement, subject: Subject) -> dict[str, Figure]:
    """The figures of a subject with labels: accuracy, Frechet distances and memorisation."""
    assert held.labels is not None
    assert subject.labels is not None
    true, made = held.features(held.reference), held.features(subject)
    each = [
        metrics.frechet_distance(true[held.labels == k], made[subject.labels == k])
        for k in held.labels[held.known].unique().tolist()
    ]
    return {
        "accuracy": METRICS["accuracy"].measure(held, subject)[""],
        OF_CLASS: mean_and_deviation(each),
        "Frechet of all": METRICS["fid"].measure(held, subject)[""],
        "PMS": METRICS["pms"].measure(held, subject)[""],
    }
