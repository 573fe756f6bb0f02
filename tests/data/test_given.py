"""Data that Python gave: a run keeps them, exactly, and refuses those that others have changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import zspace
from tests.conftest import SMALL, Cli, Told, random_images
from zspace.data import DataOptions, Images, given
from zspace.data.given import KEPT, keep, kept
from zspace.data.images import Part
from zspace.errors import InputError
from zspace.options import checked, options_of
from zspace.storage.files import read_tensors, write_tensors


def images_of_two_classes() -> Images:
    x = torch.from_numpy(random_images(60, 8, 8))[:, None]
    parts = (Part(x[i : i + 20], torch.arange(20) % 2) for i in (0, 20, 40))
    return Images("mine", *parts, ("left", "right"))


def settings(**more: Any) -> dict[str, Any]:
    return checked(options_of(DataOptions), more, "option")


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
        (lambda t: t.update({"train.y": t["train.y"] - 2}), "labels without names"),
        (
            lambda t: t.update({n: t[n][:0] for n in ("train.x", "train.y")}),
            "its training part is empty",
        ),
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


def test_names_that_others_have_changed(tmp_path: Path) -> None:
    keep(images_of_two_classes(), tmp_path, Told())
    tensors, header = read_tensors(tmp_path / KEPT, dict[str, Any])
    write_tensors(tmp_path / KEPT, tensors, {**header, "classes": ["\x1b[2J", "x" * 10**6]})
    again = kept(tmp_path)
    assert again is not None
    assert again.classes[0] == "\\x1b[2J"
    assert len(again.classes[1]) <= 100


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": torch.zeros(20, 1, 8, 8)}, "neither images nor vectors alike"),
        ({"y": torch.arange(19)}, "its labels do not fit"),
        ({"y": torch.full((20,), 2)}, "labels without names"),
    ],
)
def test_images_that_can_not_be_right(change: dict[str, Tensor], words: str) -> None:
    images = images_of_two_classes()
    wrong = replace(images, train=replace(images.train, **change))
    with pytest.raises(InputError, match=words):
        zspace.train("ae", wrong, iterations=1, **SMALL)


def test_labels_that_are_not_known(tmp_path: Path) -> None:
    images = images_of_two_classes()
    y = torch.arange(20) % 3 - 1
    some = replace(images, train=replace(images.train, y=y), name="\udcff")
    zspace.train("ae", some, out=tmp_path / "run", iterations=1, **SMALL)
    again = kept(tmp_path / "run")
    assert again is not None
    assert again.train.y is not None
    assert again.train.y.tolist() == y.tolist()
    assert again.name == "\\udcff"


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_a_tensor_of_half_precision_is_read(kind: torch.dtype) -> None:
    images = given.images_of(torch.rand(40, 1, 8, 8).to(kind), settings())
    assert images.train.x.dtype == torch.uint8
    with pytest.raises(InputError, match="to_dense"):
        given.images_of(torch.rand(40, 3).to_sparse(), settings())


def test_classes_of_arrays_are_several() -> None:
    x, y = random_images(90, 8, 8), np.arange(90) % 3
    images = given.images_of((x, y), settings(classes="2,0"))
    assert images.classes == ("2", "0")
    assert images.test.y is not None
    assert set(images.test.y.tolist()) == {0, 1}


def test_a_run_with_a_dot_in_its_name_lies_in_no_folder_of_images(tmp_path: Path) -> None:
    inside = tmp_path / "images" / "run.v2"
    inside.parent.mkdir()
    given.check_apart(inside, [str(inside.parent)])  # a file of that name would be no image
    with pytest.raises(InputError, match="lies in the folder"):
        given.check_apart(inside, [str(inside.parent)], folder=True)


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
