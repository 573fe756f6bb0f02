"""An experiment at the scale `smoke`, by its command, and the names of what it measures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conftest import Cli
from zspace import papers
from zspace.papers.base import Experiment
from zspace.papers.claims import forms, measures, read_claims


def reproduced(cli: Cli, name: str, out: Path, data: str = "--data=digits") -> None:
    """Reproduce an experiment as it is, on the digits or on other data."""
    options = ("--scale=smoke", data, "--quiet", "--device=cpu")
    status, said, err = cli("reproduce", name, *options, "--out", out)
    assert status == 0, err
    assert (out / "table.md").is_file()
    assert "ours is of" in said
    claims_name_what_it_measures(papers.find(name), out)


def claims_name_what_it_measures(experiment: Experiment, out: Path) -> None:
    """Every entry that a claim names is one that the experiment's code of today makes.

    Numbers, which differ by scale, count as alike, and so do the systems of the experiment's
    settings, of which a small scale has a few.
    """
    table = json.loads((out / "table.json").read_text())
    known = systems_of(experiment)
    made = {(shape(e["what"], known), shape(e["measure"], known)) for e in table["entries"]}
    for claim in read_claims():
        for test in claim.tests:
            if test["experiment"] == experiment.name:
                for of in zip(test["of"], measures(test), strict=True):
                    meant = {tuple(shape(part, known) for part in form) for form in forms(of)}
                    assert meant & made, f"{experiment.name} makes no {of}: {sorted(made)}"


def systems_of(experiment: Experiment) -> set[str]:
    """The names of the systems that an experiment compares at any scale."""
    scales = experiment.scales.values()
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
