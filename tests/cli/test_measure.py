"""`zspace evaluate`, `compare`, `diagnose`, `neighbours` and `report`."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zspace
from tests.conftest import SMALL, Cli, random_images
from zspace.evaluation.compare import figure_of
from zspace.evaluation.metrics import METRICS

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


QUICK = ["--device=cpu", "--quiet"]


@pytest.fixture
def run(runs: dict[str, Path], tmp_path: Path) -> Path:
    """A run of its own, to write into."""
    shutil.copytree(runs["vae"], tmp_path / "vae")
    return tmp_path / "vae"


def test_evaluate_writes_what_it_prints(run: Path, cli: Cli) -> None:
    status, out, err = cli(
        "evaluate", run, "--n=200", "--seed=3", "--samplers=prior,mixture", "--device=cpu"
    )
    assert status == 0, err
    stored = json.loads((run / "evaluation.json").read_text())
    assert stored["n"] == 200
    assert stored["seed"] == 3
    assert stored["reference_part"] == "test"
    assert [n.split(" samples")[0] for n in stored["notes"]] == ["the Frechet distance of 200"]
    assert stored["features"] == "classifier cnn"
    assert set(stored["versions"]) == {"zspace", "torch", "python"}
    subjects = {row["subject"]: row["figures"] for row in stored["rows"]}
    assert list(subjects) == [
        "reconstructions",
        "prior",
        "mixture",
        "training images",
        "test images",
        "codes",
    ]
    every = {column for metric in METRICS.values() for column in metric.names}
    assert {name for figures in subjects.values() for name in figures} == every - {
        "fid-inf",
        "classified",
    }
    for figures in subjects.values():
        for name, figure in figures.items():
            assert math.isfinite(figure["value"]), name
            assert figure["uncertainty"], name
            assert name == "active" or figure["error"] is not None, name
            assert figure["error"] is None or figure["error"] >= 0
    assert subjects["prior"]["fid"]["features"] == "classifier cnn"
    assert "features" not in subjects["prior"]["pms"]
    # other training images are the scale: nearer to the reference than any sample here
    assert subjects["training images"]["fid"]["value"] < subjects["prior"]["fid"]["value"]
    value = str(figure_of(subjects["mixture"]["f1/8"]))
    assert value in out
    assert "evaluation.json" in out


def test_vectors_are_evaluated_too(tmp_path: Path, cli: Cli, refused: Callable[..., str]) -> None:
    zspace.train("flexae", "mog2", out=tmp_path / "m", iterations=3, device="cpu", hidden=8)
    status, out, err = cli("evaluate", tmp_path / "m", "--n=60", *QUICK)
    assert status == 0, err
    assert "fid (vectors)" in out
    assert "ssim" not in out
    for metric, reason in (("ssim", "these are vectors"), ("is", "logits|vectors")):
        assert re.search(reason, refused("evaluate", tmp_path / "m", f"--metrics={metric}", *QUICK))
    assert cli("diagnose", tmp_path / "m", "--n=60", *QUICK)[0] == 0
    assert cli("report", tmp_path / "m", "--n=60", *QUICK)[0] == 0
    out = f"--out={tmp_path / 'n.png'}"
    assert "holds vectors" in refused("neighbours", tmp_path / "m", out, *QUICK)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--metrics=fdi"], "unknown metric 'fdi': did you mean 'fid'"),
        (["--metrics=FID"], "unknown metric 'FID': did you mean 'fid'? (known: "),
        (["--metrics=fid,,kid"], "must be names with commas between"),
        (["--features=pixel"], "unknown features 'pixel': did you mean 'pixels'"),
        (["--samplers=mixtur"], "unknown sampler 'mixtur': did you mean 'mixture'"),
        (["--n=5"], "5 samples are too few for an evaluation: 20 at least"),
        (["--n=100000"], "the test part of digits has 359 samples"),
        (["--seed=-1"], "--seed must be a whole number from 0"),
        (["--metrics=is", "--features=pixels"], "the features pixels have none"),
        (["--device=tpu"], "--device must be one of"),
        (["--checkpoint=7"], "--checkpoint must be last or an iteration"),
    ],
)
def test_what_evaluate_refuses(
    runs: dict[str, Path], refused: Callable[..., str], arguments: list[str], message: str
) -> None:
    before = sorted(p.name for p in runs["vae"].iterdir())
    assert message in refused("evaluate", runs["vae"], *arguments, "--quiet")
    assert sorted(p.name for p in runs["vae"].iterdir()) == before


def test_metrics_are_listed(runs: dict[str, Path], cli: Cli) -> None:
    status, out, _ = cli("evaluate", runs["vae"], "--metrics=list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(METRICS)


def test_a_report_is_one_measurement(run: Path, cli: Cli) -> None:
    assert cli("evaluate", run, "--features=pixels", "--n=40", "--seed=3", *QUICK)[0] == 0
    assert cli("report", run, *QUICK)[0] == 0
    text = (run / "report.html").read_text()
    assert "n = 40, seed 3" in text
    assert "by the features pixels" in text
    assert "classifier cnn" not in text


def test_a_network_of_ones_own_that_says_nothing(
    run: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """No evaluation by halves: what was asked for is looked at first."""
    from tests.features.shared import onnx_file

    path = onnx_file(tmp_path / "net.onnx", channels=3)  # for colour; these are grey
    assert "can't be computed of images (1, 8, 8)" in refused(
        "evaluate", run, "--features", f"file:{path}", "--n=30", *QUICK
    )
    assert not (run / "evaluation.json").exists()


def test_data_that_have_moved(tmp_path: Path, cli: Cli, refused: Callable[..., str]) -> None:
    (tmp_path / "a").mkdir()
    np.savez(tmp_path / "a" / "d.npz", x=random_images(200, 8, 8))
    data = tmp_path / "a" / "d.npz"
    zspace.train("ae", data, out=tmp_path / "r", iterations=2, device="cpu", **SMALL)
    (tmp_path / "a").rename(tmp_path / "b")
    told = f"{tmp_path / 'r'} was trained on the file {data}, which is not here: --data-dir FOLDER"
    assert told in refused("evaluate", tmp_path / "r", *QUICK)
    for where in (tmp_path / "a", tmp_path / "a" / "d.npz"):
        told = f"--data-dir {where}: there is no such folder or file"
        assert told in refused("evaluate", tmp_path / "r", "--data-dir", where)
    for where in (tmp_path / "b", tmp_path / "b" / "d.npz"):
        options = ["--metrics=mse", "--data-dir", where, *QUICK]
        assert cli("evaluate", tmp_path / "r", *options)[0] == 0


def test_compare_evaluates_what_is_missing(
    runs: dict[str, Path], tmp_path: Path, cli: Cli, refused: Callable[..., str]
) -> None:
    for name in ("ae", "vae"):
        shutil.copytree(runs[name], tmp_path / name)
    both = (tmp_path / "ae", tmp_path / "vae")
    picture = tmp_path / "f.png"
    for suffix in ("md", "csv", "tex", "html"):
        out = tmp_path / f"t.{suffix}"
        more = ["--figure", picture] if suffix == "md" else []
        options = ["--sort=fid", "--columns=mse", "--n=100", "--out", out, *more, *QUICK]
        status, shown, err = cli("compare", *both, *options)
        assert status == 0, err
        assert "ae: normal" in shown
        assert out.read_text()
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    drawn = {(row["run"], row["subject"]) for row in rows if row["table"] == "generation"}
    assert drawn == {("ae", "normal"), ("ae", "mixture"), ("vae", "prior")}
    assert {row["figure"] for row in rows} == {"fid", "mse"}
    assert all(float(row["value"]) > 0 and float(row["error"]) > 0 for row in rows)
    page = (tmp_path / "t.html").read_text()
    assert "<b>" in page
    assert page.count("data:image/png;base64,") == 1
    assert r"\textbf{" in (tmp_path / "t.tex").read_text()
    with Image.open(picture) as image:
        assert image.width > image.height  # a strip for each of four rows
    assert "--figure must be a .png" in refused("compare", *both, "--figure=f.jpg")
    # an evaluation of other weights is not taken
    stored = json.loads((tmp_path / "ae" / "evaluation.json").read_text())
    stored["model"] = "other"
    stored["rows"][0]["figures"]["mse"]["value"] = 777.0
    (tmp_path / "ae" / "evaluation.json").write_text(json.dumps(stored))
    usual = cli("compare", *both, "--n=100", *QUICK)[1]
    assert "777" not in usual
    assert "mae" not in usual
    assert "mae" in cli("compare", *both, "--columns=all", "--n=100", *QUICK)[1]
    assert "t.txt" in refused("compare", *both, f"--out={tmp_path / 't.txt'}")
    assert "is named twice" in refused("compare", both[0], both[0])
    assert "is no folder" in refused("compare", both[0], tmp_path / "gone")


def test_runs_of_different_data(
    runs: dict[str, Path], tmp_path: Path, refused: Callable[..., str]
) -> None:
    shutil.copytree(runs["ae"], tmp_path / "ae")
    zspace.train(
        "ae", "digits", classes="0,1", out=tmp_path / "two", iterations=2, device="cpu", **SMALL
    )
    message = refused(
        "compare", tmp_path / "ae", tmp_path / "two", "--features=pixels", "--n=50", *QUICK
    )
    assert "different data" in message
    assert not (tmp_path / "ae" / "evaluation.json").exists()  # refused before all else


def test_no_features_are_made_that_no_figure_needs(
    runs: dict[str, Path],
    tmp_path: Path,
    cli: Cli,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ae", "vae"):
        shutil.copytree(runs[name], tmp_path / name)
    both = (tmp_path / "ae", tmp_path / "vae")

    def trained(*_: object, **__: object) -> None:
        raise AssertionError

    with monkeypatch.context() as without:
        without.setattr("zspace.evaluation.measurement.neutral_classifier", trained)
        status, out, err = cli("evaluate", both[0], "--metrics=mse,mae", "--n=100")
        assert status == 0, err
        assert ", features" not in out
        assert not (both[0] / "samplers").exists()
        status, out, err = cli("compare", *both, "--columns=mse", "--n=100", *QUICK)
        assert status == 0, err
        assert "unknown figure 'msee'" in refused("compare", *both, "--columns=msee")
    # what needs features joins what needs none, and the other way round
    assert cli("evaluate", both[0], "--metrics=kid", "--n=100", *QUICK)[0] == 0
    assert cli("evaluate", both[0], "--metrics=ssim", "--n=100", *QUICK)[0] == 0
    stored = json.loads((both[0] / "evaluation.json").read_text())
    figures = {name for row in stored["rows"] for name in row["figures"]}
    assert figures == {"mse", "mae", "kid", "ssim"}
    assert stored["features"] == "classifier cnn"
    assert stored["features_identity"]


def test_the_diagnose_command(run: Path, cli: Cli, refused: Callable[..., str]) -> None:
    status, out, err = cli("diagnose", run, *QUICK)
    assert status == 0, err
    stored = json.loads((run / "diagnosis.json").read_text())
    names = ["prior", "dimensions", "memorisation", "classes", "support", "sharpness"]
    assert [f["name"] for f in stored] == names
    assert all(f["figures"] for f in stored)
    # trained for 20 iterations: it draws grey fog
    faults = {f["name"] for f in stored if f["fault"]}
    assert {"classes", "support", "sharpness"} <= faults
    assert out.count("\n") == 7
    assert "unknown sampler" in refused("diagnose", run, "--sampler=none", *QUICK)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--out=n.jpg"], "--out must be a .png file"),
        (["--n=0", "--out=n.png"], "--n must be at least 1"),
        (["--k=1001", "--out=n.png"], "--k must be at most 1000"),
    ],
)
def test_what_neighbours_refuses(
    runs: dict[str, Path], refused: Callable[..., str], arguments: list[str], message: str
) -> None:
    assert message in refused("neighbours", runs["vae"], *arguments, "--quiet")


def test_what_report_refuses(run: Path, refused: Callable[..., str]) -> None:
    assert "must be an .html file" in refused("report", run, "--out=r.pdf")
    (run / "d.html").mkdir()
    assert "d.html is a folder" in refused("report", run, "--out", run / "d.html")
    missing = run / "config.yaml" / "r.html"
    assert "can't be written" in refused("report", run, "--out", missing)
    assert "unknown map 'umap'" in refused("report", run, "--map=umap")
    assert not (run / "report.html").exists()


def test_every_command_finds_data_that_have_moved(
    tmp_path: Path, cli: Cli, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's name is like that of a named set, which is no reason to suggest the set."""
    monkeypatch.chdir(tmp_path)
    folders = ("digits8", "digits12")
    for name in folders:
        Path(name).mkdir()
        for i, image in enumerate(random_images(110, 8, 8)):
            Image.fromarray(image).save(f"{name}/{i}.png")
    small = {"iterations": 4, "device": "cpu", "checkpoint_every": 2, **SMALL}
    zspace.train("vae", "digits8", out="one", **small)
    zspace.train("vae", ",".join(folders), out="two", **small)
    Path("moved").mkdir()
    for name in folders:
        Path(name).rename(f"moved/{name}")
    for command, *more in (
        ("resume",),
        ("encode", "--out=c.npz"),
        ("reconstruct", "--out=r.png"),
        ("novelty", "--out=n.csv"),
        ("evaluate", "--metrics=mse", "--n=20"),
    ):
        for run in ("one", "two"):
            message = refused(command, run, *more)
            told = f"{run} was trained on the folder digits8, which is not here: --data-dir FOLDER"
            assert told in message
            assert "did you mean" not in message
            before = Path(run, "config.yaml").read_bytes()
            status, _, err = cli(command, run, *more, "--data-dir=moved")
            assert status == 0, err
            assert Path(run, "config.yaml").read_bytes() == before
    Path("one/model.safetensors").unlink()
    assert cli("resume", "one", "--data-dir=moved/digits8")[0] == 0
    assert Path("one/model.safetensors").is_file()
