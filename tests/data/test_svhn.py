"""SVHN's MATLAB files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import random_images
from zspace.data import load
from zspace.data.svhn import read_mat, svhn
from zspace.errors import InputError


def test_svhn(tmp_path: Path) -> None:
    from scipy.io import savemat

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
