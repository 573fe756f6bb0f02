"""What is on the way from one code to another: whether images change evenly, and look real."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from zspace.core import decoded
from zspace.evaluation.measurement import GENERATION, Measurement, Subject, reconstructed
from zspace.evaluation.metrics import METRICS
from zspace.functional import as_float, as_stored, blockwise
from zspace.metrics import Figure, mean_figure
from zspace.papers.entries import Entry

POINTS = 11
PAIRS = 500


def ways(held: Measurement, part: str, *, by_class: bool = False) -> list[Entry]:
    """The entries for straight lines between the codes of pairs of test images.

    - "largest step by the mean step": of 11 images on a line, the largest of the ten distances of
      neighbours, by pixels, divided by their mean, over at most 500 pairs. It is 1 if an image
      changes evenly and 10 if it jumps. One that fades into another is even, too.
    - "F1/8 (precision)" of the lines' ends, which are reconstructions, of their middles, and of the
      means of the two test images, which is what fading gives: PRD's precision against the test
      images (`zspace.metrics.precision_recall_figures`).

    Args:
        held: the measurement of a model.
        part: the part of the training images that it was trained on, for the entries.
        by_class: whether the images of a pair are of one class.
    """
    z = held.means
    partner = partners(held.labels if by_class else None, len(z))
    uneven = torch.cat(
        [
            unevenness(held, *pair)
            for pair in zip(z[:PAIRS].split(50), z[partner[:PAIRS]].split(50), strict=True)
        ]
    )
    data = f"{held.images.name} test"

    def entry(what: str, measure: str, ours: Figure, by: str, n: int) -> Entry:
        return Entry(what, measure, ours, by, data, n, part=part)

    even = mean_figure(uneven)
    found = [entry("ways", "largest step by the mean step", even, "pixels", len(uneven))]
    middles = decoded(held.model, (z + z[partner]) / 2)
    faded = blockwise(
        lambda i: as_stored((as_float(held.test[i]) + as_float(held.test[partner[i]])) / 2),
        torch.arange(len(z)),
    )
    for subject in (
        replace(reconstructed(held), name="ends of ways"),
        Subject("middles of ways", GENERATION, middles),
        Subject("means of two test images", GENERATION, faded),
    ):
        precision = METRICS["prd"].measure(held, subject)["f1/8"]
        by, n = held.extractor.name, len(z)
        found.append(entry(subject.name, "F1/8 (precision)", precision, by, n))
    return found


def unevenness(held: Measurement, a: Tensor, b: Tensor) -> Tensor:
    """The largest step by the mean step between codes (N, D), of those pairs that differ."""
    t = torch.linspace(0, 1, POINTS)[:, None]
    x = decoded(held.model, ((1 - t) * a[:, None] + t * b[:, None]).flatten(0, 1))
    x = as_float(x).flatten(1).unflatten(0, (len(a), POINTS))
    steps = (x[:, 1:] - x[:, :-1]).norm(dim=2)
    steps = steps[steps.sum(1) > 0]
    return steps.max(1).values / steps.mean(1)


def partners(labels: Tensor | None, n: int) -> Tensor:
    """The indices (n,) of random partners of n images; with labels (n,), partners share them.

    An image that is the only one of its label is its own partner.
    """
    labels = torch.zeros(n) if labels is None else labels
    generator = torch.Generator().manual_seed(0)
    other = torch.empty(n, dtype=torch.int64)
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        rows = rows[torch.randperm(len(rows), generator=generator)]
        other[rows] = rows.roll(1)
    return other
