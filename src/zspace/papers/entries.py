"""The entries of a table: measured numbers beside published ones."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import torch

from zspace.data import Images
from zspace.metrics import Figure

TRAINING = {
    "mnist": 60_000,
    "fashion-mnist": 60_000,
    "cifar10": 50_000,
    "svhn": 73_257,
    "celeba": 162_770,
}
"""The numbers of training images of the named sets, none of them set aside for validation."""


COLUMNS = (
    *("", "measure", "ours", "± is the", "ours is of"),
    *("published", "published is of", "difference"),
)
"""The columns of the table that an experiment prints."""


@dataclass(frozen=True)
class Entry:
    """A measured number beside the number that the paper publishes.

    Attributes:
        what: the model, data set or part of a table that it belongs to.
        measure: the name of the measure.
        ours: the measured value with its uncertainty, of which `repeats` says what it is.
        by: the features, or the space, in which it was measured.
        data: the data on which it was measured, set and part, such as "mnist test".
        n: the number of samples.
        published, published_error: the paper's value and its error; None if the paper prints none.
        published_by, published_data: the features and the data of the paper's value.
        repeats: over how many repetitions the uncertainty is a standard deviation; with 1, it is
            the standard error of one measurement.
        repeated: what was repeated.
        part: which part of the paper's training data the model was trained on, if not the whole.
        each: the value of each repetition, where the repetitions are entries of their own.
    """

    what: str
    measure: str
    ours: Figure
    by: str
    data: str
    n: int
    published: float | None = None
    published_error: float | None = None
    published_by: str = ""
    published_data: str = ""
    repeats: int = 1
    repeated: str = "training"
    part: str = ""
    each: tuple[float, ...] = ()

    def difference(self) -> tuple[float | None, str]:
        """Our value minus the paper's, and "".

        If they can't be compared, because there is no published value, or the features, the data
        or the amount of training data differ, it is None, and the reason.
        """
        if self.published is None:
            return None, "the paper prints no number"
        if self.by != self.published_by:
            return None, f"other features: {self.by} / {self.published_by}"
        if self.data != self.published_data:
            return None, f"other data: {self.data} / {self.published_data}"
        if self.part:
            return None, f"trained on a part: {self.part}"
        return self.ours.value - self.published, ""

    def row(self) -> list[str]:
        """The entry as a row of a table with the columns `COLUMNS`."""
        difference, reason = self.difference()
        theirs, source = "", ""
        if self.published is not None:
            error = "" if self.published_error is None else f" ± {self.published_error:g}"
            theirs = f"{self.published:g}{error}"
            source = f"{self.published_by}; {self.published_data}"
        part = [f"trained on {self.part}"] if self.part else []
        return [
            self.what,
            self.measure,
            str(self.ours),
            self.uncertainty,
            "; ".join([self.by, self.data, *part, f"n = {self.n}"]),
            theirs,
            source,
            reason if difference is None else f"{difference:+.3g}",
        ]

    @property
    def uncertainty(self) -> str:
        """What the number after ± is: a deviation or an error; "" if there is none."""
        if math.isnan(self.ours.error):
            return ""
        if self.repeats == 1:
            return "error of the measurement"
        many = self.repeated + ("es" if self.repeated.endswith("s") else "s")
        return f"deviation over {self.repeats} {many}"

    @property
    def error(self) -> float:
        """The standard error of the value, NaN if it is unknown."""
        return self.ours.error / math.sqrt(self.repeats)

    def as_json(self) -> dict[str, Any]:
        """The entry as table.json stores it."""
        difference, reason = self.difference()
        ours = self.ours.as_json()
        each = [value if math.isfinite(value) else None for value in self.each]
        return {
            **vars(self),
            "ours": ours,
            "each": each,
            "difference": difference,
            "reason": reason,
        }


def mean_and_deviation(values: list[float]) -> Figure:
    """The mean of values, with their standard deviation in place of an error, as papers print it.

    The deviation of a single value is NaN.
    """
    each = torch.tensor(values, dtype=torch.float64)
    return Figure(float(each.mean()), float(each.std()) if len(each) > 1 else math.nan)


def over_seeds(each: Sequence[Figure]) -> Figure:
    """The mean of several trainings' figures and their deviation; a single figure unchanged."""
    return each[0] if len(each) == 1 else mean_and_deviation([f.value for f in each])


def over_trainings(each: Sequence[Sequence[Entry]]) -> list[Entry]:
    """The entries of several trainings as one list, whose ± is the deviation over the trainings.

    An entry that only one training has keeps its error of measurement. Each entry also keeps the
    value of every training.
    """
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in (e for entries in each for e in entries):
        found.setdefault((entry.what, entry.measure), []).append(entry)
    return [
        replace(
            own[0],
            ours=over_seeds([e.ours for e in own]),
            repeats=len(own),
            each=tuple(e.ours.value for e in own),
        )
        for own in found.values()
    ]


def told_apart(entries: Sequence[Entry]) -> list[Entry]:
    """Entries of several sets of features, each with a name of its own.

    Entries of the first set keep their names; those of the others name their features.
    """
    first: dict[tuple[str, str], str] = {}
    return [
        entry
        if first.setdefault((entry.what, entry.measure), entry.by) == entry.by
        else replace(entry, what=f"{entry.what}, by {entry.by}")
        for entry in entries
    ]


def part_of(images: Images, whole: Mapping[str, int] = TRAINING) -> str:
    """Which part of a set's training images there is; "" if it is all, or the set is not named.

    Args:
        images: the data set, as it was trained on.
        whole: the number of training images that the paper has, by the set's name.
    """
    n = len(images.train)
    total = whole.get(images.name, n)
    return "" if n >= total else f"{n:,} of {total:,} training images"


@cache
def published() -> dict[str, Any]:
    """The numbers that the five papers publish, by table or figure."""
    text = files("zspace.papers").joinpath("published.json").read_text(encoding="utf-8")
    numbers: dict[str, Any] = json.loads(text)
    return numbers
