"""CIFAR-10's batches, which are pickles and may execute nothing."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import random_images
from zspace.data import load
from zspace.data.cifar import read_batch
from zspace.errors import InputError


def batch_bytes(n: int = 20, **changes: Any) -> bytes:
    batch = {"data": random_images(n, 3072), "labels": list(range(10)) * (n // 10), **changes}
    return pickle.dumps(batch, protocol=2)


def test_cifar_batch(tmp_path: Path) -> None:
    path = tmp_path / "batch"
    path.write_bytes(batch_bytes())
    part = read_batch(path)
    assert part.x.shape == (20, 3, 32, 32)
    assert np.array_equal(part.x.numpy().reshape(20, -1), random_images(20, 3072))
    assert part.y.tolist() == list(range(10)) * 2


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_a_batch_can_execute_nothing(tmp_path: Path) -> None:
    mark, path = tmp_path / "executed", tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": Evil(mark)}))
    with pytest.raises(InputError, match="which no batch needs: refused"):
        read_batch(path)
    assert not mark.exists()
    path.write_bytes(b"cbuiltins\neval\n(S'1+1'\ntR.")
    with pytest.raises(InputError, match=r"asks for builtins\.eval"):
        read_batch(path)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (b"\x80\x02}q\x00", "truncated or no python batch"),
        (batch_bytes()[:-500], "truncated or no python batch"),
        (pickle.dumps([1, 2], 2), "holds no CIFAR-10 batch"),
        (batch_bytes(data=random_images(20, 100)), "holds no CIFAR-10 batch"),
        (batch_bytes(labels=[0]), "labels of .* have shape"),
    ],
)
def test_bad_batches(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_batch(tmp_path / "batch")


def test_cifar_checksums_are_looked_at(tmp_path: Path) -> None:
    for name in ("data_batch_1", "test_batch"):
        (tmp_path / name).write_bytes(batch_bytes())
    with pytest.raises(InputError, match="wrong checksum"):
        load("cifar10", tmp_path)
    (tmp_path / "test_batch").unlink()
    with pytest.raises(InputError, match="has no file test_batch"):
        load("cifar10", tmp_path)
