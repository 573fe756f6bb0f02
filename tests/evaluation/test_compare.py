"""Comparisons mark ties and refuse what can't be compared."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import pytest

from zspace.errors import InputError
from zspace.evaluation.compare import compare, over_seeds, tidy
from zspace.metrics import Figure
from zspace.metrics.figure import tied

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


def evaluation(name: str, fid: float, error: float = 1.0, **change: Any) -> dict[str, Any]:
    figure = {"value": fid, "error": error, "features": "inception", "uncertainty": ""}
    base = {
        "run": f"runs/{name}",
        "recipe": "ae",
        "configuration": "c",
        "data": "mnist",
        "test": "t1",
        "reference": "r1",
        "n": 100,
        "seed": 0,
        "features": "inception",
        "features_identity": "aaaaaaaa",
        "model": f"weights of {name}",
        "checkpoint": "last",
        "notes": [],
        "versions": {},
        "rows": [{"subject": "prior", "kind": "generation", "figures": {"fid": figure}}],
    }
    return {**base, **change}


def figures(names: list[str]) -> dict[str, Any]:
    return {name: {"value": 1.0, "error": 0.5, "uncertainty": ""} for name in names}


def test_the_best_is_bold_only_if_nothing_is_level_with_it() -> None:
    alone = compare([evaluation("a", 30), evaluation("b", 10)])[0]
    assert [row[1] for row in alone.rows] == ["30.0 ± 1.0", "**10.0 ± 1.0**"]
    table = compare([evaluation("a", 30), evaluation("b", 10), evaluation("c", 12)], sort="fid")[0]
    assert table.header == ["run", "fid (inception) ↓"]
    assert [row[0] for row in table.rows] == ["b: prior", "c: prior", "a: prior"]
    assert [row[1] for row in table.rows] == ["10.0 ± 1.0 =", "12.0 ± 1.0 =", "30.0 ± 1.0"]
    assert tied(Figure(1, 0), Figure(1, 0))
    assert not tied(Figure(1, 0.1), Figure(1.3, 0.1))
    assert not tied(Figure(1, math.nan), Figure(1.3, 0.1))  # an unknown error adds nothing


def test_the_mean_over_seeds() -> None:
    runs = [evaluation(name, fid) for name, fid in (("a", 10), ("b", 12), ("c", 14))]
    other = evaluation("d", 50, configuration="other", recipe="vae")
    table = compare(over_seeds([*runs, other]), sort="fid")[0]
    # standard deviation 2, of three
    assert [list(row) for row in table.rows] == [
        ["ae, 3 seeds: prior", f"**{Figure(12, 2 / 3**0.5)}**"],
        ["d: prior", "50.0 ± 1.0"],
    ]
    with pytest.raises(InputError, match="differ by their seeds alone"):
        over_seeds([runs[0], other])
    with pytest.raises(InputError, match="runs/a and runs/copy have the same weights"):
        over_seeds([*runs, {**runs[0], "run": "runs/copy"}])
    with pytest.raises(InputError, match="differ by their seeds alone"):
        over_seeds([runs[0], {**runs[1], "checkpoint": "100"}])


@pytest.mark.parametrize(("apart", "marked"), [(2.7, False), (2.9, True)])
def test_means_over_few_seeds_are_marked_by_students_t(apart: float, marked: bool) -> None:
    # of three trainings each, with the same deviation: 4 degrees of freedom, 2.776 errors
    error = 1 / 3**0.5
    far = 10 + apart * error * 2**0.5
    runs = [evaluation(f"a{i}", 10 + i) for i in (-1, 0, 1)]
    runs += [evaluation(f"b{i}", far + i, configuration="other") for i in (-1, 0, 1)]
    cells = [row[1] for row in compare(over_seeds(runs))[0].rows]
    near, other = Figure(10, error), Figure(far, error)
    assert cells == ([f"**{near}**", str(other)] if marked else [f"{near} =", f"{other} ="])


def test_two_extractors_never_share_a_column() -> None:
    other = evaluation("b", 10, features="classifier cnn", features_identity="b")
    other["rows"][0]["figures"]["fid"]["features"] = "classifier cnn"
    table = compare([evaluation("a", 30), other])[0]
    assert table.header[1:] == ["fid (inception) ↓", "fid (classifier cnn) ↓"]
    assert [list(row[1:]) for row in table.rows] == [["30.0 ± 1.0", ""], ["", "10.0 ± 1.0"]]
    # one name, two networks
    table = compare([evaluation("a", 30), evaluation("b", 3, features_identity="cccccccc")])[0]
    assert table.header[1:] == ["fid (inception aaaaaa) ↓", "fid (inception cccccc) ↓"]


def test_the_usual_figures_are_shown_unless_others_are_named() -> None:
    names = ["coverage", "density", "f8", "fid", "pms"]  # as a stored evaluation has them
    generated = {"subject": "prior", "kind": "generation", "figures": figures(names)}
    coded = {"subject": "codes", "kind": "codes", "figures": figures(["entropy", "active"])}
    held = evaluation("a", 1, rows=[generated, coded])

    def shown(**options: Any) -> list[list[str]]:
        tables = compare([held], **options)
        return [[name.split(" ")[0] for name in table.header[1:]] for table in tables]

    assert shown() == [["fid", "f8", "pms"], ["entropy", "active"]]
    assert shown(sort="density") == [["fid", "f8", "pms", "density"], ["entropy", "active"]]
    assert shown(columns=["pms", "fid"]) == [["pms", "fid"]]
    every = [["fid", "f8", "density", "coverage", "pms"], ["entropy", "active"]]
    assert shown(columns=["all"]) == every


def test_runs_that_can_not_be_compared() -> None:
    a = evaluation("a", 3)
    with pytest.raises(InputError, match=r"different data \(mnist and svhn\)"):
        compare([a, evaluation("b", 4, data="svhn", test="t2")])
    with pytest.raises(InputError, match="n = 100, runs/b on n = 50"):
        compare([a, evaluation("b", 4, n=50)])
    with pytest.raises(InputError, match=r"different test images .seeds 0 and 2."):
        compare([a, evaluation("b", 4, reference="r2", seed=2)])
    with pytest.raises(InputError, match="unknown figure 'fdi': did you mean 'fid'"):
        compare([a], sort="fdi")
    with pytest.raises(InputError, match="no run to compare"):
        compare([])


def row(name: str, value: float, **more: Any) -> dict[str, Any]:
    figure = {"value": value, "error": 1.0, "features": "inception", "uncertainty": ""}
    return {"subject": name, "kind": "generation", "n": 100, "figures": {"fid": figure}, **more}


def test_what_was_told_of_a_run_is_told_of_the_comparison() -> None:
    biased = evaluation("a", 3, notes=["biased upwards", "left out"])
    (table,) = compare([biased, evaluation("b", 4, notes=["biased upwards"])])
    assert list(table.notes[1:]) == ["biased upwards", "left out (a)"]


def test_what_looks_wrong_is_marked_beside_the_best_figure() -> None:
    noisy = evaluation("noise", 0, rows=[row("prior", 3, faults=["support", "sharpness"])])
    fine = evaluation("fine", 0, rows=[row("prior", 9, faults=[])])
    old = evaluation("old", 0, rows=[row("prior", 9)])
    (table,) = compare([noisy, fine, old])
    assert table.header[-1] == "looks wrong"
    assert [r[-1] for r in table.rows] == ["! support, ! sharpness", "", ""]
    assert "'zspace diagnose'" in table.notes[1]
    (table,) = compare([fine, old])
    assert table.header[-1] != "looks wrong"


def test_a_tidy_table_has_plain_numbers() -> None:
    table = tidy(
        [
            evaluation("a", 0, rows=[row("prior", 1 / 3, faults=["support"]), row("normal", 2)]),
            evaluation("b", 5, 0.25),
        ]
    )
    lines = list(csv.DictReader(io.StringIO(table.csv())))
    assert [line["run"] for line in lines] == ["a", "a", "b"]
    assert float(lines[0]["value"]) == 1 / 3
    assert float(lines[2]["error"]) == 0.25
    assert lines[0] == {
        "table": "generation",
        "run": "a",
        "subject": "prior",
        "figure": "fid",
        "features": "inception",
        "value": repr(1 / 3),
        "error": "1.0",
        "better": "lower",
        "n": "100",
        "data": "mnist",
        "seed": "0",
        "looks wrong": "support",
    }
    assert tidy([evaluation("a", 1)], ["mse"]).rows == []


def test_faults_and_notes_of_every_seed_are_kept() -> None:
    seeds = [
        evaluation("a", 0, rows=[row("prior", 3, faults=[])], notes=["biased"]),
        evaluation("b", 0, rows=[row("prior", 4, faults=["support"])], notes=["left out"]),
    ]
    (merged,) = over_seeds(seeds)
    assert merged["rows"][0]["faults"] == ["support"]
    assert merged["notes"] == ["biased", "left out"]


def test_a_sampler_that_a_seed_lacks_is_named_whichever_comes_first() -> None:
    whole = evaluation("a", 0, rows=[row("prior", 3), row("kde", 5)])
    short = evaluation("b", 0, rows=[row("prior", 4)])
    for pair in ([whole, short], [short, whole]):
        (merged,) = over_seeds(pair)
        assert [r["subject"] for r in merged["rows"]] == ["prior"]
        assert merged["notes"] == ["not every run of ae has figures of kde"]


def test_runs_of_several_seeds_must_be_measured_alike() -> None:
    pair = [evaluation("a", 10), evaluation("b", 30, n=10)]
    with pytest.raises(InputError, match="was measured on n = 100, runs/b on n = 10"):
        over_seeds(pair)


def test_nothing_is_best_where_errors_are_unknown() -> None:
    pair = [evaluation("a", 30), evaluation("b", 10, error=math.nan)]
    assert [row[1] for row in compare(pair)[0].rows] == ["30.0 ± 1.0", "10"]
