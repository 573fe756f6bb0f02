"""The samplers' own comparisons."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.papers.smoke import reproduced
from zspace.metrics import Figure
from zspace.papers.cells import Cells
from zspace.papers.lab import Lab
from zspace.papers.samplers.cells import DENSITY
from zspace.papers.samplers.tables import entries_of


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")
def test_an_experiment_runs_at_smoke(cli: Cli, tmp_path: Path) -> None:
    reproduced(cli, "all/steps", tmp_path / "o")


def test_nothing_is_left_of_a_comparison_without_its_data(cli: Cli, tmp_path: Path) -> None:
    name, there, out = "all/colour-samplers", tmp_path / "nowhere", tmp_path / "o"
    options = ("--scale=small", "--data=celeba", "--data-dir", there, "--out", out)
    status, _, err = cli("reproduce", name, *options, "--quiet", "--device=cpu")
    assert (status, f"--data-dir {there} is no folder" in err) == (2, True)
    assert [*tmp_path.iterdir()] == []


def test_a_comparison_that_was_stopped_measures_nothing_twice(tmp_path: Path) -> None:
    lab, later = Lab(tmp_path, {}), Lab(tmp_path, {})
    calls: list[int] = []

    def measure() -> dict[str, Figure]:
        calls.append(1)
        lab.note("it is biased")
        lab.runs.append("ae-1")
        time.sleep(0.2)
        return {"Frechet": Figure(2.5, 0.5), "fit, s": Figure(3.0, math.nan)}

    lab.note("before")
    first = Cells(lab).of("a", measure)
    assert lab.notes == ["before", "it is biased"]
    again = Cells(later).of("a", measure)
    assert len(calls) == 1
    # the table says the same, however often it was interrupted
    assert (later.notes, later.runs) == (["it is biased"], ["ae-1"])
    # and how long it took is counted for the call that finds it, not for the one that measures it
    assert lab.seconds_before == 0.0
    assert later.seconds_before >= 0.2
    assert again["Frechet"] == first["Frechet"] == Figure(2.5, 0.5)
    assert again["fit, s"].value == 3.0


def test_a_deviation_over_fits_is_named_so() -> None:
    figures = {"Frechet": Figure(2.5, 0.5)}
    found = {"normal": figures, "(reconstructions)": figures}
    three, one = entries_of("AE", found, 3, "features", "digits", 10, {})
    others = {"normal": {"PMS": Figure(1.0, 0.1), DENSITY: Figure(2.0, 0.1)}}
    pms, density = entries_of("AE", others, 3, "features", "digits", 10, {DENSITY: 5})
    assert (pms.by, pms.n, density.by, density.n) == ("pixels", 10, "codes", 5)
    assert three.uncertainty == "deviation over 3 fits"
    assert one.uncertainty == "error of the measurement"
    (single,) = entries_of("AE", {"normal": figures}, 1, "features", "digits", 10, {})
    assert single.uncertainty == "error of the measurement"
