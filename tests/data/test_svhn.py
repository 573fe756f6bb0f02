"""SVHN's MATLAB files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.io import loadmat, savemat

from tests.conftest import random_images
from zspace.data import load
from zspace.data.svhn import read_mat, svhn
from zspace.errors import InputError


def test_svhn(tmp_path: Path) -> None:
    x = random_images(12, 32, 32, 3)
    y = np.arange(1, 13)[:, None] % 10 + 1  # 10 stands for the digit 0
    for part in ("train", "test"):
        savemat(tmp_path / f"{part}_32x32.mat", {"X": x.transpose(1, 2, 3, 0), "y": y})
    raw = svhn(tmp_path, None)
    assert np.array_equal(raw.parts["train"].x.numpy(), x.transpose(0, 3, 1, 2))
    assert raw.parts["test"].y.tolist() == [int(v) % 10 for v in y[:, 0]]
    with pytest.raises(InputError, match="wrong checksum"):
        load("svhn", tmp_path)
    path = tmp_path / "train_32x32.mat"
    content = path.read_bytes()
    for bad, message in (
        (b"", "is empty"),
        (content[:200], "truncated or no SVHN"),
        (b"x" * 500, "no SVHN .mat"),
    ):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=message):
            read_mat(path)
    savemat(path, {"X": x, "y": y})
    with pytest.raises(InputError, match="holds no SVHN images"):
        read_mat(path)


X = np.zeros((32, 32, 3, 12), np.uint8)
Y = np.ones((12, 1), np.uint8)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"X": X}, "holds no label for each of 12 images: y is missing"),
        ({"y": Y}, "holds no SVHN images: X is missing"),
        ({"X": X, "y": Y[:5]}, "holds no label for each of 12 images: y is uint8 of shape .5, 1."),
        ({"X": X, "y": "text"}, "y is char"),
        ({"X": X, "y": {"a": 1}}, "y is struct"),
        ({"X": X, "y": np.array([["a"]], dtype=object)}, "y is cell"),
        ({"X": X, "y": sparse.csc_matrix(Y.astype(float))}, "y is sparse"),
        ({"X": X, "y": Y * 1j}, "y is complex"),
        ({"X": X, "y": Y * 11}, "labels other than 1 to 10"),
        ({"X": X, "y": Y * 0}, "labels other than 1 to 10"),
        ({"X": X, "y": -Y.astype(np.int16)}, "labels other than 1 to 10"),
        ({"X": X, "y": Y * 1.5}, "labels other than 1 to 10"),
        ({"X": X, "y": Y * np.nan}, "labels other than 1 to 10"),
        ({"X": X.astype(np.int16), "y": Y}, "X is int16"),
        ({"X": X[:, :, 0], "y": Y}, "X is uint8 of shape .32, 32, 12."),
        ({"X": X[:8, :8], "y": Y}, "X is uint8 of shape .8, 8, 3, 12."),
        ({"X": X + 0j, "y": Y}, "X is complex"),
        ({"X": "text", "y": Y}, "X is char"),
        ({"X": {"a": X}, "y": Y}, "X is struct"),
        ({"X": np.array([[X]], dtype=object), "y": Y}, "X is cell"),
    ],
)
def test_mat_files_with_other_fields(
    tmp_path: Path, fields: dict[str, object], message: str
) -> None:
    savemat(tmp_path / "x.mat", fields)
    with pytest.raises(InputError, match=message):
        read_mat(tmp_path / "x.mat")


@pytest.mark.parametrize("packed", [False, True])
def test_a_mat_file_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    monkeypatch.setattr("zspace.data.svhn.MOST", 30_000)
    savemat(tmp_path / "x.mat", {"X": X, "y": Y}, do_compression=packed)
    message = "unpacks to more than 30000 bytes" if packed else "larger than 30000 bytes"
    with pytest.raises(InputError, match=message):
        read_mat(tmp_path / "x.mat")


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.int64])
def test_labels_of_any_type_of_number(tmp_path: Path, dtype: type) -> None:
    savemat(tmp_path / "x.mat", {"X": X, "y": np.arange(1, 13)[:, None].astype(dtype) % 10 + 1})
    assert read_mat(tmp_path / "x.mat").y.tolist() == [(i % 10 + 1) % 10 for i in range(1, 13)]


def test_what_matlab_stores_smaller_is_read_as_it_was(tmp_path: Path) -> None:
    """MATLAB stores doubles that are whole numbers as bytes, and short data in a tag."""
    savemat(tmp_path / "x.mat", {"X": X[..., :3], "y": Y[:3].astype(float) * 10})
    content = (tmp_path / "x.mat").read_bytes()
    doubles = struct.pack("<II3d", 9, 24, 10, 10, 10)
    assert content.count(doubles) == 1
    short = content.replace(doubles, struct.pack("<HH3Bx", 2, 3, 10, 10, 10))
    at = short.rindex(struct.pack("<I", 14), 0, short.index(struct.pack("<HH3B", 2, 3, 10, 10, 10)))
    (size,) = struct.unpack_from("<I", short, at + 4)
    short = short[: at + 4] + struct.pack("<I", size - 24) + short[at + 8 :]
    (tmp_path / "x.mat").write_bytes(short)
    part = read_mat(tmp_path / "x.mat")
    assert loadmat(tmp_path / "x.mat")["y"].ravel().tolist() == [10, 10, 10]
    assert part.y.tolist() == [0, 0, 0]


@pytest.mark.parametrize("packed", [False, True])
def test_damaged_mat_files_are_refused(tmp_path: Path, packed: bool) -> None:
    """Numbers in the head of each element are replaced, which can crash other readers."""
    savemat(tmp_path / "x.mat", {"X": X[..., :2], "y": Y[:2]}, do_compression=packed)
    content = (tmp_path / "x.mat").read_bytes()
    expected = read_mat(tmp_path / "x.mat")
    draw = np.random.default_rng(0)
    refusals = 0
    for _ in range(300):
        bad = bytearray(content)
        at = int(draw.integers(124, min(len(bad), 250) - 4))
        bad[at : at + 4] = draw.choice([b"\xff" * 4, b"\0" * 4, draw.bytes(4)])
        (tmp_path / "x.mat").write_bytes(bad)
        try:
            assert read_mat(tmp_path / "x.mat").x.shape == expected.x.shape
        except InputError as error:
            refusals += "\n" not in str(error)
    assert refusals > 150
