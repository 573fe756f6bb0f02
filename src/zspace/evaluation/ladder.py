"""Ladders of degradations: how a judge ranks images that are made worse step by step.

A judge is a feature extractor. Test images are degraded in six ways at five levels each, and their
Frechet distance from the training images is measured by the judge's features. A judge that serves
to compare models should see each step; which it sees, and from where on, is what a ladder says.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zspace.core import SILENT, Progress
from zspace.data.images import Part
from zspace.features.extract import Extractor, extract
from zspace.functional import as_float, as_stored, blockwise, stream
from zspace.functional.degradations import blurred, brighter, noisy, paler
from zspace.metrics import Figure
from zspace.metrics.frechet import frechet_distances

LEVELS: dict[str, tuple[float, ...]] = {
    "noise": (0.02, 0.05, 0.1, 0.2, 0.3),
    "blur": (0.5, 1.0, 1.5, 2.0, 3.0),
    "JPEG": (90, 60, 30, 15, 5),
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
    "contrast": (0.9, 0.75, 0.6, 0.45, 0.3),
    "one class": (0.1, 0.25, 0.5, 0.75, 1.0),
    "duplicates": (0.5, 0.75, 0.9, 0.95, 0.99),
}
"""The levels of each ladder, from the slightest to the worst."""

UNITS = {
    "noise": "standard deviation",
    "blur": "standard deviation in pixels",
    "JPEG": "quality",
    "brightness": "added to all values",
    "contrast": "factor",
    "one class": "share that is replaced by images of one class",
    "duplicates": "share that is copies of others",
}
"""What the levels of a ladder are."""

REPLACED = "one class", "duplicates"
"""The ladders whose levels replace images by others."""

UNDISTURBED = "undisturbed"

GROUPS, FEWER, WIDE = 20, 4, 512
"""The groups of the jackknife; the smaller number of groups, for more than 512 dimensions."""

ERRORS = 2.0
"""The number of standard errors by which a step counts as seen."""

RULE = (
    f"a step is a fall or a rise if the distance changes by more than {ERRORS:g} standard errors "
    "of the change (a jackknife over images, the same ones left out of both levels, each with its "
    "copies); a ladder is "
    "monotone if every step from the undisturbed images on is a rise, broken if one is a fall, and "
    "else weakly monotone, or unseen if even the last level is no rise from the undisturbed images"
)
"""The rule by which a ladder is called monotone."""

Verdict = Literal["monotone", "weakly monotone", "unseen", "broken"]


@dataclass(frozen=True)
class Rung:
    """The distance of the images at one level of a ladder.

    Attributes:
        ladder: the name of the ladder; `UNDISTURBED` for the images as they are.
        level: the level; None for the images as they are.
        value: the Frechet distance from the training images.
        without: the distances without each group of test images, None where too few others are
            left.
    """

    ladder: str
    level: float | None
    value: float
    without: tuple[float | None, ...]

    @property
    def figure(self) -> Figure:
        """The distance with its standard error."""
        return Figure(self.value, _error(self.without))


def degraded(part: Part, ladder: str, level: float, seed: int = 0) -> Tensor:
    """Images at a level of a ladder, rounded to 256 levels.

    Args:
        part: images, uint8 (N, C, H, W), and for "one class" their labels.
        ladder: a key of `LEVELS`.
        level: the level.
        seed: the seed of the noise and of the choice of images; the levels of a ladder share the
            draws, so that what one level replaces, all worse ones do.

    Returns images, uint8 (N, C, H, W).
    """
    if ladder == "JPEG":
        return torch.stack([_jpeg(image, round(level)) for image in part.x])
    if ladder in REPLACED:
        return part.x[_sources(part, ladder, level, seed)]
    seeded = _seeded(ladder, seed)

    def worse(block: Tensor) -> Tensor:
        values = as_float(block)
        if ladder == "noise":
            values = noisy(values, level, torch.randn(values.shape, generator=seeded))
        else:
            values = {"blur": blurred, "brightness": brighter, "contrast": paler}[ladder](
                values, level
            )
        return as_stored(values)

    return blockwise(worse, part.x)


def _seeded(ladder: str, seed: int) -> torch.Generator:
    """The generator that the levels of a ladder share."""
    return torch.Generator().manual_seed(stream(seed, 21 + [*LEVELS].index(ladder)))


def _sources(part: Part, ladder: str, level: float, seed: int) -> Tensor:
    """The row of the image that each image at a level of a ladder is made of."""
    n = len(part)
    rows = torch.arange(n)
    if ladder not in REPLACED:
        return rows
    seeded = _seeded(ladder, seed)
    order = torch.randperm(n, generator=seeded)
    count = min(round(level * n), n - 1 if ladder == "duplicates" else n)
    if ladder == "duplicates":
        held = order[count:]
    else:
        assert part.y is not None
        held = (part.y == most_frequent(part.y)).nonzero()[:, 0]
        held = held[torch.randperm(len(held), generator=seeded)]
    rows[order[:count]] = held[torch.arange(count) % len(held)]
    return rows


def most_frequent(y: Tensor) -> int:
    """The most frequent label, the first of several."""
    return int(torch.bincount(y[y >= 0]).argmax())


def _jpeg(image: Tensor, quality: int) -> Tensor:
    """An image (C, H, W) after JPEG at a quality; each channel by itself unless there are three."""
    if len(image) not in (1, 3):
        return torch.cat([_jpeg(channel[None], quality) for channel in image])
    pixels = image.permute(1, 2, 0).numpy()
    stored = io.BytesIO()
    Image.fromarray(pixels[..., 0] if len(image) == 1 else np.ascontiguousarray(pixels)).save(
        stored, "JPEG", quality=quality
    )
    with Image.open(stored) as opened:
        read = torch.from_numpy(np.array(opened))
    return read[None] if len(image) == 1 else read.permute(2, 0, 1)


def ladders_of(part: Part) -> list[str]:
    """The ladders that images can be measured on: those of one class need labels."""
    known = part.y is not None and bool((part.y >= 0).any())
    return [name for name in LEVELS if known or name != "one class"]


def climb(
    extractor: Extractor,
    training: Tensor,
    test: Part,
    *,
    seed: int = 0,
    progress: Progress = SILENT,
) -> list[Rung]:
    """The distances of undisturbed and degraded test images from training images, by one judge.

    The training images are held fixed: an error says how far other test images would differ.

    Args:
        extractor: the judge.
        training: training images, uint8 (M, C, H, W).
        test: test images, and their labels if there are any, which share no image with them.
        seed: the seed of the noise and of all choices.
        progress: told how far it is.

    Returns the undisturbed images first, and then the ladders, level by level.
    """
    reference = extract(extractor, training, keep=True, progress=progress, what="training images")

    def rung(ladder: str, level: float | None, x: Tensor) -> Rung:
        what = ladder if level is None else f"{ladder} {level:g}"
        y = extract(extractor, x, progress=progress, what=what)
        sources = _sources(test, ladder, level or 0.0, seed)
        return Rung(ladder, level, *_distances(reference, y, sources, seed))

    found = [rung(UNDISTURBED, None, test.x)]
    for ladder in ladders_of(test):
        for level in LEVELS[ladder]:
            found.append(rung(ladder, level, degraded(test, ladder, level, seed)))
    return found


def _distances(
    x: Tensor, y: Tensor, sources: Tensor, seed: int
) -> tuple[float, tuple[float | None, ...]]:
    """The Frechet distance of x and y, and those without each group of y in turn.

    An image is left out together with its copies; a distance is None if too few others are left.
    """
    groups = min(GROUPS if y.shape[1] <= WIDE else FEWER, len(y) // 2)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    group = torch.empty(len(y), dtype=torch.long)
    group[order] = torch.arange(len(y)) * groups // len(y)
    kept = [group[sources] != k for k in range(groups)]
    enough = [int(rows.sum()) > 1 for rows in kept]
    # without the warnings of a bias, which all levels share
    parts = (y[rows] for rows, e in zip(kept, enough, strict=True) if e)
    value, *found = frechet_distances(x, chain([y], parts))
    each = iter(found)
    return value, tuple(next(each) if e else None for e in enough)


def _error(without: tuple[float | None, ...]) -> float:
    """The standard error of a delete-a-group jackknife, NaN if a group can't be left out."""
    if None in without:
        return math.nan
    values = torch.tensor(without, dtype=torch.float64)
    return math.sqrt((len(values) - 1) * float(values.var(correction=0)))


def step(before: Rung, after: Rung) -> Figure:
    """The change of the distance from one level to another, with its standard error."""
    changes = (
        None if a is None or b is None else a - b
        for a, b in zip(after.without, before.without, strict=True)
    )
    return Figure(after.value - before.value, _error(tuple(changes)))


def verdict(floor: Rung, rungs: list[Rung]) -> Verdict:
    """Whether a ladder is monotone, by `RULE`.

    Args:
        floor: the undisturbed images.
        rungs: the levels of the ladder, the worst last.
    """
    steps = [step(a, b) for a, b in pairwise([floor, *rungs])]
    if all(change.value > ERRORS * change.error for change in steps):
        return "monotone"
    whole = step(floor, rungs[-1])
    if any(change.value < -ERRORS * change.error for change in steps):
        return "broken"
    return "weakly monotone" if whole.value > ERRORS * whole.error else "unseen"


def by_ladder(rungs: list[Rung]) -> dict[str, list[Rung]]:
    """The rungs of each ladder, without the undisturbed images."""
    found: dict[str, list[Rung]] = {}
    for each in rungs:
        if each.ladder != UNDISTURBED:
            found.setdefault(each.ladder, []).append(each)
    return found
