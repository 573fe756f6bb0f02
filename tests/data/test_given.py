"""Data that Python gave: a run keeps them, exactly, and refuses those that others have changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import zspace
from tests.conftest import SMALL, Cli, Told, random_images
from zspace.data import Images, given
from zspace.data.given import KEPT, keep, kept
from zspace.data.images import Part
from zspace.errors import InputError
from zspace.storage.files import read_tensors, write_tensors


def images_of_two_classes() -> Images:
    x = torch.from_numpy(random_images(60, 8, 8))[:, None]
    parts = (Part(x[i : i + 20], torch.arange(20) % 2) for i in (0, 20, 40))
    return Images("mine", *parts, ("left", "right"))


def vectors() -> Images:
    return Images("codes", *(Part(torch.randn(n, 3) * 100) for n in (30, 0, 10)))


@pytest.mark.parametrize("made", [images_of_two_classes, vectors])
def test_what_is_kept_is_what_was_given(made: Callable[[], Images], tmp_path: Path) -> None:
    images, told = made(), Told()
    keep(images, tmp_path, told)
    again = kept(tmp_path)
    assert again is not None
    assert (again.name, again.classes, told.said) == (images.name, images.classes, [])
    for part in ("train", "validation", "test"):
        before, after = getattr(images, part), getattr(again, part)
        assert torch.equal(before.x, after.x)
        assert (before.y is None and after.y is None) or torch.equal(before.y, after.y)


def test_parts_that_share_their_memory(tmp_path: Path) -> None:
    part = Part(torch.rand(30, 3))
    keep(Images("same", part, part, Part(part.x[:10])), tmp_path, Told())
    again = kept(tmp_path)
    assert again is not None
    assert torch.equal(again.test.x, part.x[:10])


def test_large_data_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given, "MOST", 1000)
    told = Told()
    keep(images_of_two_classes(), tmp_path, told)
    assert "more than the 1000 bytes that a run keeps: give them again" in told.said.pop()
    assert kept(tmp_path) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("test.x"), "it has no 'test.x'"),
        (lambda t: t.update({"test.x": t["test.x"].float()}), "neither images nor vectors alike"),
        (lambda t: t.update({"test.x": t["test.x"][..., 1:]}), "neither images nor vectors alike"),
        (lambda t: t.pop("train.y"), "its labels do not fit"),
        (lambda t: t.update({"train.y": t["train.y"][1:]}), "its labels do not fit"),
        (lambda t: t.update({"train.y": t["train.y"].float()}), "its labels do not fit"),
        (lambda t: t.update({"train.y": t["train.y"] + 1}), "labels without names"),
        (lambda t: t.update({"train.y": t["train.y"] - 1}), "labels without names"),
    ],
)
def test_data_that_others_have_changed(
    change: Callable[[dict[str, Tensor]], Any], words: str, tmp_path: Path
) -> None:
    keep(images_of_two_classes(), tmp_path, Told())
    tensors, header = read_tensors(tmp_path / KEPT, dict[str, Any])
    change(tensors)
    write_tensors(tmp_path / KEPT, tensors, header)
    with pytest.raises(InputError, match=words):
        kept(tmp_path)


def test_every_command_finds_them(tmp_path: Path, cli: Cli) -> None:
    run = str(tmp_path / "run")
    x = np.random.default_rng(0).random((200, 8, 8)).astype(np.float32)
    zspace.train("vae", x, out=run, iterations=3, train_size=100, device="cpu", **SMALL)
    quick = ["--quiet", "--device=cpu"]
    for command in (
        ["fit-sampler", run, "--sampler=mixture"],
        ["encode", run, "--part=all", f"--out={tmp_path / 'z.npz'}"],
        ["reconstruct", run, f"--out={tmp_path / 'r.png'}"],
        ["evaluate", run, "--metrics=mse,fid"],
        ["novelty", run, f"--out={tmp_path / 'n.csv'}"],
        ["neighbours", run, f"--out={tmp_path / 'm.png'}"],
        ["report", run, "--map=pca"],
    ):
        status, _, err = cli(*command, *quick)
        assert status == 0, err
    with np.load(tmp_path / "z.npz") as written:
        assert len(written["codes"]) == 100 + 16 + 40  # of all parts


def test_a_wrapped_run_keeps_them(tmp_path: Path) -> None:
    x = torch.randn(50, 4)
    zspace.wrap(torch.nn.Identity(), torch.nn.Identity(), data=x, out=tmp_path / "run")
    assert len(zspace.fit_sampler(tmp_path / "run", "normal").sample(3)) == 3
