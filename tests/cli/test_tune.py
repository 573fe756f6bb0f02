"""`zspace tune`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import zspace
from tests.conftest import SMALL, Cli, sampler_of
from zspace import api
from zspace.core import codes
from zspace.generation.fit import fit_sampler
from zspace.generation.tuning import search
from zspace.generation.tuning.search import tune
from zspace.samplers import as_text
from zspace.storage.run import Run


@pytest.fixture
def run(told_apart: Path, tmp_path: Path) -> Path:
    shutil.copytree(told_apart, tmp_path / "run")
    return tmp_path / "run"


def test_tune_stores_a_sampler_that_sample_uses(
    run: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FRESH", 50)
    for name in ("simple", "medium1", "medium2"):
        status, out, err = cli(
            "tune",
            run,
            "--sampler",
            name,
            "--trials",
            44,
            "--samples",
            20,
            "--device=cpu",
            "--search=descent",
        )
        assert status == 0, err
        assert f"{name}, found in 44 trials: theta" in out
        assert "below 0.97: what it says of generated images is as uncertain" in err
        stored = json.loads((run / "tuning" / f"{name}.json").read_text())
        assert stored["trials"] == 44
        assert len(stored["cosine"]) == 10
        fitted, theta = sampler_of(run, name, zspace.load(run)), stored["options"]["theta"]
        text = as_text(fitted.theta.tolist())  # type: ignore[union-attr, operator]
        assert text == (f"{theta:g}" if name == "simple" else theta)
        status, _, err = cli(
            "sample",
            run,
            "--sampler",
            name,
            "--label",
            7,
            "--n",
            5,
            "--out",
            tmp_path / f"{name}.npz",
            "--device=cpu",
        )
        assert status == 0, err
        assert np.load(tmp_path / f"{name}.npz")["images"].shape == (5, 8, 8)
    # another search of the same kind is another one
    values = [
        tune(run, "medium1", trials=30, samples=20, seed=s, device="cpu").value for s in (0, 1)
    ]
    assert values[0] != values[1]


def test_what_can_not_be_tuned(
    run: Path, runs: dict[str, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    assert "unknown sampler to tune 'normal'" in refused("tune", run, "--sampler=normal")
    assert "--min-accuracy must be above 0" in refused(
        "tune", run, "--sampler=simple", "--min-accuracy=1.5"
    )
    assert "--trials must be at least 1" in refused("tune", run, "--sampler=simple", "--trials=0")
    for samples in ("1", "1000001", "1" + "0" * 400):
        told = refused("tune", run, "--sampler=simple", f"--samples={samples}")
        assert "--samples from 2 to 1,000,000" in told
    assert "unknown search 'best'" in refused("tune", run, "--sampler=simple", "--search=best")
    assert "is no folder" in refused("tune", tmp_path / "x", "--sampler=simple")
    vectors = tmp_path / "v"
    zspace.train("ae", "mog2", out=vectors, iterations=2, device="cpu", **SMALL)
    assert "has no labelled images" in refused("tune", vectors, "--sampler=simple", "--device=cpu")
    status = refused(
        "tune",
        run,
        "--sampler=simple",
        "--storage=nosuch://x",
        "--quiet",
        "--samples=10",
        "--device=cpu",
    )
    assert "--storage 'nosuch://x' can't be used" in status
    assert "--storage '' can't be used" in refused(
        "tune", run, "--sampler=simple", "--storage=", "--quiet", "--device=cpu"
    )
    (run / "tuning").mkdir()
    (run / "tuning" / "trials.log").write_text("no journal\n")
    message = refused("tune", run, "--sampler=simple", "--quiet", "--samples=10", "--device=cpu")
    assert "trials.log can't be used" in message
    assert "remove it" in message


def test_an_accuracy_that_no_candidate_has(run: Path, refused: Callable[..., str]) -> None:
    message = refused(
        "tune",
        run,
        "--sampler=simple",
        "--min-accuracy=1",
        "--quiet",
        "--samples=50",
        "--trials=5",
        "--device=cpu",
    )
    assert "none of 5 candidates has accuracy 1 for every class" in message
    assert "more --trials" in message
    message = refused(
        "tune",
        run,
        "--sampler=simple",
        "--min-accuracy=1",
        "--quiet",
        "--samples=20",
        "--device=cpu",
    )
    assert "none of 44 candidates" in message
    assert "more --trials" not in message
    assert not (run / "samplers").exists()


def test_evaluate_asks_for_labels(run: Path, cli: Cli) -> None:
    fit_sampler(run, "simple", {"theta": 0.3})
    status, out, err = cli(
        "evaluate",
        run,
        "--metrics=accuracy",
        "--samplers=simple",
        "--features=classifier",
        "--quiet",
    )
    assert status == 0, err
    head, row = (
        next(line for line in out.splitlines() if name in line) for name in ("simple", "accuracy")
    )
    assert "±" in row.split("|")[head.split("|").index(" simple ")]


def test_theta_by_hand(run: Path, cli: Cli, refused: Callable[..., str]) -> None:
    assert "--theta must be at most 1, not 1.5" in refused(
        "fit-sampler", run, "--sampler=simple", "--theta=1.5"
    )
    assert "numbers in [0, 1]" in refused("fit-sampler", run, "--sampler=medium1", "--theta=0.5,2")
    status, _, err = cli("fit-sampler", run, "--sampler=medium1", "--theta=0,1")
    assert status == 0, err
    fitted = sampler_of(run, "medium1", zspace.load(run))
    z = codes(zspace.load(run), api.run_images(Run(run)).train.x)
    y = api.run_images(Run(run)).train.y
    drawn = fitted.sample(5000, 4)
    assert float(drawn[:, 0].std()) < 1e-4
    assert float(drawn[:, 1].std()) == pytest.approx(float(z[y == 4][:, 1].std()), rel=0.1)
    message = refused("sample", run, "--sampler=medium2", "--label=7", "--out=x.png")
    assert "medium2 has no theta: 'zspace tune RUN --sampler medium2'" in message
