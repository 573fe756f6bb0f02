"""CIFAR-10's batches, which are pickles and may execute nothing."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
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


PUT = {"array": b"cnumpy\nndarray\n", "dtype": b"cnumpy\ndtype\n"}
"""The beginnings of pickles that name NumPy's types, which must never be called."""


def number(n: int) -> bytes:
    return b"J" + struct.pack("<i", n)


def nested(step: bytes, times: int, last: bytes) -> bytes:
    return b"\x80\x02" + b"}" + b")" + step * times + last + b"."


ATTACKS = {
    "an array of 2 GiB": PUT["array"] + b"(" + number(1 << 31 - 1) + b"tR.",
    "a memo of 2^31 places": b"\x80\x02}r" + struct.pack("<I", (1 << 31) - 1) + b".",
    "bytes of 2^60": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.",
    "a frame of 2^60": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"}.",
    "a key that takes for ever": nested(b"q\x00h\x00\x86", 60, b"Ns"),
    "a key as deep as the stack": nested(b"\x85", 400_000, b"Ns"),
    "a name that takes for ever": b"\x80\x04}q\x00)" + b"q\x00h\x00\x86" * 60 + b"N\x93.",
    "a call of what is deep": nested(b"\x85", 400_000, b")R"),
    "a million steps": b"\x80\x02" + b"N0" * 600_000 + b".",
    "nothing but steps": b"\x80\x02" + b"N" * 1_100_000 + b".",
    "labels without end": (
        b"\x80\x02}X\x06\x00\x00\x00labels]q\x00K\x01a"
        + b"]q\x01("
        + b"h\x00" * 50
        + b"e"
        + b"q\x00" * 1
        + b"s."
    ),
    "a type of its own": PUT["dtype"] + b"(X\x04\x00\x00\x00V999K\x00K\x01tR(K\x03tb.",
    "an object": b"(ipathlib\nPath\n.",
    "a persistent object": b"Pabc\n.",
    "an extension": b"\x80\x02\x82\x01.",
}


def test_a_batch_can_take_no_memory_and_no_time(tmp_path: Path) -> None:
    """In a process of its own, which has 500 MB and 60 seconds more than it begins with."""
    for name, attack in ATTACKS.items():
        (tmp_path / name).write_bytes(attack)
    code = (
        "import resource, sys; from pathlib import Path; from zspace.data.cifar import read_batch\n"
        "held = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (held + 500_000_000,) * 2)\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (int(sum(resource.getrusage(0)[:2])) + 60,) * 2)\n"
        "for path in map(Path, sys.argv[1:]):\n"
        "    try: read_batch(path)\n"
        "    except ValueError: print(path.name, flush=True)"
    )
    paths = [str(tmp_path / name) for name in ATTACKS]
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True)
    assert (done.stdout.splitlines(), done.returncode) == ([*ATTACKS], 0), done.stderr[-500:]


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
        (batch_bytes(data=random_images(30, 3072)), "no label from 0 to 9 .*30 images, 20 labels"),
        (batch_bytes(data=random_images(20, 3072).astype(np.int8)), "holds no CIFAR-10 batch"),
        (batch_bytes(data=random_images(20, 3, 1024)), "holds no CIFAR-10 batch"),
        (batch_bytes(data=random_images(3072)), "holds no CIFAR-10 batch"),
        (batch_bytes(data="text"), "holds no CIFAR-10 batch"),
        (batch_bytes(data=[[0] * 3072] * 20), "holds no CIFAR-10 batch"),
        (batch_bytes(labels=(0,) * 20), "holds no CIFAR-10 batch"),
        (batch_bytes(labels=None), "holds no CIFAR-10 batch"),
        (batch_bytes(labels=[[0]] * 20), "no label from 0 to 9"),
        (batch_bytes(labels=[[0], [1, 2]] * 10), "no label from 0 to 9"),
        (batch_bytes(labels=["1"] * 20), "no label from 0 to 9"),
        (batch_bytes(labels=[1.5] * 20), "no label from 0 to 9"),
        (batch_bytes(labels=[True] * 20), "no label from 0 to 9"),
        (batch_bytes(labels=[-1] * 20), "no label from 0 to 9"),
        (batch_bytes(labels=[10] * 20), "no label from 0 to 9"),
        (batch_bytes(labels=[10**30] * 20), "no label from 0 to 9"),
        (batch_bytes(labels=[0]), "no label from 0 to 9 for each image .20 images, 1 labels"),
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


def test_a_batch_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zspace.data.cifar.MOST", 1000)
    (tmp_path / "batch").write_bytes(batch_bytes())
    with pytest.raises(InputError, match="larger than 1000 bytes, the limit of a python batch"):
        read_batch(tmp_path / "batch")


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("order", ["C", "F"])
def test_batches_of_any_writer_are_read(tmp_path: Path, protocol: int, order: str) -> None:
    x = random_images(20, 3072)
    batch = {"data": np.asarray(x, order=order), "labels": [3] * 20, "filenames": ["a.png"] * 20}
    (tmp_path / "batch").write_bytes(pickle.dumps(batch, protocol=protocol))
    part = read_batch(tmp_path / "batch")
    assert np.array_equal(part.x.numpy().reshape(20, -1), x)
    assert part.y.tolist() == [3] * 20
