"""The named data sets, the real ones where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.conftest import Refused, random_images, write_idx
from zspace.data import load, load_whole
from zspace.data.idx import idx_set
from zspace.errors import InputError


def test_digits() -> None:
    images = load("digits")
    assert images.shape == (1, 8, 8)
    assert (len(images.train), len(images.validation), len(images.test)) == (1295, 143, 359)
    assert images.train.x.dtype == torch.uint8
    assert images.train.x.max() == 255
    assert images.classes == tuple("0123456789")
    assert any("no test part" in note for note in images.notes)


@pytest.mark.parametrize("name, shape", [("mnist", (1, 28, 28)), ("fashion-mnist", (1, 28, 28))])
def test_real_idx(real_data: Path, name: str, shape: tuple[int, ...]) -> None:
    images = load(name, real_data / name)
    assert images.shape == shape
    assert (len(images.train), len(images.validation), len(images.test)) == (54_000, 6_000, 10_000)
    assert images.test.y is not None
    assert torch.bincount(images.test.y).min() > 800


def test_real_cifar10(real_data: Path) -> None:
    images = load("cifar10", real_data / "cifar10")
    assert images.shape == (3, 32, 32)
    assert len(images.test) == 10_000
    assert images.test.y is not None
    assert torch.bincount(images.test.y).tolist() == [1000] * 10
    assert any("incomplete" in note for note in images.notes)


def test_real_celeba(real_data: Path) -> None:
    part, classes = load_whole(
        "celeba", real_data / "celeba-10k", image_size=16, label_attribute="Male"
    )
    assert part.x.shape == (10_000, 3, 16, 16)
    assert classes == ("no Male", "Male")
    assert part.y is not None
    assert part.y[:3].tolist() == [0, 0, 1]


def test_missing_folder_and_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mnist needs --data-dir"):
        load("mnist")
    with pytest.raises(InputError, match="is no folder"):
        load("mnist", tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no mnist: expected train-images-idx3-ubyte"):
        load("mnist", tmp_path)
    write_idx(tmp_path / "train-images-idx3-ubyte", random_images(2, 2, 2))
    with pytest.raises(InputError, match="wrong checksum"):
        load("mnist", tmp_path)
    with pytest.raises(InputError, match="has no file train-labels-idx1-ubyte"):
        idx_set(tmp_path, None, "a")


@pytest.mark.parametrize("data", ["", " ", "{a},", ",{a}", "{a},,{a}", "{a}, ,{a}", "hf:", "hf: "])
def test_an_empty_name_is_not_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    (tmp_path / "a").mkdir()
    for folder in (tmp_path, tmp_path / "a"):
        for i, image in enumerate(random_images(20, 4, 4)):
            Image.fromarray(image).save(folder / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="--data must be a name, or folders with commas"):
        load(data.format(a="a"))


def test_the_current_folder_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path / "here", tmp_path / "there"):
        folder.mkdir()
        for i, image in enumerate(random_images(20, 4, 4)):
            Image.fromarray(image).save(folder / f"{i}.png")
    monkeypatch.chdir(tmp_path / "here")
    assert load(".,../there").classes == ("here", "there")


def test_an_empty_data_dir_is_not_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.chdir(tmp_path)
    for data in ("mnist", "digits"):
        line = refused("train", "ae", f"--data={data}", "--data-dir=", "--out=run")
        assert "--data-dir must be a folder, not an empty text" in line
    assert not (tmp_path / "run").exists()


def test_unknown_set_names_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    neither = "is neither a file or folder here nor a named set"
    with pytest.raises(InputError, match=f"'fashion' {neither}: did you mean 'fashion-mnist'"):
        load("fashion")
    (tmp_path / "shapes").mkdir()
    with pytest.raises(InputError, match=f"'shape' {neither}: did you mean 'shapes'. .named sets"):
        load("shape")
