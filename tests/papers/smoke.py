"""An experiment at the scale `smoke`, by its command, and the names of what it measures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conftest import Cli
from zspace import papers
from zspace.papers.claims import measures, read_claims


def reproduced(cli: Cli, name: str, out: Path, shelf: Path) -> None:
    """Reproduce an experiment on the digits; trained runs lie on a shelf, which others share."""
    options = ("--scale=smoke", "--data=digits", "--quiet", "--device=cpu")
    status, said, err = cli("reproduce", name, *options, "--out", out, "--runs", shelf)
    assert status == 0, err
    assert (out / "table.md").is_file()
    assert "ours is of" in said
    claims_name_what_it_measures(name, out)


def claims_name_what_it_measures(name: str, out: Path) -> None:
    """Every entry that a claim names is one that the experiment's code of today makes.

    Numbers, which differ by scale, count as alike, and so do the systems of the experiment's
    settings, of which the scale `smoke` has a few.
    """
    table = json.loads((out / "table.json").read_text())
    known = systems_of(name)
    made = {(shape(e["what"], known), shape(e["measure"], known)) for e in table["entries"]}
    for claim in read_claims():
        for test in claim.tests:
            if test["experiment"] == name:
                for of in zip(test["of"], measures(test), strict=True):
                    what, measure = (shape(part, known) for part in of)
                    assert (what, measure) in made, f"{name} makes no {of}: {sorted(made)}"


def systems_of(name: str) -> set[str]:
    """The names of the systems that an experiment compares at any scale."""
    scales = papers.find(name).scales.values()
    return {system for scale in scales for system in scale.settings.get("systems", ())}


def shape(name: str, systems: set[str]) -> str:
    """The name of an entry without what differs by scale."""
    if name in systems:
        return "a system"
    return re.sub(r"\{\d*[a-z]\}|\d+(\.\d+)?|\ball(?= originals)", "#", name)


def numbers_of(settings: Any) -> set[float]:
    """All numbers in the settings of a scale, and their percentages."""
    if isinstance(settings, bool) or settings is None or isinstance(settings, str):
        return set()
    if isinstance(settings, int | float):
        return {float(settings), 100 * float(settings)}
    each = list(settings.values()) if isinstance(settings, Mapping) else settings
    return set[float]().union(*map(numbers_of, each))
