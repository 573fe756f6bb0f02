"""Systems in colour at equal time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zspace.options import checked, options_of
from zspace.papers import protocol
from zspace.papers.base import Lab
from zspace.papers.colour import COLUMNS, EXPERIMENTS, SYSTEMS
from zspace.papers.protocol import System
from zspace.papers.systems import side_by_side
from zspace.recipes import find


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("scale", ["smoke", "small"])
def test_every_systems_options_are_its_recipes(name: str, scale: str) -> None:
    own = options_of(find(SYSTEMS[name].recipe))
    shared = EXPERIMENTS[0].scales[scale].settings["options"]
    given = {**SYSTEMS[name].options, **{k: v for k, v in shared.items() if k in own}}
    assert checked(own, given)
    assert "iterations" in given


def test_a_budget_scales_all_stages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(protocol, "seconds_per_iteration", lambda *_: 0.05)
    lab = Lab(tmp_path, {"seconds": 100}, data="cifar10", protocol="budget")
    options: dict[str, Any] = {"iterations": 50_000, "first_iterations": 10_000, "width": 3}
    found = protocol.settled(lab, "it", SYSTEMS["latent-flow"], options)
    assert found == {"iterations": 2000, "first_iterations": 400, "width": 3}
    kept = json.loads((tmp_path / "protocol.json").read_text())
    assert kept == {"it": {"seconds per iteration": 0.05}}
    monkeypatch.setattr(protocol, "seconds_per_iteration", lambda *_: pytest.fail("timed again"))
    assert protocol.settled(lab, "it", SYSTEMS["latent-flow"], options) == found
    assert lab.more["protocol of each system"] == kept


def test_a_system_that_can_generate_nothing_keeps_its_other_figures(tmp_path: Path) -> None:
    # a decoder of one iteration draws nothing that the classifier would pass
    settings = {"seeds": 1, "n": 60, "features": "pixels"}
    lab = Lab(tmp_path, settings, data="digits", protocol="defaults", quiet=True)
    few: dict[str, Any] = {"width": 4, "iterations": 1, "batch_size": 16}
    own = {**few, "iterations": 61, "classifier_iterations": 60, "perceptual": 0.0}
    compared = {
        "ReGene": (System("regene", "convex"), own),
        "AE": (System("ae", "normal"), {**few, "latent_dim": 4}),
    }
    entries = side_by_side(lab, "both", compared, COLUMNS)
    found = {(e.what, e.measure) for e in entries}
    assert {measure for what, measure in found if what == "ReGene"} == {"Frechet, reconstructed"}
    assert {measure for what, measure in found if what == "AE"} == {*COLUMNS}
    shown, without = lab.more["notes"]
    assert shown.startswith("No samples are shown of ReGene: class ")
    assert "the judge of the image space passes" in shown
    assert without.startswith("ReGene has no figures of samples")
    assert (tmp_path / "both.png").stat().st_size > 0
