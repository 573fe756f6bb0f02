"""The figure on a model's card, measured again with other noise."""

from __future__ import annotations

import math
from pathlib import Path

from zspace import api
from zspace.errors import InputError
from zspace.evaluation.evaluate import evaluate
from zspace.evaluation.measurement import GENERATION
from zspace.storage.entries import Shown
from zspace.storage.published import PREFIX, entry_of, get
from zspace.storage.run import Run
from zspace.zoo.card import text_of

SAMPLES = 1000
"""The number of images that are drawn, if the data have as many test images."""

LARGEST = 32 * 32 * 3
"""The number of values of an image up to which distances of pixels are a matter of seconds."""

ERRORS = 4.0
"""The number of standard errors by which two measurements may differ."""


def distance(
    run: str | Path,
    sampler: str,
    *,
    n: int | None = None,
    seed: int = 0,
    data_dir: str | None = None,
) -> Shown:
    """The Frechet distance of a run's samples from test images, by pixels.

    No network takes part, so that the figure is the same everywhere.

    Args:
        run: the run.
        sampler: the sampler to draw from.
        n: the number of samples; None takes all test images, but at most 1,000.
        seed: the seed of the samples.
        data_dir: the folder in which the run's data are now.
    """
    there = len(api.run_images(Run(run), data_dir=data_dir).test)
    found = evaluate(
        run,
        metrics=["fid"],
        samplers=[sampler],
        features="pixels",
        n=n or min(SAMPLES, there),
        seed=seed,
        device="cpu",
        data_dir=data_dir,
    )
    row = next(row for row in found["rows"] if row["kind"] == GENERATION)
    figure = row["figures"]["fid"]
    measure = f"Frechet, {sampler}"
    return Shown(measure, figure["value"], figure["error"], found["n"], "pixels")


def check(name: str, *, data_dir: str | None = None, seed: int = 1) -> Shown:
    """Draw from a model of the zoo and compare the figure with that of its card.

    Args:
        name: the model.
        data_dir: the folder of its data.
        seed: the seed of the samples, other than the card's, which is 0.

    Returns the figure.
    Raises:
        InputError: the figures differ by more than chance explains, or the card has none to check.
    """
    entry = entry_of(name)
    if entry.checked is None:
        raise InputError(f"the card of {name} has no figure that is quick to check")
    sampler = entry.samplers[0]
    now = distance(get(name), sampler, n=entry.checked.n, seed=seed, data_dir=data_dir)
    apart = abs(now.value - entry.checked.value)
    if not apart <= ERRORS * math.hypot(now.error or 0.0, entry.checked.error or 0.0):
        raise InputError(
            f"{PREFIX}{name} departs from its card: {now.measure} is {text_of(now)} now, "
            f"{text_of(entry.checked)} there"
        )
    return now
