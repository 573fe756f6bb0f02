"""The cells of the comparison of samplers, each of which is kept once it is measured."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from zspace import metrics
from zspace.core import Density, Sampler, decoded
from zspace.evaluation.measurement import GENERATION, Measurement, Subject
from zspace.evaluation.metrics import METRICS
from zspace.functional import stream
from zspace.metrics import Figure
from zspace.options import options_of
from zspace.papers.base import Lab
from zspace.recipes import catalogue
from zspace.samplers import Learned
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
}
"""The compared samplers, by their name in the table: their kind and options."""
OWN = "own prior"
BLURRED = "Frechet to reconstructions"
COLUMNS = (
    "Frechet",
    BLURRED,
    "F8 (recall)",
    "F1/8 (precision)",
    "PMS",
    "log p of test codes",
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
    """The measurement of one of the decoders in an experiment's settings."""
    options = dict(lab.settings["decoders"][decoder])
    run = lab.trained(options.pop("recipe"), str(lab.data), seed=0, **options)
    return lab.measured(run, None, n=lab.settings.get("n"))


def distances(held: Measurement, blurred: Tensor, subject: Subject) -> dict[str, Figure]:
    """The Frechet distances of a subject from the test images and from their reconstructions.

    The second measures the sampler alone: reconstructions are as blurred as any decoded image, so
    that a perfect sampler could reach 0.

    Args:
        held: the measurement.
        blurred: the features (N, D) of the reconstructions.
        subject: the generated images.
    """
    made = held.features(subject)
    return {
        "Frechet": METRICS["fid"].measure(held, subject)[""],
        BLURRED: metrics.jackknife(metrics.frechet_distance, blurred, made, groups=8),
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


def cell(
    lab: Lab,
    held: Measurement,
    blurred: Tensor,
    z: Tensor,
    name: str,
    seed: int,
    precision: Precision,
) -> dict[str, Figure]:
    """The figures of a sampler that is fitted to codes, drawn from and measured.

    Args:
        lab: the experiment's surroundings.
        held: the measurement.
        blurred: the features (N, D) of the reconstructed test images.
        z: the codes to fit to.
        name: a key of `KINDS`, or `OWN`.
        seed: the seed of fitting and drawing.
        precision: the precision of training by iterations.

    Returns the figures by column of the table.
    """
    began = time.monotonic()
    if name == OWN:
        assert held.model.prior is not None
        sampler: Sampler = held.model.prior
    else:
        kind, options = KINDS[name]
        options = {**options, **lab.settings["options"].get(name, {})}
        if "seed" in options_of(catalogue.SAMPLERS[kind]):
            options["seed"] = seed
        sampler = catalogue.make(kind, held.model.latent_dim, options)
        if isinstance(sampler, Learned):
            sampler.precision = precision
        sampler.fit(z)
    fitted = time.monotonic() - began
    generator = torch.Generator(z.device).manual_seed(stream(seed, 12))
    began = time.monotonic()
    with torch.no_grad():
        drawn = sampler.draw(len(held.test), generator=generator)
    seconds = time.monotonic() - began
    row = measured(held, blurred, Subject(name, GENERATION, decoded(held.model, drawn)))
    if isinstance(sampler, Density):
        with torch.no_grad():
            log_p = sampler.log_density(held.means[: lab.settings["densities"]].to(z.device))
        row["log p of test codes"] = metrics.mean_figure(log_p)
    return row | {"fit, s": Figure(fitted, math.nan), "drawing, s": Figure(seconds, math.nan)}
