"""An output never replaces what a command reads, and never becomes a part of it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zspace
from tests.conftest import SMALL, Cli, Refused, random_images
from zspace.cli.printing import print_tables
from zspace.display.tables import Table

QUICK = [f"--{k.replace('_', '-')}={v}" for k, v in {**SMALL, "iterations": 2}.items()]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of a file and a run of a folder, and further inputs."""
    folder = tmp_path_factory.mktemp("there")
    x, y = random_images(60, 8, 8), np.arange(60) % 2
    np.savez(folder / "d.npz", images=x, labels=y)
    np.savez(folder / "c.npz", codes=np.zeros((4, 3), np.float32))
    (folder / "link.npz").symlink_to("d.npz")
    for i, image in enumerate(x):
        (folder / "set" / f"{y[i]}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "set" / f"{y[i]}" / f"{i}.png")
    small = {"iterations": 2, "device": "cpu", **SMALL}
    zspace.train("vae", folder / "d.npz", out=folder / "file", **small)
    zspace.train("vae", folder / "set", out=folder / "folder", **small)
    lines = [f"{i % 2}/{i}.png,{'ab'[i % 2]}\n" for i in range(60)]
    (folder / "l.csv").write_text("".join(lines))
    labelled = {"labels": str(folder / "l.csv"), **small}
    zspace.train("vae", folder / "set", out=folder / "labelled", **labelled)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "command",
    [
        ("sample", "file", "--out=d.npz"),
        ("sample", "file", "--out=./link.npz"),
        ("sample", "folder", "--out=set/x.png"),
        ("sample", "folder", "--out=set/new"),
        ("sample", "folder", "--sampler=convex", "--out=set/0/x.png"),
        ("encode", "file", "--out=d.npz"),
        ("encode", "folder", "--data=d.npz", "--out=d.npz"),
        ("encode", "folder", "--data-dir=d.npz", "--out=d.npz"),
        ("decode", "file", "c.npz", "--out=c.npz"),
        ("decode", "file", "c.npz", "--out=d.npz"),
        ("reconstruct", "file", "--out=d.npz"),
        ("interpolate", "file", "--out=d.npz"),
        ("imagine", "file", "--out=set/0/0.png", "--images", "set/0/0.png"),
        ("augment", "file", "--per-class=1", "--originals", "--out=d.npz"),
        ("augment", "folder", "--per-class=1", "--out=set/more"),
        ("gallery", "folder", "tsne", "--out=set/x.png"),
        ("neighbours", "folder", "--features=pixels", "--out=set/x.png"),
        ("novelty", "folder", "--out=set/x.csv"),
        ("novelty", "labelled", "--out=l.csv"),
        ("compare", "labelled", "--out=l.csv"),
        ("compare", "file", "folder", "--figure=set/x.png"),
        ("train", "vae", "--data=set", "--out=set/run", *QUICK),
        ("train", "vae", "--data=set/0,set/1", "--out=set/1/run", *QUICK),
    ],
)
def test_what_is_read_is_left_alone(
    refused: Refused, there: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(there)
    before = content(there)
    message = refused(*command)
    assert "is what is read here" in message or "with whose images it would be read" in message
    assert content(there) == before


def test_links_that_lead_back_to_themselves_name_nothing(
    refused: Refused, runs: dict[str, Path], tmp_path: Path
) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    for command in (
        ["train", "ae", "--data=digits", "--out", loop],
        ["train", "ae", "--data", loop, "--out", tmp_path / "out"],
        ["encode", runs["ae"], "--data", loop, "--out", tmp_path / "x.npz"],
        ["report", loop],
        ["compare", loop, runs["ae"]],
        ["gallery", runs["ae"], "collage", "--out", loop / "x.png"],
    ):
        assert "loop" in refused(*command)
    assert [*tmp_path.iterdir()] == [loop]


def test_tables_without_a_standard_output(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setattr(sys, "stdout", None)
        print_tables([Table(["a"], [["1"]])])
    assert cli("zoo")[0] == 0
