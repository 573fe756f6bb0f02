"""IDX files, and every way in which one can be wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import random_images, write_idx
from zspace.data import load
from zspace.data.idx import idx_set, read_idx
from zspace.errors import InputError


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_set(tmp_path: Path, zipped: bool) -> None:
    ending = ".gz" if zipped else ""
    x, y = random_images(30, 6, 5), np.arange(30) % 3
    for prefix in ("train", "t10k"):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte{ending}", x, zipped=zipped)
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte{ending}", y, zipped=zipped)
    raw = idx_set(tmp_path, None, "abc")
    assert np.array_equal(raw.parts["train"].x[:, 0].numpy(), x)
    assert raw.parts["test"].y.tolist() == y.tolist()
    with pytest.raises(InputError, match="wrong checksum"):
        load("mnist", tmp_path)


def test_an_idx_file_says_its_size_and_is_held_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is read as far as its header says, and no further, however much it unpacks to."""
    path = tmp_path / "a.gz"
    good = write_idx(tmp_path / "good", random_images(4, 3, 3)).read_bytes()
    path.write_bytes(gzip.compress(good + bytes(50_000_000)))
    read: list[int] = []
    real = gzip.GzipFile.read

    def counted(file: gzip.GzipFile, size: int = -1) -> bytes:
        content = real(file, size)
        read.append(len(content))
        return content

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    with pytest.raises(InputError, match="more than the 36 bytes of data that it says it has"):
        read_idx(path)
    assert sum(read) == len(good) + 1
    path.write_bytes(gzip.compress(b"\0\0\x08\3" + b"\0\1\0\0" * 3))
    monkeypatch.setattr("numpy.empty", lambda *_: pytest.fail("memory was allocated"))
    with pytest.raises(InputError, match=r"holds 262144 GiB|holds 2.62e\+05 GiB: .* up to 1 GiB"):
        read_idx(path)


def test_bad_idx(tmp_path: Path) -> None:
    good = write_idx(tmp_path / "good", random_images(4, 3, 3))
    path = tmp_path / "bad"
    zipped = gzip.compress(good.read_bytes())
    for content, message in (
        (b"", "is empty"),
        (good.read_bytes()[:-1], "truncated: 35 bytes of data, 36 expected"),
        (good.read_bytes() + b"x", "more than the 36 bytes of data that it says"),
        (good.read_bytes()[:7], "truncated"),
        (b"\0\0\x0d\3" + good.read_bytes()[4:], "no IDX file"),
        (b"hello world", "no IDX file"),
        (zipped[:-9], "truncated or damaged"),
        (zipped[:20] + b"xxxx" + zipped[24:], "truncated or damaged|truncated"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_idx(path)
