"""Commands that read a run's data again, where these have changed since it was trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zspace
from tests.conftest import SMALL, Cli, Refused, random_images
from zspace.errors import InputError
from zspace.evaluation.evaluate import evaluate
from zspace.evaluation.results import read_evaluation

COMMANDS = {
    "sample": ["--sampler=simple", "--label=cat", "--out={out}.png", "--device=cpu"],
    "fit-sampler": ["--sampler=simple"],
    "augment": ["--per-class=2", "--out={out}.npz", "--device=cpu"],
    "gallery": ["collage", "--out={out}.png", "--device=cpu"],
    "evaluate": ["--features=pixels", "--device=cpu"],
    "tune": ["--sampler=simple", "--trials=1", "--device=cpu"],
    "resume": [],
}


def added(folder: Path) -> None:
    write_class(folder / "ant", 4)


def renamed(folder: Path) -> None:
    (folder / "bear").rename(folder / "zebra")


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "added": (added, "the name of class 0 is ant now, bear then"),
    "renamed": (renamed, "the name of class 0 is cat now, bear then"),
}


def write_class(folder: Path, seed: int, count: int = 20) -> None:
    folder.mkdir(parents=True)
    for i, image in enumerate(random_images(count, 8, 8, seed=seed)):
        Image.fromarray(image).save(folder / f"{i:02d}.png")


def trained(root: Path, count: int = 20) -> Path:
    for seed, name in enumerate(("bear", "cat", "dog")):
        write_class(root / "f" / name, seed, count)
    data = str(root / "f")
    zspace.train("ae", data, out=root / "r", iterations=2, device="cpu", **SMALL)
    return root / "r"


@pytest.mark.parametrize("change", CHANGES)
def test_classes_that_have_changed_are_refused(
    refused: Refused, tmp_path: Path, change: str
) -> None:
    run = trained(tmp_path)
    make, words = CHANGES[change]
    make(tmp_path / "f")
    before = sorted(run.rglob("*"))
    for command, options in COMMANDS.items():
        given = [text.format(out=tmp_path / "x") for text in options]
        message = refused(command, run, *given)
        assert f"the data are not those that {run} was trained on: {words}" in message, command
    assert sorted(run.rglob("*")) == before
    assert not [*tmp_path.glob("x*")]


def test_a_report_measures_the_test_images_that_are_there(tmp_path: Path, cli: Cli) -> None:
    run = trained(tmp_path, 40)
    report = ("report", run, "--features=pixels", "--device=cpu", "--map=pca", "--quiet")
    assert cli(*report)[0] == 0
    first = (run / "evaluation.json").read_text()
    assert cli(*report)[0] == 0
    assert (run / "evaluation.json").read_text() == first
    negatives(tmp_path / "f")
    assert cli(*report)[0] == 0
    again = read_evaluation(run)
    assert again is not None
    assert again["test"] != json.loads(first)["test"]


def negatives(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        with Image.open(path) as image:
            negative = 255 - np.asarray(image)
        Image.fromarray(negative).save(path)


def test_a_training_does_not_go_on_with_other_images(
    cli: Cli, refused: Refused, tmp_path: Path
) -> None:
    run = trained(tmp_path)
    negatives(tmp_path / "f")
    before = sorted(run.rglob("*"))
    message = refused("resume", run, "--iterations=4")
    assert f"the data are not those that {run}" in message
    assert "the checksum of the training samples is" in message
    assert sorted(run.rglob("*")) == before
    assert "the checksum of the training samples is" in refused("resume", run)  # it is finished
    negatives(tmp_path / "f")  # as they were
    assert cli("resume", run, "--iterations=4")[0] == 0


def test_more_images_of_the_same_classes_are_used(cli: Cli, tmp_path: Path) -> None:
    run = trained(tmp_path)
    for name in ("bear", "cat", "dog"):
        (tmp_path / "f" / name / "00.png").unlink()
    assert cli("fit-sampler", run, "--sampler=simple")[0] == 0
    message = cli("resume", run, "--iterations=4")[2]
    assert "the number of training samples is" in message


def test_data_given_as_arrays_are_compared_too(tmp_path: Path) -> None:
    x = random_images(300, 8, 8)
    paths: list[Path] = []
    for offset in (0, 5):
        names = np.array([f"c{offset + i}" for i in range(3)])
        paths.append(tmp_path / f"{offset}.npz")
        np.savez(paths[-1], images=x, labels=np.arange(300) % 3, classes=names)
    images, others = (zspace.data.load(str(path)) for path in paths)
    run = tmp_path / "r"
    zspace.train("ae", images, out=run, iterations=2, device="cpu", **SMALL)
    with pytest.raises(InputError, match="the name of class 0 is c5 now, c0 then"):
        evaluate(run, data=others, metrics=["mse"], features="pixels", device="cpu")
    with pytest.raises(InputError, match="the name of class 0 is c5 now, c0 then"):
        zspace.resume(run, data=others)
    # data without classes can't be named wrongly
    for data in (images, x):
        assert evaluate(run, data=data, metrics=["mse"], features="pixels", device="cpu")["rows"]


def test_labels_move_with_the_data(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = random_images(60, 8, 8), np.arange(60) % 3
    Path("here").mkdir()
    np.save("here/x.npy", x)
    np.save("here/y.npy", y)
    zspace.train("ae", "here/x.npy", out="run", labels="here/y.npy", iterations=2, **SMALL)
    Path("here").rename("there")
    for place in ("there", "there/x.npy"):
        status, _, err = cli("encode", "run", "--out=c.npz", f"--data-dir={place}")
        assert status == 0, err
        assert np.load("c.npz")["labels"].shape == (60,)
    Path("there/y.npy").rename("y.npy")
    assert "y.npy" in cli("encode", "run", "--out=c.npz", "--data-dir=there")[2]


def test_data_that_were_moved_are_found(
    cli: Cli, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("ant", "bear", "cat", "dog", "eel", "fox")):
        write_class(tmp_path / "set" / name, seed)
    for name in ("run", "other"):
        zspace.train("ae", "set", out=name, iterations=2, **SMALL)
    (tmp_path / "away").mkdir()
    (tmp_path / "set").rename(tmp_path / "away" / "set")
    commands = {
        **COMMANDS,
        "compare": ["other", "--features=pixels", "--figure={out}.png", "--quiet"],
    }
    for command, options in commands.items():
        filled = [option.format(out=tmp_path / command) for option in options]
        assert "--data-dir FOLDER" in refused(command, "run", *filled)
        status, _, err = cli(command, "run", *filled, "--data-dir=away")
        assert status == 0, (command, err)
