"""Measured figures that are kept, so that a comparison that was interrupted measures none twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zspace.evaluation.compare import figure_of
from zspace.metrics import Figure
from zspace.storage.files import write_text


class Cells:
    """The cells that have been measured, kept in a file, so that a comparison can be resumed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held: dict[str, dict[str, Any]] = {}
        if path.is_file():
            self.held = json.loads(path.read_text(encoding="utf-8"))

    def of(self, key: str, measure: Callable[[], Mapping[str, Figure]]) -> dict[str, Figure]:
        """The figures of a cell, which are measured unless the file has them."""
        if key not in self.held:
            self.held[key] = {name: figure.as_json() for name, figure in measure().items()}
            write_text(self.path, json.dumps(self.held, indent=1) + "\n")
        return {name: figure_of(stored) for name, stored in self.held[key].items()}
