"""Stored evaluations: joined, current, damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli
from zspace.errors import InputError
from zspace.evaluation import evaluate as evaluation_module
from zspace.evaluation.diagnose import Finding, diagnose
from zspace.evaluation.evaluate import evaluate
from zspace.evaluation.measurement import Measurement, Subject
from zspace.evaluation.results import current_evaluation, read_evaluation, write_evaluation
from zspace.generation.fit import fit_sampler

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


QUICK = ["--device=cpu", "--quiet"]


@pytest.fixture
def run(runs: dict[str, Path], tmp_path: Path) -> Path:
    """A run of its own, to write into."""
    shutil.copytree(runs["vae"], tmp_path / "vae")
    return tmp_path / "vae"


BROKEN: list[dict[str, Any]] = [
    {"data": 5},
    {"notes": 5},
    {"versions": []},
    {"n": "many"},
    {"rows": {}},
    {"rows": []},
    {"rows": [{}]},
    {"rows": [{"subject": 5, "kind": "generation", "figures": {}}]},
    *(
        {"rows": [{"subject": "a", "kind": "generation", "figures": {"fid": figure}}]}
        for figure in (
            {"value": "12", "error": 1},
            {"value": True, "error": 1},
            {"value": 1},
            {"value": 1, "error": 1, "features": ["a"]},
            5,
        )
    ),
]


def test_a_damaged_evaluation_is_named(run: Path, refused: Callable[..., str]) -> None:
    whole = evaluate(run, n=50, metrics=["mse"], device="cpu")
    for text in ("{", "[]", "null", *(json.dumps({**whole, **change}) for change in BROKEN)):
        (run / "evaluation.json").write_text(text)
        with pytest.raises(InputError, match=r"evaluation.json is damaged: .*: remove it"):
            read_evaluation(run)
    assert "evaluation.json is damaged" in refused("compare", run, "--quiet")
    assert "evaluation.json is damaged" in refused("report", run, "--quiet")
    # evaluating anew replaces it
    write_evaluation(run, whole)
    assert read_evaluation(run) is not None


def test_a_few_figures_join_those_that_are_there(run: Path, cli: Cli) -> None:
    options = ["--n=60", *QUICK]
    assert cli("evaluate", run, "--metrics=mse", *options)[0] == 0
    assert current_evaluation(run) is None  # not whole
    assert cli("evaluate", run, *options)[0] == 0
    whole = read_evaluation(run)
    assert whole is not None
    assert current_evaluation(run) == whole
    assert cli("evaluate", run, "--metrics=fid-inf", *options)[0] == 0
    more = current_evaluation(run)
    assert more is not None
    for old, new in zip(whole["rows"], more["rows"], strict=True):
        assert old["figures"].items() <= new["figures"].items()
    assert "fid-inf" in more["rows"][0]["figures"]
    # of another seed: no part of the same measurement
    assert cli("evaluate", run, "--metrics=mse", "--seed=1", *options)[0] == 0
    assert current_evaluation(run) is None


def test_figures_of_an_earlier_fit_of_a_sampler_are_gone(run: Path, cli: Cli) -> None:
    def fit(components: int) -> None:
        fitted = ["fit-sampler", run, "--sampler=mixture", f"--components={components}"]
        assert cli(*fitted, *QUICK)[0] == 0

    def figures() -> dict[str, set[str]]:
        held = read_evaluation(run)
        assert held is not None
        return {row["subject"]: {*row["figures"]} for row in held["rows"]}

    options = ["--n=60", "--features=pixels", *QUICK]
    fit(3)
    assert cli("evaluate", run, "--metrics=fid", *options)[0] == 0
    fit(3)  # the same once more
    assert cli("evaluate", run, "--metrics=code-fid", *options)[0] == 0
    assert {"fid", "code-fid"} <= figures()["mixture"]
    assert current_evaluation(run, metrics=["fid"]) is not None
    fit(2)
    assert current_evaluation(run, metrics=["fid"]) is None
    assert cli("evaluate", run, "--metrics=code-fid", *options)[0] == 0
    assert figures()["mixture"] == {"code-fid"}
    assert {"fid", "code-fid"} <= figures()["prior"]  # the model's own has no fit


def test_a_sampler_that_was_fitted_since_makes_an_evaluation_incomplete(run: Path) -> None:
    write_evaluation(run, evaluate(run, n=60, features="pixels", device="cpu"))
    assert current_evaluation(run) is not None
    fit_sampler(run, "normal")
    assert current_evaluation(run) is None
    write_evaluation(run, evaluate(run, n=60, features="pixels", device="cpu"))
    assert current_evaluation(run) is not None


def test_what_is_damaged_or_fails_is_left_out_and_named(
    run: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_sampler(run, "normal")
    fit_sampler(run, "kde")
    kde = run / "samplers" / "kde.safetensors"
    kde.write_bytes(kde.read_bytes()[:-5])

    def fails(measurement: Measurement, subject: Subject) -> list[Finding]:
        if subject.name == "normal":
            raise InputError("too few images for a diagnosis")
        return diagnose(measurement, subject)

    monkeypatch.setattr(evaluation_module, "diagnose", fails)
    found = evaluate(run, n=60, features="pixels", device="cpu")
    told = "\n".join(found["notes"])
    assert "the sampler kde is left out: " in told
    assert "normal is not diagnosed: too few images for a diagnosis" in told
    generated = [row for row in found["rows"] if row["kind"] == "generation"]
    assert [row["subject"] for row in generated] == ["prior", "normal"]
    assert ["faults" in row for row in generated] == [True, False]
    # the reason stands in for figures, and a report has the others' pictures
    write_evaluation(run, found)
    assert current_evaluation(run) is not None
    assert cli("report", run, "--n=60", "--features=pixels", *QUICK)[0] == 0
    assert "samples: normal" in (run / "report.html").read_text()
