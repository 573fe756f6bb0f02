"""The experiments run, from the command line, at a size that proves nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Cli
from zspace import papers
from zspace.errors import InputError
from zspace.metrics import Figure
from zspace.papers.base import Entry, Scale, published, reproduce


@pytest.mark.parametrize("figure, rows", [("fig2", 3), ("fig3", 4)])
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
    with pytest.raises(InputError, match="unknown experiment"):
        papers.find("flexae")
