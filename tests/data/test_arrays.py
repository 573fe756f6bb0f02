"""NumPy arrays and files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import random_images
from zspace.data import from_arrays, load
from zspace.data.arrays import read_array_file
from zspace.errors import InputError


def test_npy_and_npz(tmp_path: Path) -> None:
    x, y = random_images(60, 8, 8, 3), np.arange(60) % 4
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "xy.npz", images=x, labels=y, classes=np.array(list("abcd")))
    np.savez(tmp_path / "parts.npz", x_train=x, y_train=y, x_test=x[:10], y_test=y[:10])
    assert load(str(tmp_path / "x.npy")).shape == (3, 8, 8)
    assert load(str(tmp_path / "xy.npz")).classes == tuple("abcd")
    images = load(str(tmp_path / "parts.npz"))
    assert len(images.test) == 10
    assert images.classes == tuple("0123")
    assert np.array_equal(images.test.x.numpy(), x[:10].transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((5, 8, 8), (1, 8, 8)),
        ((5, 8, 8, 3), (3, 8, 8)),
        ((5, 3, 8, 8), (3, 8, 8)),
        ((5, 8, 8, 1), (1, 8, 8)),
        ((5, 1, 8, 8), (1, 8, 8)),
    ],
)
def test_array_layouts(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert tuple(from_arrays(np.zeros(shape, np.uint8)).x.shape[1:]) == expected


def test_float_images_are_stored_as_the_nearest_level_and_vectors_as_they_are() -> None:
    x = np.random.default_rng(0).random((5, 4, 4))
    assert np.abs(from_arrays(x).x[:, 0].numpy() / 255 - x).max() <= 0.5 / 255 + 1e-9
    vectors = np.random.default_rng(0).normal(0, 100, (5, 4)).astype(np.float32)
    assert np.array_equal(from_arrays(vectors).x.numpy(), vectors)


@pytest.mark.parametrize(
    "x, y, message",
    [
        (np.zeros((0, 8, 8), np.uint8), None, "shape .*at least one"),
        (np.zeros((5,), np.uint8), None, "expected images"),
        (np.zeros((5, 2, 8, 8), np.uint8), None, "channels: expected 1 or 3"),
        (np.full((5, 8, 8), np.nan), None, "NaN or infinite"),
        (np.full((5, 8), np.inf), None, "NaN or infinite"),
        (np.full((5, 8, 8), 3.0), None, r"ranges over \[3, 3\]: floating-point images"),
        (np.full((5, 8, 8), 300), None, r"ranges over .* images lie in 0\.\.255"),
        (np.full((5, 8, 8), -1), None, r"ranges over"),
        (np.full((5, 8, 8), "a"), None, "expected numbers"),
        (np.full((5, 8, 8), 1j), None, "expected numbers"),
        (np.zeros((5, 8, 8), np.uint8), np.arange(4), r"labels .* shape \(4,\): expected \(5,\)"),
        (np.zeros((5, 8, 8), np.uint8), np.array([0, 1, 2, 3, -1]), "whole numbers from 0"),
        (np.zeros((5, 8, 8), np.uint8), np.linspace(0, 1, 5), "whole numbers from 0"),
    ],
)
def test_bad_arrays(x: np.ndarray, y: np.ndarray | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_arrays(x, y)


def test_labels_that_are_texts(tmp_path: Path) -> None:
    """They are numbered alike in all parts, in alphabetical order or in that of classes."""
    x = random_images(4, 5, 5)
    arrays = {"images": x, "labels": ["b", "a", "c", "b"], "images_test": x[:2]}
    arrays["labels_test"] = ["c", "b"]
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    raw = read_array_file(path)
    numbers = {part: p.y.tolist() for part, p in raw.parts.items() if p.y is not None}
    assert numbers == {"train": [1, 0, 2, 1], "test": [2, 1]}
    assert raw.classes == ("a", "b", "c")
    np.savez(path, **arrays, classes=["d", "c", "b", "a"])
    raw = read_array_file(path)
    assert raw.parts["train"].y is not None
    assert raw.parts["train"].y.tolist() == [2, 3, 1, 2]
    assert raw.classes == ("d", "c", "b", "a")
    np.savez(path, **arrays, classes=["c", "b"])
    with pytest.raises(InputError, match=r"labels that are none of its classes: a$"):
        read_array_file(path)
    np.savez(path, **{**arrays, "labels_test": [0, 1]})
    with pytest.raises(InputError, match=r"texts in labels and numbers in labels_test$"):
        read_array_file(path)


def test_bad_array_files(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, random_images(20, 8, 8))
    content = path.read_bytes()
    for bad, message in ((b"", "is empty"), (content[:-5], "truncated"), (b"abc", "no NumPy file")):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=message):
            load(str(path))
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"x\.npy holds Python objects, which are never read"):
        load(str(path))
    np.savez(tmp_path / "y.npz", other=np.zeros(3))
    with pytest.raises(InputError, match="holds other: expected an array named images"):
        load(str(tmp_path / "y.npz"))
    (tmp_path / "y.npz").write_bytes(b"PK\x03\x04broken")
    with pytest.raises(InputError, match="no NumPy file"):
        load(str(tmp_path / "y.npz"))
    bomb = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        bomb, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 8, 8)}
    )
    path.write_bytes(bomb.getvalue())
    with pytest.raises(InputError, match="truncated or no NumPy file"):
        load(str(path))
    np.savez(tmp_path / "y.npz", images=np.zeros((9, 4, 4), np.uint8), labels=np.full(9, 10**12))
    with pytest.raises(InputError, match="whole numbers from 0 to 99999"):
        load(str(tmp_path / "y.npz"))
    np.save(path, np.full((9, 4), 1e300))
    with pytest.raises(InputError, match="beyond single precision"):
        load(str(path))
    (tmp_path / "z.txt").write_text("x")
    with pytest.raises(InputError, match=r"no folder, \.npy or \.npz"):
        load(str(tmp_path / "z.txt"))
