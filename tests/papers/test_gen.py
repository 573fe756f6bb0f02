"""GEN's tables and figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.conftest import Cli
from zspace import papers
from zspace.papers.base import Scale
from zspace.papers.entries import published

GEN: dict[str, dict[str, object]] = {
    "table1": {"dims": (2,), "samples": (250, 500), "trials": 2},
    "fig1": {"dims": (2,), "samples": (250,), "trials": 2},
    "table2": {"drawn": (1000,), "samples": (1000,), "seeds": 1, "iterations": 3},
    "fig3": {"labelled": 100, "iterations": 3, "options": {"centres": 200, "hidden": 16}},
    "fig4": {"digits": (1,), "iterations": 3},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, rows", [("table1", 4), ("fig1", 2), ("table2", 7), ("fig3", 2), ("fig4", 3)]
)
def test_gen(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    rows: int,
) -> None:
    experiment = papers.find(f"gen/{name}")
    scale = {"smoke": Scale(GEN[name], "tiny", "")}
    monkeypatch.setitem(papers.EXPERIMENTS, f"gen/{name}", replace(experiment, scales=scale))
    data: tuple[object, ...] = ()
    if experiment.data:
        data = ("--data-dir", request.getfixturevalue("real_data") / "mnist")
    status, _, err = cli(
        "reproduce",
        f"gen/{name}",
        "--scale=smoke",
        "--out",
        tmp_path / "o",
        "--quiet",
        "--device=cpu",
        *data,
    )
    assert status == 0, err
    stored = json.loads((tmp_path / "o" / "table.json").read_text())
    assert len(stored["entries"]) == rows
    pictures = {p.stem for p in (tmp_path / "o").glob("*.png")}
    assert pictures == {"fig3": {"fig3", "modes"}, "fig4": {"fig4-1"}, "table2": set()}.get(
        name, {name}
    )


@pytest.mark.slow
def test_gen_table3(tmp_path: Path, real_data: Path, cli: Cli) -> None:
    status, _, err = cli(
        "reproduce",
        "gen/table3",
        "--scale=smoke",
        "--out",
        tmp_path / "o",
        "--quiet",
        "--data-dir",
        real_data / "celeba-10k",
    )
    assert status == 0, err
    entries = json.loads((tmp_path / "o" / "table.json").read_text())["entries"]
    assert [e["what"] for e in entries] == ["AAE", "VAE", "GEN", "GEN, from its target"]
    assert all("other features" in e["reason"] for e in entries)


def test_every_published_number_of_gen_is_compared() -> None:
    """The tables' rows and columns are those of published.json."""
    from zspace.papers import gen

    for table, columns in (("gen/table1", gen.SAMPLES), ("gen/table2", gen.TABLE2)):
        rows = {name: row for name, row in published()[table].items() if name != "what"}
        assert all(len(row) == len(columns) for row in rows.values())


def test_separated_normals_are_white() -> None:
    from zspace.papers.gen.densities import separated

    for s in (0.0, 3.0, 6.0):
        mixture = separated(3, s)
        torch.testing.assert_close(mixture.deviation(), torch.ones(3))
        distance = (mixture.means[1] - mixture.means[0]).norm() / mixture.factors[0, 0, 0]
        assert float(distance) == pytest.approx(s)


def test_correlation_against_scipy() -> None:
    from scipy.stats import pearsonr

    from zspace.papers.gen.densities import correlation

    x, y = torch.randn(2, 30, generator=torch.Generator().manual_seed(0))
    assert correlation(x, x + y).value == pytest.approx(pearsonr(x, x + y).statistic)
