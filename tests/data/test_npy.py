"""NumPy files whose sizes are not what they say, or more than a small file should unpack to."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import random_images
from zspace.data import images, load
from zspace.data.arrays import read_array_file
from zspace.data.npy import read_numpy
from zspace.errors import InputError


def header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    out = io.BytesIO()
    held = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, held)
    return out.getvalue()


def packed(path: Path, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("images.npy", content)
    return path


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that a test reaches with little memory."""
    monkeypatch.setattr("zspace.data.npy.IN_MEMORY", 100_000)
    monkeypatch.setattr("zspace.data.images.IN_MEMORY", 100_000)


def test_texts_that_hold_no_characters(tmp_path: Path) -> None:
    texts = np.array(["a", "b"])
    texts.view(np.uint32)[1] = 0x110005
    for path in (tmp_path / "t.npy", tmp_path / "t.npz"):
        (np.save if path.suffix == ".npy" else np.savez)(path, texts)
        with pytest.raises(InputError, match="its texts hold what is no character"):
            read_numpy(path, lambda names: names)
    swapped = np.array(["a", "b\U0010ffff"]).astype(">U2")
    np.save(tmp_path / "t.npy", swapped)
    (held,) = read_numpy(tmp_path / "t.npy", lambda names: names).values()
    assert held.tolist() == ["a", "b\U0010ffff"]


@pytest.mark.parametrize("shape", [(10**12, 8, 8), (2**32, 2**32, 2), (-1, 8, 8), (9, 8, 8)])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_header_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, shape: tuple[int, ...]
) -> None:
    """No memory is allocated for what a file only claims."""

    def refuse(*_: object) -> None:
        raise AssertionError("memory was allocated")

    monkeypatch.setattr("zspace.data.npy.allocate", refuse)
    path = tmp_path / f"x{suffix}"
    content = header(shape) + bytes(640)
    if suffix == ".npy":
        path.write_bytes(content)
    else:
        packed(path, content)
    with pytest.raises(InputError, match=r"has 640 bytes of data, .* expected"):
        load(str(path))


def test_a_small_file_does_not_unpack_to_a_large_one(small: None, tmp_path: Path) -> None:
    zeros = np.zeros((2000, 8, 8), np.uint8)
    path = packed(tmp_path / "x.npz", header(zeros.shape) + zeros.tobytes())
    assert path.stat().st_size < 1000
    with pytest.raises(InputError, match=r"unpacks to .* compressed arrays are read up to 100000"):
        load(str(path))
    # several arrays count together
    np.savez_compressed(path, x_train=zeros[:900], x_test=zeros[:900])
    with pytest.raises(InputError, match="unpacks to"):
        load(str(path))
    # larger ones that are not compressed are memory-mapped
    x = random_images(2000, 8, 8)
    np.savez(path, images=x)
    held = read_numpy(path, lambda names: names)["images"]
    assert isinstance(held, np.memmap)
    assert np.array_equal(held, x)


def test_the_sizes_of_an_archive_are_not_believed(small: None, tmp_path: Path) -> None:
    zeros = header((2000, 8, 8)) + bytes(128_000)
    path = packed(tmp_path / "x.npz", zeros)
    content = bytearray(path.read_bytes())
    # the size in the archive's directory, which is the one that readers look at
    where = content.index(b"PK\1\2") + 24
    assert struct.unpack_from("<I", content, where) == (len(zeros),)
    struct.pack_into("<I", content, where, len(header((10, 8, 8))) + 640)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bytes of data|another size|Bad CRC"):
        load(str(path))
    # an array that is stored as it is can't be larger than the file
    path = packed(tmp_path / "y.npz", header((10, 8, 8)) + bytes(640), zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\1\2") + 24, 1 << 31)
    path.write_bytes(content)
    with pytest.raises(InputError, match="larger than the file"):
        load(str(path))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_are_packed_as_numpy_does(tmp_path: Path, method: int) -> None:
    path = packed(tmp_path / "x.npz", header((10, 8, 8)) + bytes(640), method)
    with pytest.raises(InputError, match="compressed in a way that NumPy does not use"):
        load(str(path))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
def test_arrays_of_any_order_and_type_are_read(
    small: None, tmp_path: Path, order: str, dtype: type
) -> None:
    for n in (10, 5000):
        x = np.asarray(random_images(n, 8, 8), dtype, order=order)  # type: ignore[call-overload]
        np.save(tmp_path / "x.npy", x)
        np.savez(tmp_path / "x.npz", x)
        for name in ("x.npy", "x.npz"):
            (held,) = read_numpy(tmp_path / name, lambda names: names).values()
            assert np.array_equal(held, x)
            assert held.dtype == dtype


def test_names_of_an_archive_are_shown_as_texts(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(1000):
            archive.writestr(f"{'n' * 150}{i}\x1b.npy", b"")
    with pytest.raises(InputError, match="and 995 more: expected an array named images") as caught:
        load(str(path))
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "classes",
    [np.array(["a"]), np.array([["a", "b"]]), np.array([b"a", b"b"]), np.arange(2), np.array("ab")],
)
def test_classes_that_name_no_labels_are_refused(tmp_path: Path, classes: np.ndarray) -> None:
    x, y = random_images(20, 4, 4), np.arange(20) % 2
    np.savez(tmp_path / "x.npz", images=x, labels=y, classes=classes)
    with pytest.raises(InputError, match=r"the classes of .* a name for each label up to 1"):
        load(str(tmp_path / "x.npz"))


@pytest.mark.parametrize("kind", ["channels last", "wide", "floats", "vectors"])
def test_large_data_are_converted_into_mapped_files(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Layouts and types that must be converted need no copy in memory."""
    x, expected = {
        "channels last": lambda x: (x.transpose(0, 2, 3, 1), x),
        "wide": lambda x: (x.astype(np.int32), x),
        "floats": lambda x: (x / np.float32(255), x),
        "vectors": lambda x: (x.reshape(len(x), -1) * 2.0, x.reshape(len(x), -1) * 2.0),
    }[kind](random_images(1000, 3, 8, 8))
    np.save(tmp_path / "x.npy", x)
    made: list[tuple[int, ...]] = []
    real = images.allocate

    def counted(shape: tuple[int, ...], dtype: object = np.uint8) -> np.ndarray:
        made.append(shape)
        return real(shape, dtype)

    for module in ("levels", "conversion"):
        monkeypatch.setattr(f"zspace.data.{module}.allocate", counted)
    part = read_array_file(tmp_path / "x.npy").parts["train"]
    assert made == [expected.shape]
    assert np.array_equal(part.x.numpy(), expected)
