"""`zspace bandwidth` and `zspace novelty`."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zspace
from tests.conftest import SMALL, Cli, small_run
from tests.samplers.shared import BRIEF
from zspace import api
from zspace.data.images import Part
from zspace.evaluation.novelty import Novelty, Scores, log_densities, novelty
from zspace.functional.sheets import PAPER
from zspace.generation.fit import fit_sampler


def test_a_bandwidth_out_of_reach_says_how_many_samples_would_do(
    cli: Cli, refused: Callable[..., str]
) -> None:
    status, out, _ = cli("bandwidth", "--dim=20", "--samples=30", "--trials=2")
    assert status == 0
    assert "out of reach" in out
    assert "h is below 1 from about" in out
    status, out, _ = cli("bandwidth", "--dim=2", "--samples=250", "--route=fixed-point")
    assert status == 0
    assert "did not settle in" in out
    assert "--dim must be at least 1" in refused("bandwidth", "--dim=0", "--samples=30")
    assert "--samples must be at least 2" in refused("bandwidth", "--dim=3", "--samples=1")
    assert "unknown route" in refused("bandwidth", "--dim=3", "--samples=30", "--route=up")


def test_novelty_of_a_run(tmp_path: Path, runs: dict[str, Path], cli: Cli) -> None:
    out = tmp_path / "scores.csv"
    status, text, err = cli("novelty", runs["gen"], "--label=1", "--out", out)
    assert status == 0, err
    assert "AUROC 0." in text
    assert out.with_suffix(".png").exists()
    with out.open() as file:
        rows = list(csv.DictReader(file))
    found = novelty(runs["gen"], label="1")
    assert len(rows) == len(found.part) == 359
    assert [r["label"] for r in rows[:3]] == [str(int(y)) for y in found.part.y[:3]]  # type: ignore[index]
    scores = np.array([float(r["score"]) for r in rows])
    np.testing.assert_allclose(scores, found.scores.score, atol=1e-5)
    parts = np.array([[float(r[k]) for k in ("latent", "volume", "residual")] for r in rows])
    np.testing.assert_allclose(scores, parts @ [-1, 1, -1], atol=1e-4)
    # images one by one: batches change nothing
    model = api.load(runs["gen"])
    alone = log_densities(model, found.part.x[5:6], model.samplers()["prior"], found.variance)  # type: ignore[arg-type]
    assert float(alone.score) == pytest.approx(float(found.scores.score[5]), rel=1e-4)


def test_images_are_called_images(runs: dict[str, Path], cli: Cli, tmp_path: Path) -> None:
    _, out, _ = cli("novelty", runs["vae"], "--out", tmp_path / "n.csv")
    assert "n.csv: -log p(x) of 359 images, by the density prior" in out
    assert "n.png: the most probable images on the left, the least on the right" in out


def test_nothing_on_the_picture_looks_like_a_black_image(tmp_path: Path) -> None:
    """Twelve white images make two blocks of three columns, with room between and below them."""
    part = Part(torch.full((12, 1, 8, 8), 255, dtype=torch.uint8))
    zeros = torch.zeros(12)
    scores = Scores(torch.arange(12.0), zeros, zeros, zeros)
    Novelty(scores, part, (), None, 1.0, 2, "prior").draw(tmp_path / "n.png")
    with Image.open(tmp_path / "n.png") as picture:
        assert set(np.unique(np.asarray(picture)).tolist()) == {PAPER[0], 255}


def test_novelty_by_a_fitted_density(tmp_path: Path, runs: dict[str, Path], cli: Cli) -> None:
    for density in ("normal", "mixture", "kde"):
        status, text, err = cli(
            "novelty", runs["ae"], "--density", density, "--out", tmp_path / "s.csv", "--quiet"
        )
        assert status == 0, err
        assert "AUROC" not in text


def test_known_labels_are_those_of_the_training(tmp_path: Path, cli: Cli) -> None:
    run = tmp_path / "r"
    zspace.train("vae", "digits", out=run, iterations=10, classes="3,8", device="cpu", **SMALL)
    out = tmp_path / "s.csv"
    status, text, err = cli("novelty", run, "--out", out)
    assert status == 0
    assert "no AUROC" in err
    status, text, err = cli("novelty", run, "--data=digits", "--out", out)
    assert status == 0, err
    assert "AUROC" in text
    assert "known against 2" in text


def test_what_novelty_refuses(
    tmp_path: Path, runs: dict[str, Path], refused: Callable[..., str]
) -> None:
    out = f"--out={tmp_path / 's.csv'}"
    assert "has no prior of known density" in refused("novelty", runs["ae"], out)
    assert "of known density" in refused("novelty", runs["flexae-sr"], out)
    assert "must be a .csv file" in refused("novelty", runs["gen"], "--out=s.txt")
    assert "unknown class 'x'" in refused("novelty", runs["gen"], "--label=x", out)
    assert "unknown part" in refused("novelty", runs["gen"], "--part=some", out)
    assert "unknown sampler" in refused("novelty", runs["gen"], "--density=flat", out)
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(200, 2)))
    run = tmp_path / "r"
    zspace.train("vae", str(tmp_path / "v.npy"), out=run, iterations=2, device="cpu", **SMALL)
    assert "codes of size 3 are larger than the data" in refused("novelty", run, out)
    assert "have no labels" in refused("novelty", run, "--label=1", out)
    assert list(tmp_path.glob("s*")) == []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("learned") / "run")


def test_novelty_by_flow_matching(run: Path, cli: Cli, tmp_path: Path) -> None:
    fit_sampler(run, "flow-matching", BRIEF)
    status, out, err = cli(
        "novelty",
        str(run),
        "--density",
        "flow-matching",
        "--label",
        "1",
        "--out",
        str(tmp_path / "s.csv"),
        "--quiet",
    )
    assert status == 0, err
    assert "AUROC" in out
    status, _, err = cli(
        "novelty", str(run), "--density", "pushforward", "--out", str(tmp_path / "s.csv")
    )
    assert status == 2
    assert "no pushforward of known density" in err
