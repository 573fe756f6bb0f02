"""What is on the way from one code to another: whether images change evenly, and look real."""

from __future__ import annotations

import torch
from torch import Tensor

from zspace.core import decoded
from zspace.evaluation.measurement import GENERATION, Measurement, Subject, reconstructed
from zspace.evaluation.metrics import METRICS
from zspace.functional import as_float
from zspace.metrics import Figure, mean_figure
from zspace.papers.entries import Entry

POINTS = 11
PAIRS = 500


def ways(held: Measurement, part: str, *, by_class: bool = False) -> list[Entry]:
    """The entries for straight lines between the codes of pairs of test images.

    - "largest step by the mean step": of 11 images on a line, the largest of the ten distances of
      neighbours, by pixels, divided by their mean, over at most 500 pairs. It is 1 if an image
      changes evenly and 10 if it jumps.
    - "F1/8 (precision)" of the lines' ends, which are reconstructions, and of their middles: the
      share that looks like the test images (`zspace.metrics.precision_recall`).

    Args:
        held: the measurement of a model.
        part: the part of the training images that it was trained on, for the entries.
        by_class: whether the images of a pair are of one class.
    """
    z = held.means
    partner = partners(held.labels if by_class else None, len(z))
    middles = decoded(held.model, (z + z[partner]) / 2)
    few = min(len(z), PAIRS)
    t = torch.linspace(0, 1, POINTS)[:, None]
    lines = (1 - t) * z[:few, None] + t * z[partner[:few], None]
    x = as_float(decoded(held.model, lines.flatten(0, 1))).flatten(1).unflatten(0, (few, POINTS))
    steps = (x[:, 1:] - x[:, :-1]).norm(dim=2)
    uneven = steps.max(1).values / steps.mean(1).clamp(min=1e-12)
    data = f"{held.images.name} test"

    def entry(what: str, measure: str, ours: Figure, by: str, n: int) -> Entry:
        return Entry(what, measure, ours, by, data, n, part=part)

    found = [entry("ways", "largest step by the mean step", mean_figure(uneven), "pixels", few)]
    for what, subject in (
        ("ends of ways", reconstructed(held)),
        ("middles of ways", Subject("middles of ways", GENERATION, middles)),
    ):
        precision = METRICS["prd"].measure(held, subject)["f1/8"]
        by, n = held.extractor.name, len(z)
        found.append(entry(what, "F1/8 (precision)", precision, by, n))
    return found


def partners(labels: Tensor | None, n: int) -> Tensor:
    """For each of n images another one at random, of its label if labels (n,) are given."""
    labels = torch.zeros(n) if labels is None else labels
    generator = torch.Generator().manual_seed(0)
    other = torch.empty(n, dtype=torch.int64)
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        rows = rows[torch.randperm(len(rows), generator=generator)]
        other[rows] = rows.roll(1)
    return other
