"""Arrays that are written and read by blocks of rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zspace.data.npy import read_numpy
from zspace.errors import InputError
from zspace.storage.arrays import Stored, growing


def test_a_file_that_grows_is_what_numpy_writes_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10, 4, 4, 3), np.uint8)
    codes = rng.standard_normal((10, 5), np.float32)
    names = np.array(["one", "two"])
    with growing(tmp_path / "a.npz") as add:
        for start in range(0, 10, 4):
            add("images", images[start : start + 4])
            # the memory of rows may have any layout
            add("codes", np.asfortranarray(codes[start : start + 4]))
        add("classes", names)
        assert not (tmp_path / "a.npz").exists()
    np.savez(tmp_path / "b.npz", images=images, codes=codes, classes=names)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_a_file_whose_rows_fail_does_not_appear(tmp_path: Path) -> None:
    def write() -> None:
        with growing(tmp_path / "a.npz") as add:
            add("x", np.zeros((2, 2)))
            raise InputError("no more rows")

    with pytest.raises(InputError, match="no more rows"):
        write()
    assert not list(tmp_path.iterdir())


def saved(folder: Path, how: str, x: np.ndarray) -> Path:
    path = folder / f"x.{how[:3]}"
    if how == "npy":
        np.save(path, x)
    elif how == "npy by columns":
        np.save(path, np.asfortranarray(x))
    elif how == "npz":
        np.savez(path, other=np.zeros(3), codes=x)
    else:
        np.savez_compressed(path, alone=x)
    return path


HOW = ("npy", "npy by columns", "npz", "npz compressed")


@pytest.mark.parametrize("how", HOW)
def test_rows_are_read_as_numpy_reads_them(tmp_path: Path, how: str) -> None:
    x = np.random.default_rng(0).standard_normal((10, 3)).astype(">f4")
    read = Stored(saved(tmp_path, how, x), "codes")
    assert (read.shape, read.dtype) == (x.shape, x.dtype)
    blocks = [*read.blocks(4, 10)]
    assert [len(block) for block in blocks] == [4, 4, 2]
    assert np.array_equal(np.concatenate(blocks), x)
    assert np.array_equal(np.concatenate([*read.blocks(4, 6)]), x[:6])


@pytest.mark.parametrize("how", ["npy", "npy by columns"])
def test_a_file_that_ends_early_is_refused(tmp_path: Path, how: str) -> None:
    path = saved(tmp_path, how, np.zeros((10, 3)))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"truncated .* 210 bytes of data, 240 are expected"):
        Stored(path, "codes")


def test_files_that_hold_no_such_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=np.zeros(2), b=np.zeros(2))
    with pytest.raises(InputError, match="holds a, b: expected an array named codes"):
        Stored(tmp_path / "two.npz", "codes")
    with pytest.raises(InputError, match="is missing"):
        Stored(tmp_path / "none.npz", "codes")
    for content in (b"", b"PK", b"PK\x03\x04", b"text of no meaning"):
        (tmp_path / "x.npy").write_bytes(content)
        with pytest.raises(InputError, match="truncated or no NumPy file"):
            Stored(tmp_path / "x.npy", "codes")


def test_an_error_shows_little_of_a_damaged_archive(tmp_path: Path) -> None:
    """The library's message has the name in the file's header, which can be of any length."""
    path = tmp_path / "x.npz"
    np.savez(path, codes=np.arange(4000.0).reshape(-1, 4))
    content = bytearray(path.read_bytes())
    content[26:28] = (3000).to_bytes(2, "little")
    path.write_bytes(content)
    for read in (lambda: Stored(path, "codes"), lambda: read_numpy(path, lambda names: names)):
        with pytest.raises(InputError, match="is truncated or no NumPy file") as caught:
            read()
        assert len(str(caught.value)) < len(str(path)) + 150
