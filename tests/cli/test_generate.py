"""`zspace augment`, `gallery` and `export`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import zspace
from tests.conftest import Cli, random_images, small, small_run, width
from tests.recipes.regene import TEN
from zspace.data import load as load_data
from zspace.generation import gallery, maps


def test_augment_writes_what_data_reads(runs: dict[str, Path], cli: Cli, tmp_path: Path) -> None:
    run = runs["regene"]
    for out in (tmp_path / "more", tmp_path / "more.npz"):
        status, said, _ = cli("augment", run, "--per-class", 12, "--out", out)
        assert status == 0
        assert "120 generated images of 10 classes" in said
        images = load_data(str(out))
        assert images.classes == TEN
        assert sum(len(p) for p in (images.train, images.validation, images.test)) == 120
        whole = tmp_path / f"all{out.suffix}"
        assert cli("augment", run, "--per-class", 5, "--originals", "--out", whole)[0] == 0
        beside, digits = load_data(str(whole)), load_data("digits")
        assert len(beside.train) == len(digits.train) + 50
        assert beside.train.y is not None
        assert torch.bincount(beside.train.y).min() >= 5
        x = digits.test.x
        assert len(beside.test) == len(x)
        if out.suffix:
            assert torch.equal(beside.test.x, x)
            assert torch.equal(beside.train.x[: len(digits.train)], digits.train.x)
    # a class's name that can't be a folder's
    zspace.train(
        "ae", named(tmp_path), out=tmp_path / "r", iterations=2, device="cpu", **small("ae")
    )
    assert cli("augment", tmp_path / "r", "--per-class", 12, "--out", tmp_path / "n")[0] == 0
    assert load_data(str(tmp_path / "n")).classes == ("Ankle boot", "T-shirt-top")


def named(folder: Path) -> str:
    path = folder / "named.npz"
    np.savez(
        path,
        images=random_images(90, 8, 8),
        labels=np.arange(90) % 2,
        classes=np.array(["T-shirt/top", "Ankle boot"]),
    )
    return str(path)


def test_every_picture_is_drawn(runs: dict[str, Path], cli: Cli, tmp_path: Path) -> None:
    for kind in (*gallery.SHEETS, *maps.MAPS):
        out = tmp_path / f"{kind}.png"
        more = ["--label", "1,7"] if kind in gallery.SHEETS else []
        if kind == "closest-generations":
            more += ["--most-trials", 1000]
        status, _, err = cli("gallery", runs["regene"], kind, "--out", out, *more)
        assert status == 0, (kind, err)
        assert width(out) > 50
    for more in (["--label=3"], ["--combine=5"]):
        given = ["gallery", runs["regene"], "tsne", *more, "--out", tmp_path / "t.png"]
        assert "shows the codes of all classes" in cli(*given)[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("learned") / "run")


def test_what_can_not_be_exported(run: Path, cli: Cli, tmp_path: Path) -> None:
    exporting = ["export", str(run), "--out", str(tmp_path / "x.onnx"), "--quiet"]
    for given, message in (
        (["--sampler", "convex"], "the sampler convex can't be exported"),
        (["--sampler", "normal", "--format", "pb"], "onnx"),
        (["--sampler", "normal", "--out", str(tmp_path / "x.png")], "--out must be an .onnx file"),
        (["--sampler", "flow-matching", "--solver", "adaptive"], "can't be exported"),
        (["--sampler", "normal", "--steps", "4"], "--steps belongs to --sampler flow-matching"),
        (["--sampler", "prior"], "no prior of its own"),
    ):
        status, _, err = cli(*exporting, *given)
        assert status == 2, given
        assert message in err
        assert "Traceback" not in err
    assert not list(tmp_path.glob("*.onnx"))


def test_convex_combinations_of_the_classes_that_there_are(tmp_path: Path, cli: Cli) -> None:
    y = np.r_[np.arange(60) % 2, 2]
    z = np.random.default_rng(0).normal(size=(61, 3)).astype(np.float32)
    np.savez(tmp_path / "c.npz", x_train=z, y_train=y, x_test=z[:30], y_test=y[:30])
    quick = ["--quiet", "--device=cpu"]
    run = tmp_path / "c"
    fit = ("fit-sampler", tmp_path / "c.npz", f"--out={run}", "--sampler=convex")
    assert cli(*fit, *quick)[0] == 0
    out = tmp_path / "x.npz"
    spread = ("sample", run, "--sampler=convex", "--n=9", f"--out={out}", "--concentration=0.2")
    status, _, err = cli(*spread, *quick)
    assert (status, out.exists()) == (2, False)
    message = "--concentration 0.2 has no effect with --weights uniform: it belongs to --weights"
    assert f"{message} dirichlet" in err
    assert cli(*spread, "--weights=dirichlet", *quick)[0] == 0
    for label, expected in ((None, {0: 5, 1: 4}), ("all", {0: 5, 1: 4}), ("0,1,0", {0: 6, 1: 3})):
        more = [] if label is None else [f"--label={label}"]
        sample = ("sample", run, "--sampler=convex", "--n=9", f"--out={out}", *more)
        status, _, err = cli(*sample, *quick)
        assert status == 0, err
        found = np.load(out)["labels"]
        assert {k: int((found == k).sum()) for k in (0, 1, 2) if k in found} == expected
