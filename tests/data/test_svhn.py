"""SVHN's MATLAB files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.io import savemat

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
        ({"X": X, "y": Y[:5]}, "holds no label for each of 12 images: y is uint8 .5, 1."),
        ({"X": X, "y": "text"}, "y is char"),
        ({"X": X, "y": {"a": 1}}, "y is struct"),
        ({"X": X, "y": np.array([["a"]], dtype=object)}, "y is cell"),
        ({"X": X, "y": sparse.csc_matrix(Y.astype(float))}, "y is sparse"),
        ({"X": X, "y": Y * 1j}, "y has complex"),
        ({"X": X, "y": Y * 11}, "labels other than 1 to 10"),
        ({"X": X, "y": Y * 0}, "labels other than 1 to 10"),
        ({"X": X, "y": -Y.astype(np.int16)}, "labels other than 1 to 10"),
        ({"X": X, "y": Y * 1.5}, "labels other than 1 to 10"),
        ({"X": X, "y": Y * np.nan}, "labels other than 1 to 10"),
        ({"X": X.astype(np.int16), "y": Y}, "X is int16"),
        ({"X": X[:, :, 0], "y": Y}, "X is uint8 of shape .32, 32, 12."),
        ({"X": X[:8, :8], "y": Y}, "X is uint8 of shape .8, 8, 3, 12."),
        ({"X": X + 0j, "y": Y}, "X is double"),
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
