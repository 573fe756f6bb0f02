"""Folders of pictures, CelebA among them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import random_images
from zspace.data import load, load_whole
from zspace.data.folder import read_folder
from zspace.errors import InputError


def pngs(folder: Path, x: np.ndarray, suffix: str = ".png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(x):
        Image.fromarray(image).save(folder / f"{i:03d}{suffix}")


@pytest.mark.parametrize("suffix", [".png", ".pgm", ".bmp", ".tif", ".gif"])
def test_flat_grey_folder(tmp_path: Path, suffix: str) -> None:
    x = random_images(40, 8, 8)
    pngs(tmp_path / "pictures", x, suffix)
    (tmp_path / "pictures" / "notes.txt").write_text("not an image")
    part, classes = load_whole(str(tmp_path / "pictures"))
    assert np.array_equal(part.x[:, 0].numpy(), x)
    assert part.y is None
    assert classes == ()
    images = load(str(tmp_path / "pictures"))
    assert sum("part: " in note for note in images.notes) == 2


def test_folder_of_classes_in_colour(tmp_path: Path) -> None:
    for label, name in enumerate(("cat", "dog")):
        pngs(tmp_path / name, random_images(15, 6, 4, 3, seed=label))
    images = load(str(tmp_path))
    assert images.shape == (3, 6, 4)
    assert images.classes == ("cat", "dog")
    whole, _ = load_whole(str(tmp_path))
    assert whole.y.tolist() == [0] * 15 + [1] * 15


def test_folder_with_parts(tmp_path: Path) -> None:
    for part, n in (("train", 20), ("val", 5), ("test", 6)):
        pngs(tmp_path / part / "a", random_images(n, 4, 4))
        pngs(tmp_path / part / "b", random_images(n, 4, 4))
    images = load(str(tmp_path))
    assert (len(images.train), len(images.validation), len(images.test)) == (40, 10, 12)
    assert images.notes == ()


def test_two_folders_are_two_classes(tmp_path: Path) -> None:
    pngs(tmp_path / "faces", random_images(20, 4, 4, 3))
    pngs(tmp_path / "anime", random_images(30, 4, 4, 3))
    images = load(f"{tmp_path / 'faces'},{tmp_path / 'anime'}", train_per_class=5)
    assert images.classes == ("faces", "anime")
    assert torch.bincount(images.train.y).tolist() == [5, 5]


def test_size_and_channels(tmp_path: Path) -> None:
    pngs(tmp_path / "a", random_images(10, 8, 12))
    pngs(tmp_path / "a" / "sub", random_images(10, 8, 12, 3))
    shutil.move(tmp_path / "a" / "sub", tmp_path / "b")
    assert read_folder(tmp_path / "a", 4, 3).parts["train"].x.shape == (10, 3, 4, 4)
    assert read_folder(tmp_path / "b", 16, 1).parts["train"].x.shape == (10, 1, 16, 16)
    assert read_folder(tmp_path / "b").parts["train"].x.shape == (10, 3, 8, 12)
    # the centred square of a wide picture
    wide = np.zeros((4, 12), np.uint8)
    wide[:, 4:8] = 200
    pngs(tmp_path / "wide", wide[None])
    x = read_folder(tmp_path / "wide", 4).parts["train"].x
    assert x.unique().tolist() == [200]


def test_sixteen_bit_greys_keep_their_upper_bits(tmp_path: Path) -> None:
    deep = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
    for i in range(12):
        Image.fromarray(deep).save(tmp_path / f"{i}.png")
    part, _ = load_whole(str(tmp_path))
    assert part.x.shape == (12, 1, 8, 8)
    assert np.array_equal(part.x[0, 0].numpy(), (deep >> 8).astype(np.uint8))


def test_bad_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        load(str(tmp_path / "empty"))
    with pytest.raises(InputError, match="no such folder or file"):
        load(str(tmp_path / "nowhere"))
    pngs(tmp_path / "mixed", random_images(20, 4, 4))
    Image.fromarray(random_images(1, 5, 4)[0]).save(tmp_path / "mixed" / "odd.png")
    with pytest.raises(InputError, match=r"images of unequal size: .*000\.png is 4x4, .*odd\.png"):
        load(str(tmp_path / "mixed"))
    assert load(str(tmp_path / "mixed"), image_size=4).shape == (1, 4, 4)
    pngs(tmp_path / "both", random_images(3, 4, 4))
    pngs(tmp_path / "both" / "c", random_images(3, 4, 4))
    with pytest.raises(InputError, match="images beside folders of images"):
        load(str(tmp_path / "both"))
    pngs(tmp_path / "few", random_images(3, 4, 4))
    with pytest.raises(InputError, match="too few to split a test part off"):
        load(str(tmp_path / "few"))


def test_parts_that_are_missing_double_or_unlike(tmp_path: Path) -> None:
    for name in ("val", "valid"):
        pngs(tmp_path / "a" / name, random_images(5, 4, 4))
    with pytest.raises(InputError, match="val, valid: expected train"):
        load(str(tmp_path / "a"))
    pngs(tmp_path / "b" / "train" / "cat", random_images(5, 4, 4))
    pngs(tmp_path / "b" / "test", random_images(5, 4, 4))
    with pytest.raises(InputError, match="must all be flat or all have a folder per class"):
        load(str(tmp_path / "b"))


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_broken_image_is_named(tmp_path: Path, content: bytes | None) -> None:
    pngs(tmp_path, random_images(10, 16, 16, 3))
    broken = tmp_path / "004.png"
    broken.write_bytes(broken.read_bytes()[:200] if content is None else content)
    with pytest.raises(InputError, match=r"004\.png is broken"):
        load(str(tmp_path))


def test_all_broken_images_are_counted(tmp_path: Path) -> None:
    for i, image in enumerate(random_images(20, 8, 8)):
        Image.fromarray(image).save(tmp_path / f"{i:03d}.png")
    for i in (4, 7, 9):
        path = tmp_path / f"{i:03d}.png"
        path.write_bytes(path.read_bytes()[:60])
    hint = r"\(--skip-broken leaves out broken files\)$"
    told = rf"004\.png is broken .*; 2 more files are refused {hint}"
    with pytest.raises(InputError, match=told):
        load(str(tmp_path))
    for i in (4, 7):
        (tmp_path / f"{i:03d}.png").write_bytes(b"nothing of the kind")
    told = rf"004\.png is broken .*; 1 more file is refused {hint}"
    with pytest.raises(InputError, match=told):
        load(str(tmp_path))
