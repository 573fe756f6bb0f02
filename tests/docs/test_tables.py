"""What the tables of the pages mark as best: nothing that another row is level with."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
NUMBER = re.compile(r"(\*\*)?(-?[\d,.]*\d)(?: ± ([\d.]+))?\*?(\*\*)?(?: =)?$")
"""A figure, with or without its error; bold, marked as a tie, or neither."""
REFERENCE = re.compile(
    r"\*([\d,]+ )?(training images|training codes|test images|reconstructions|the paper's).*\*$"
)
"""The first cell, in italics, of a row that is no competitor."""

Cell = tuple[bool, float, float]


def tables(text: str) -> Iterator[list[list[str]]]:
    """The rows of each table of a page, without the line below its header."""
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        yield [[cell.strip() for cell in line] for i, line in enumerate(lines) if i != 1]


def cell(text: str) -> Cell | None:
    """Whether a cell is bold, its value and its error; None if it is no figure."""
    found = NUMBER.match(text)
    if found is None:
        return None
    value = float(found[2].replace(",", ""))
    return found[1] is not None, value, float(found[3] or 0)


def ties(text: str) -> list[str]:
    """The bold figures of a page that are level with another of their column.

    Whatever stands behind ± is taken for the standard error, as `zspace compare` takes it; where it
    is a deviation over trainings, this asks for more.
    """
    found: list[str] = []
    for header, *rows in tables(text):
        rivals = [row for row in rows if not REFERENCE.match(row[0])]
        for column in range(1, len(header)):
            cells = [(cell(row[column]), row[column]) for row in rivals if column < len(row)]
            for one, shown in cells:
                for other, against in cells:
                    if one is None or other is None or one is other or not one[0]:
                        continue
                    if abs(one[1] - other[1]) <= 2 * math.hypot(one[2], other[2]) * (1 + 1e-9):
                        found.append(f"{header[column]}: {shown} and {against}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_nothing_is_bold_that_another_row_is_level_with(page: Path) -> None:
    assert ties(page.read_text(encoding="utf-8")) == []


def test_ties_are_found() -> None:
    rows = (("a", "**1.0 ± 0.3**"), ("b", "2.0 ± 0.4 ="), ("*test images*", "0.9"), ("c", "9*"))
    table = "".join(f"| {a} | {b} |\n" for a, b in (("", "fid"), ("---", "---"), *rows))
    assert ties(table) == ["fid: **1.0 ± 0.3** and 2.0 ± 0.4 ="]
    assert ties(table.replace("0.4", "0.3")) == []
    assert ties(table.replace("*test images*", "d")) != []
