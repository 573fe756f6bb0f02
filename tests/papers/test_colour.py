"""Systems in colour at equal time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import small_run
from zspace.errors import InputError, ModelError
from zspace.generation.fit import fit_sampler
from zspace.options import checked, options_of
from zspace.papers import protocol, systems
from zspace.papers.colour import COLUMNS, EXPERIMENTS, SYSTEMS
from zspace.papers.lab import Lab, check_fit
from zspace.papers.protocol import System
from zspace.papers.systems import side_by_side
from zspace.recipes import find
from zspace.storage.run import Run


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
    lab = Lab(tmp_path, {"seconds": 100}, data="cifar10", device="cpu", protocol="budget")
    options: dict[str, Any] = {"iterations": 50_000, "first_iterations": 10_000, "width": 3}
    found = protocol.settled(lab, "it", SYSTEMS["latent-flow"], options)
    assert found == {"iterations": 2000, "first_iterations": 400, "width": 3}
    kept = json.loads((tmp_path / "protocol.json").read_text())
    assert kept == {"it": {"device": "cpu", "seconds per iteration": 0.05}}
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
    (why,) = (note for note in lab.notes if "has no figures of samples: class " in note)
    assert "the judge of the image space passes" in why
    assert "No samples are shown of ReGene: its first training gave none" in lab.notes
    assert any("biased" in note for note in lab.notes)
    assert (tmp_path / "both.png").stat().st_size > 0


def test_of_some_trainings_alone_there_are_figures_of_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = systems.measure

    def drawn(held: Any, **options: Any) -> Any:
        if options["samplers"] and held.run.config["seed"] == failing:
            raise ModelError("too few pass")
        return measure(held, **options)

    monkeypatch.setattr(systems, "measure", drawn)
    options = {"width": 4, "latent_dim": 4, "iterations": 1, "batch_size": 16}
    for failing in (0, 1):
        lab = Lab(
            tmp_path / str(failing),
            {"seeds": 3, "n": 60, "features": "pixels"},
            data="digits",
            protocol="defaults",
            quiet=True,
            shelf=tmp_path / "runs",
        )
        entries = side_by_side(lab, "one", {"AE": (System("ae", "normal"), options)}, COLUMNS)
        repeats = {e.measure: e.repeats for e in entries}
        assert repeats.pop("Frechet, reconstructed") == 3
        assert set(repeats.values()) == {2}
        assert {e.measure for e in entries} == {*COLUMNS}
        assert sum("too few pass" in note for note in lab.notes) == 1


def test_a_sampler_of_other_options_is_not_taken_from_a_shared_run(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    check_fit(Run(run), "mixture")
    fit_sampler(run, "mixture")
    check_fit(Run(run), "mixture")
    fit_sampler(run, "mixture", {"components": 1})
    with pytest.raises(InputError, match=r"mixture.* was fitted with --components 1, where"):
        check_fit(Run(run), "mixture")
    fit_sampler(run, "convex", {"combine": 3})
    with pytest.raises(InputError, match="--combine 3"):
        check_fit(Run(run), "convex")
