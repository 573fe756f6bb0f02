"""Measured figures that are kept, so that a comparison that was interrupted measures none twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import NotRequired, cast

from typing_extensions import TypedDict

from zspace.evaluation.compare import figure_of
from zspace.metrics import Figure
from zspace.papers.lab import Lab
from zspace.storage.files import read_json, write_text


class StoredNumber(TypedDict):
    """A figure, None standing for NaN."""

    value: float | None
    error: float | None


class Told(TypedDict):
    """What measuring a cell told the table.

    These are notes, runs, what was trained in float32, and how many seconds it took.
    """

    notes: list[str]
    runs: list[str]
    in_float32: list[str]
    seconds: NotRequired[float]


class Cells:
    """The cells that an experiment has measured, kept in files, so that it can be resumed.

    What it is told while it measures a cell is kept, too, so that a table that was made in several
    calls says what it would say of one.

    Args:
        lab: the experiment's surroundings, whose folder gets cells.json and told.json.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.path, self.beside = lab.out / "cells.json", lab.out / "told.json"
        cells, told = dict[str, dict[str, StoredNumber]], dict[str, Told]
        self.held = read_json(self.path, cells) if self.path.exists() else {}
        self.told = read_json(self.beside, told) if self.beside.exists() else {}

    def of(self, key: str, measure: Callable[[], Mapping[str, Figure]]) -> dict[str, Figure]:
        """The figures of a cell, which are measured unless the file has them."""
        lab = self.lab
        if key in self.held:
            if key in self.told:
                lab.seconds_before += self.told[key].get("seconds", 0.0)
        else:
            before = lab.notes, lab.runs, lab.in_float32
            lab.notes, lab.runs, lab.in_float32 = [], [], []
            begun = time.perf_counter()
            try:
                found = measure()
                seconds = round(time.perf_counter() - begun, 1)
                told = Told(
                    notes=lab.notes, runs=lab.runs, in_float32=lab.in_float32, seconds=seconds
                )
            finally:
                lab.notes, lab.runs, lab.in_float32 = before
            self.held[key] = {n: cast(StoredNumber, f.as_json()) for n, f in found.items()}
            self.told[key] = told
            write_text(self.beside, json.dumps(self.told, indent=1) + "\n")
            write_text(self.path, json.dumps(self.held, indent=1) + "\n")
        if key in self.told:
            told = self.told[key]
            lab.note(*told["notes"])
            lab.runs += [run for run in told["runs"] if run not in lab.runs]
            lab.in_float32 += [w for w in told["in_float32"] if w not in lab.in_float32]
        return {name: figure_of(stored) for name, stored in self.held[key].items()}
