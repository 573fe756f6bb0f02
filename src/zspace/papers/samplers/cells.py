"""The cells of the comparison of samplers, each of which is kept once it is measured."""

from __future__ import annotations

import filecmp
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zspace import metrics
from zspace.core import Density, Sampler, decoded
from zspace.display import plots
from zspace.evaluation.measurement import (
    GENERATION,
    RECONSTRUCTION,
    Measurement,
    Subject,
    drawn_codes,
)
from zspace.evaluation.metrics import METRICS
from zspace.metrics import Figure
from zspace.options import options_of
from zspace.papers.lab import Lab
from zspace.recipes import catalogue
from zspace.samplers import Learned
from zspace.storage.files import atomic
from zspace.storage.run import Run
from zspace.training import Precision

KINDS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "normal": ("normal", {}),
    "mixture, 10": ("mixture", {}),
    "mixture, 100": ("mixture", {"components": 100}),
    "KDE": ("kde", {}),
    "two-stage": ("two-stage", {}),
    "spline flow": ("flow", {}),
    "pushforward": ("pushforward", {}),
    "flow matching": ("flow-matching", {"classes": 0}),
    "convex combinations": ("convex", {}),
}
"""The compared samplers, by their name in the table: their kind and options."""
OWN = "own prior"
TUNED = "Medium2"
FOUND = OWN, TUNED
"""Samplers that are there before the cells are measured: of them, codes alone are drawn anew."""
SHOWN = 64
"""The number of images on the sheet of a sampler."""
BLURRED = "Frechet to reconstructions"
DENSITY = "log p of test codes"
BY = {"PMS": "pixels", DENSITY: "codes", "fit, s": "time", "drawing, s": "time"}
"""The columns that no features enter, and what they are of instead."""
COLUMNS = (
    "Frechet",
    BLURRED,
    "F8 (recall)",
    "F1/8 (precision)",
    "PMS",
    DENSITY,
    "fit, s",
    "drawing, s",
)
CONDITIONAL: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("Medium2", "medium2", {}),
    ("convex combinations", "convex", {}),
    ("flow matching", "flow-matching", {}),
    ("flow matching, guidance 2", "flow-matching", {"guidance": 2.0}),
)
"""The compared samplers by class: their name in the table, their kind, and how codes are drawn."""


def trained(lab: Lab, decoder: str) -> Measurement:
    """The measurement of one of the decoders in an experiment's settings, of the zoo or trained."""
    options = dict(lab.settings["decoders"][decoder])
    name = options["zoo"][lab.data] if "zoo" in options else None
    if name is not None:
        run = Run(f"zoo:{name}")
    else:
        options |= told_by(lab)
        run = lab.trained(options.pop("recipe"), str(lab.data), seed=0, **options)
    features, n = lab.settings.get("features"), lab.settings.get("n")
    held = lab.measured(run, features, n=n)
    if name is not None:
        # a copy, since a sampler that is tuned is stored beside its model; made when the data are
        # read, so that nothing is left where they are missing
        folder = (lab.shelf or lab.out / "runs") / f"zoo-{name}"
        for file in (file for file in run.folder.rglob("*") if file.is_file()):
            copy = folder / file.relative_to(run.folder)
            if not (copy.exists() and filecmp.cmp(file, copy, shallow=False)):
                with atomic(copy) as partial:  # another process may be reading it
                    shutil.copyfile(file, partial)
        held = replace(held, run=Run(folder))
        lab.runs += [folder.name] * (folder.name not in lab.runs)
    return held


def told_by(lab: Lab) -> dict[str, str]:
    """The options by which images have labels: faces have them by two of their attributes."""
    return {"label_attribute": "Male,Smiling"} if lab.data == "celeba" else {}


def distances(held: Measurement, blurred: Tensor, subject: Subject) -> dict[str, Figure]:
    """The Frechet distances of a subject from the test images and from their reconstructions.

    The second measures the sampler alone: reconstructions are as blurred as any decoded image, so
    that a perfect sampler could reach 0. Reconstructions themselves are left out together with what
    they are compared to, here as there.

    Args:
        held: the measurement.
        blurred: the features (N, D) of the reconstructions.
        subject: the generated images.
    """
    made, paired = held.features(subject), subject.kind == RECONSTRUCTION
    return {
        "Frechet": METRICS["fid"].measure(held, subject)[""],
        BLURRED: metrics.jackknife(
            metrics.frechet_distance, blurred, made, groups=8, paired=paired
        ),
    }


def measured(held: Measurement, blurred: Tensor, subject: Subject) -> dict[str, Figure]:
    """The figures of a subject's images, by column of the table."""
    prd = METRICS["prd"].measure(held, subject)
    return {
        **distances(held, blurred, subject),
        "F8 (recall)": prd["f8"],
        "F1/8 (precision)": prd["f1/8"],
        "PMS": METRICS["pms"].measure(held, subject)[""],
    }


def density(
    lab: Lab, held: Measurement, sampler: Sampler | None, device: torch.device
) -> dict[str, Figure]:
    """The mean log density of test codes by a sampler, by column of the table, if it has one."""
    if not isinstance(sampler, Density):
        return {}
    test = held.means[: lab.settings["densities"]].to(device)
    with torch.no_grad():
        return {DENSITY: metrics.mean_figure(sampler.log_density(test))}


def cell(
    lab: Lab,
    held: Measurement,
    blurred: Tensor,
    z: Tensor,
    y: Tensor | None,
    name: str,
    seed: int,
    precision: Precision,
    picture: Path,
) -> dict[str, Figure]:
    """The figures of a sampler that is fitted to codes, drawn from and measured.

    Args:
        lab: the experiment's surroundings.
        held: the measurement.
        blurred: the features (N, D) of the reconstructed test images.
        z: the codes to fit to.
        y: their labels, by which samplers that know labels draw codes of the test images' labels.
        name: a key of `KINDS`, `OWN` or `TUNED`.
        seed: the seed of fitting and drawing.
        precision: the precision of training by iterations.
        picture: the file of a sheet of the first images, which is drawn for seed 0.

    Returns the figures by column of the table; the density of `OWN`, which no seed changes, is left
    out.
    """
    began = time.monotonic()
    if name == OWN:
        assert held.model.prior is not None
        sampler: Sampler = held.model.prior
    elif name == TUNED:
        sampler = held.sampler("medium2")
    else:
        kind, options = KINDS[name]
        options = {**options, **lab.settings["options"].get(name, {})}
        if "seed" in options_of(catalogue.SAMPLERS[kind]):
            options["seed"] = seed
        sampler = catalogue.make(kind, held.model.latent_dim, options)
        if isinstance(sampler, Learned):
            sampler.precision = precision
        sampler.fit(z, y)
    fitted = time.monotonic() - began
    began = time.monotonic()
    with torch.no_grad():
        drawn, labels = drawn_codes(replace(held, seed=seed), name, sampler, len(held.test))
    seconds = time.monotonic() - began
    made = Subject(name, GENERATION, decoded(held.model, drawn), labels=labels)
    row = measured(held, blurred, made)
    if seed == 0:
        plots.save_sheet(picture, made.x[:SHOWN])
    if name not in FOUND:
        row |= density(lab, held, sampler, z.device) | {"fit, s": Figure(fitted, math.nan)}
    return row | {"drawing, s": Figure(seconds, math.nan)}
