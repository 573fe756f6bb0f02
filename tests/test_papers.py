"""The experiments run, from the command line, at a size that proves nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.conftest import Cli
from zspace import papers
from zspace.errors import InputError
from zspace.metrics import Figure
from zspace.papers.base import Entry, Scale, published, reproduce


@pytest.mark.parametrize("figure, rows", [("fig2", 6), ("fig3", 8)])
def test_flexae_figures(tmp_path: Path, cli: Cli, figure: str, rows: int) -> None:
    name, out = f"flexae/{figure}", tmp_path / figure
    scale = {"smoke": Scale({"iterations": 6, "checkpoints": 2}, "6 iterations", "")}
    small = replace(papers.find(name), scales=scale)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(papers.EXPERIMENTS, name, small)
        arguments = ("reproduce", name, "--scale=smoke", "--out", out, "--quiet", "--device=cpu")
        status, first, err = cli(*arguments)
        assert status == 0, err
        models = {p: p.stat().st_mtime_ns for p in out.glob("runs/*/model.safetensors")}
        assert models
        # the second call reads what the first has trained
        status, second, err = cli(*arguments)
        assert status == 0, err
        assert models == {p: p.stat().st_mtime_ns for p in out.glob("runs/*/model.safetensors")}
    stored = json.loads((out / "table.json").read_text())
    assert len(stored["entries"]) == rows
    assert all(e["ours"]["value"] > 0 for e in stored["entries"])
    assert stored["reductions"] == "6 iterations"
    assert (out / f"{figure}.png").exists()
    assert "the paper prints no number" in (out / "table.md").read_text()
    assert first.split("This call")[0] == second.split("This call")[0]


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


def test_what_reproduce_refuses(tmp_path: Path, refused: Callable[..., str]) -> None:
    out = f"--out={tmp_path / 'out'}"
    assert "did you mean 'flexae/fig3'" in refused("reproduce", "flexae/fig33", out)
    assert "unknown scale 'huge'" in refused("reproduce", "flexae/fig3", "--scale=huge", out)
    assert "no --data" in refused("reproduce", "flexae/fig3", "--data=mnist", out)
    assert "name is missing" in refused("reproduce")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("mine")
    assert "holds no experiment" in refused("reproduce", "flexae/fig3", out)
    (tmp_path / "out" / "experiment.json").write_text("{}")
    assert "holds another experiment" in refused("reproduce", "flexae/fig3", out)
    assert not (tmp_path / "out" / "runs").exists()


def test_the_list_names_every_experiment(cli: Cli) -> None:
    status, out, _ = cli("reproduce", "--list")
    assert status == 0
    assert all(name in out for name in papers.EXPERIMENTS)
    assert out.count("run here: ") == len(papers.EXPERIMENTS)
    assert papers.RAN.keys() <= papers.EXPERIMENTS.keys()
    with pytest.raises(InputError, match="unknown experiment"):
        papers.find("flexae")


def spread(text: str) -> set[int]:
    """The numbers of "1", "2 and 3" or "4 to 6"."""
    first, *last = (int(n) for n in re.findall(r"\d+", text))
    return set(range(first, (last[0] if last else first) + 1))


ALL = {
    # Figure 1 of FlexAE, 1 and 2 of ReGene and 7 of LSR-GAN show no result
    "FlexAE": ({1, 2, 3, 4}, set(range(2, 20))),
    "GEN": ({1, 2, 3}, {1, 2, 3, 4}),
    "ReGene": ({1, 2, 3, 4}, set(range(3, 18)) - {15}),
    "Categorical generation": ({4}, {1}),
    "LSR-GAN": ({1, 2}, {1, 2, 3, 4, 5, 6, 8, 9}),
}
"""Tables and figures of results in the five papers, by their numbers."""


@pytest.mark.parametrize("paper", ALL)
def test_every_table_and_figure_of_the_papers_is_a_command(paper: str) -> None:
    said = " ".join(e.about for e in papers.EXPERIMENTS.values() if e.about.startswith(paper))
    tables, figures = ALL[paper]
    for kind, wanted in (("Table", tables), ("Figure", figures)):
        found = re.findall(rf"{kind}s? (\d+(?: (?:and|to) \d+)?)", said)
        assert wanted <= set().union(*map(spread, found)), kind


GEN: dict[str, dict[str, object]] = {
    "table1": {"dims": (2,), "samples": (250, 500), "trials": 2},
    "fig1": {"dims": (2,), "samples": (250,), "trials": 2},
    "table2": {"drawn": (1000,), "samples": (1000,), "seeds": 1, "iterations": 3},
    "fig3": {"labelled": 100, "iterations": 3, "options": {"centres": 200, "hidden": 16}},
    "fig4": {"digits": (1,), "iterations": 3},
}


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
