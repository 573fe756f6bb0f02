"""GEN's tables and figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.conftest import Cli
from zspace import papers
from zspace.papers.base import Lab, Scale
from zspace.papers.entries import published

GEN: dict[str, dict[str, object]] = {
    "table1": {"dims": (2,), "samples": (250, 500), "trials": 2},
    "fig1": {"dims": (2,), "samples": (250,), "trials": 2},
    "table2": {
        "drawn": (1000,),
        "samples": (1000,),
        "rates": (2e-4, 1e-3),
        "seeds": 2,
        "iterations": 3,
    },
    "lambda": {
        "weights": {"GEN": (0.01, 0.1), "AAE": (1.0,)},
        "rate": 1e-3,
        "train_size": 400,
        "seeds": 1,
        "iterations": 3,
    },
    "fig3": {"labelled": 100, "iterations": 3, "options": {"centres": 200, "hidden": 16}},
    "fig4": {"digits": (1,), "iterations": 3},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, rows",
    [("table1", 4), ("fig1", 2), ("table2", 25), ("lambda", 13), ("fig3", 2), ("fig4", 3)],
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


@pytest.mark.usefixtures("small_sets")
def test_table2_measures_training_and_test_codes_at_each_rate(tmp_path: Path) -> None:
    from zspace.papers.gen.entropy import table2

    settings = {"drawn": (1000,), "samples": (1000,), "rates": (2e-4, 1e-3), "seeds": 2}
    lab = Lab(tmp_path, {**settings, "iterations": 2}, "mnist", device="cpu", quiet=True)
    entries = {(e.what, e.measure): e for e in table2(lab)}
    assert len(lab.runs) == 12
    normal = entries["Standard Normal, n = 1000", "entropy, nats"]
    assert normal.uncertainty == "deviation over 20 sets"
    for name, theirs in (("AAE", 6.552), ("VAE", 10.478), ("GEN", 11.681)):
        for rate in ("0.0002", "0.001"):
            found = {
                part: entries[f"{name}, n = 1000, {part} codes, rate {rate}", "entropy, nats"]
                for part in ("training", "test")
            }
            assert found["training"].ours.value != found["test"].ours.value
            assert [e.data for e in found.values()] == ["mnist train", "mnist test"]
            for entry in found.values():
                assert entry.uncertainty == "deviation over 2 trainings"
                assert (entry.n, entry.published, entry.difference()[1]) == (1000, theirs, "")
