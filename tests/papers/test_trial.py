"""Every experiment, as the command runs it, at the scale `trial`."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli
from tests.papers.smoke import claims_name_what_it_measures
from tests.papers.trial import EXPECTED, INCOMPLETE, ROWS, SIDE_BY_SIDE, UNNAMED, data_of, trial_of
from zspace import api, execution, papers
from zspace.papers.samplers import tables

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained runs that the experiments share."""
    return tmp_path_factory.mktemp("shelf")


def untimed(stored: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in stored["entries"] if not entry["measure"].endswith(", s")]


def refusing(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the same signature that must not be called."""

    @wraps(function)
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError(f"{function.__name__} was called again")

    return refuse


@pytest.mark.usefixtures("small_sets")
@pytest.mark.parametrize("name", papers.EXPERIMENTS)
def test_an_experiment_runs_and_does_so_again_without_training(
    name: str,
    cli: Cli,
    celeba: Path,
    anime: Path,
    shelf: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experiment, out = papers.find(name), tmp_path / "o"
    data = data_of(experiment)
    folder = (
        anime
        if name in ("regene/fig11", "lsrgan/imagenet")
        else celeba
        if data == "celeba"
        else None
    )
    few = {"train_size": 80} if folder else {}
    monkeypatch.setattr(execution, "MEASURED", 0.02)
    # those of a trained run are tested with the recipes, and cost more than these trainings
    monkeypatch.setattr(execution.pictures, "draw", lambda *_, **__: None)
    monkeypatch.setitem(papers.EXPERIMENTS, name, trial_of(experiment, **few))
    command = ["reproduce", name, "--scale=trial", "--quiet", "--device=cpu"]
    command += [] if data is None else [f"--data={data}"]
    command += [] if folder is None else [f"--data-dir={folder}"]
    status, first, err = cli(*command, "--out", out, "--runs", shelf)
    assert status == 0, err
    assert "ours is of" in first
    entries, trainings, pictures = EXPECTED[name]
    stored = json.loads((out / "table.json").read_text())
    assert stored["reductions"] == "a trial"
    assert len(stored["entries"]) == entries
    assert len(set(stored["runs"])) == trainings
    assert sorted(p.stem for p in out.glob("*.png")) == pictures.split()
    numbers = [entry["ours"]["value"] is not None for entry in stored["entries"]]
    assert any(numbers)
    assert all(numbers) == (name not in INCOMPLETE)
    if name not in UNNAMED:
        claims_name_what_it_measures(experiment, out)
    table = (out / "table.md").read_text()
    assert f"Made by `zspace reproduce {name} --scale trial" in table
    assert all(f"| {row} |" in table for row in ROWS.get(name, ()))
    if name in ("flexae/fig2", "flexae/fig3"):
        assert "the paper prints no number" in table
        assert all(entry["ours"]["value"] > 0 for entry in stored["entries"])
    if name.startswith("flexae/"):  # of other data, or of fewer pixels
        assert all(entry["published"] is None for entry in stored["entries"])
    if name in SIDE_BY_SIDE:
        lines = (out / f"{experiment.name.split('/')[1]}.md").read_text().splitlines()
        cells = [line.split(" | ")[0] for line in lines if line.startswith("| ")]
        assert cells[2:] == [f"| {system}" for system in SIDE_BY_SIDE[name]]
    assert stored.get("protocol", "") == next(iter(experiment.scales["smoke"].protocols), "")

    for function in (api.train, api.resume):
        monkeypatch.setattr(api, function.__name__, refusing(function))
    if name == "all/colour-samplers":  # it searches once, too
        monkeypatch.setattr(tables, "tune", refusing(tables.tune))
    status, second, err = cli(*command, "--out", out, "--runs", shelf)
    assert status == 0, err
    again = json.loads((out / "table.json").read_text())
    assert untimed(again) == untimed(stored)
    if untimed(stored) == stored["entries"]:
        assert first.split("This call")[0] == second.split("This call")[0]


def test_every_experiment_has_its_trial() -> None:
    assert list(EXPECTED) == list(papers.EXPERIMENTS)
