"""Measured figures that are kept, so that a comparison that was interrupted measures none twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from typing_extensions import TypedDict

from zspace.evaluation.compare import figure_of
from zspace.metrics import Figure
from zspace.storage.files import read_json, write_text


class StoredNumber(TypedDict):
    """A figure, None standing for NaN."""

    value: float | None
    error: float | None


class Cells:
    """The cells that have been measured, kept in a file, so that a comparison can be resumed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held = read_json(path, dict[str, dict[str, StoredNumber]]) if path.exists() else {}

    def of(self, key: str, measure: Callable[[], Mapping[str, Figure]]) -> dict[str, Figure]:
        """The figures of a cell, which are measured unless the file has them."""
        if key not in self.held:
            self.held[key] = {
                name: cast(StoredNumber, figure.as_json()) for name, figure in measure().items()
            }
            write_text(self.path, json.dumps(self.held, indent=1) + "\n")
        return {name: figure_of(stored) for name, stored in self.held[key].items()}
