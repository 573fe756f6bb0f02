"""Experiments: entries, scales, runs that go on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from zspace import papers
from zspace.metrics import Figure
from zspace.papers.base import Scale, reproduce
from zspace.papers.entries import Entry, published


@pytest.mark.usefixtures("small_sets")
def test_a_run_that_was_cut_short_is_gone_on_with(tmp_path: Path) -> None:
    scale = {"smoke": Scale({"iterations": 6, "checkpoints": 2}, "6 iterations", "")}
    small = replace(papers.find("flexae/fig3"), scales=scale)
    reproduce(small, "smoke", tmp_path / "a", device="cpu", quiet=True)
    whole = json.loads((tmp_path / "a" / "table.json").read_text())
    run = next((tmp_path / "a").glob("runs/flexae-*"))
    before = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").unlink()
    sorted((run / "checkpoints").iterdir())[-1].unlink()
    reproduce(small, "smoke", tmp_path / "a", device="cpu", quiet=True)
    assert (run / "model.safetensors").read_bytes() == before
    assert json.loads((tmp_path / "a" / "table.json").read_text())["entries"] == whole["entries"]


def test_published_numbers_are_whole() -> None:
    numbers = published()
    assert numbers["flexae/table1"]["FlexAE-SR"][0] == [7.63, 6.75]
    assert len(numbers) > 25


ENTRY = Entry("x", "fid", Figure(3.0, 0.1), "inception", "mnist", 10)


@pytest.mark.parametrize(
    "change, difference, reason",
    [
        ({}, None, "prints no number"),
        ({"published": 2.0, "published_by": "vgg16", "published_data": "mnist"}, None, "features"),
        ({"published": 2.0, "published_by": "inception", "published_data": "svhn"}, None, "data"),
        ({"published": 2.0, "published_by": "inception", "published_data": "mnist"}, 1.0, ""),
    ],
)
def test_a_difference_only_of_like_things(
    change: dict[str, object], difference: float | None, reason: str
) -> None:
    found, why = replace(ENTRY, **change).difference()  # type: ignore[arg-type]
    assert found == difference
    assert reason in why
