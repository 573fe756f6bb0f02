"""A reader of SVHN's cropped digits in .mat files."""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zspace.data.conversion import from_arrays
from zspace.data.images import Part, Raw
from zspace.errors import InputError, cut, printable
from zspace.storage.reading import kind_of, size_text, whole

MOST = 1 << 30
"""The size in bytes of a file and of what it unpacks to, 4 times that of the published ones."""
MOST_ARRAYS = 100
"""The number of arrays in a file, at most; published ones have two."""
MATRIX, PACKED = 14, 15
"""The numbers of two types of elements: an array, and a compressed element."""
STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
"""The numbers of types of elements that hold numbers, and the types of these."""
NUMBERS = (
    "double",
    "single",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
)
KINDS = ("nothing", "cell", "struct", "object", "char", "sparse", *NUMBERS)
"""What an array holds, by MATLAB's number for it."""
COMPLEX = 1 << 11
"""The flag of an array of complex numbers."""


def read_mat(path: Path, sha256: str | None = None) -> Part:
    """The images and labels of one .mat file of MATLAB 5.

    It is read by code of its own, since SciPy's reader can be crashed by a damaged file.

    Args:
        path: a file that holds X, uint8 (32, 32, 3, N), and y (N, 1), numbers from 1 to 10, in
            which 10 stands for the digit 0.
        sha256: the SHA-256 of the file; None accepts any.

    Returns images (N, 3, 32, 32) and labels (N,).
    Raises:
        InputError: the file is empty, truncated, larger than `MOST`, holds no such arrays, or has
            another checksum.
    """
    content = whole(path, MOST, "an SVHN file")
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path} has a wrong checksum: truncated, or not the published file")
    try:
        x, y = _arrays(content)
    except InputError as error:
        raise InputError(f"{path} {error}") from error
    except (ValueError, struct.error, zlib.error) as error:
        raise InputError(f"{path} is truncated or no SVHN .mat file ({cut(str(error))})") from error
    labels = y.ravel().astype(np.int64) % 10
    return from_arrays(np.ascontiguousarray(x.transpose(3, 2, 0, 1)), labels, str(path))


def _arrays(content: bytes) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The arrays X and y, after a check that they are what SVHN's files hold."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("it is no MATLAB 5 file")
    found: dict[str, npt.NDArray[Any] | str] = {"X": "missing", "y": "missing"}
    for number, (kind, data) in enumerate(_elements(memoryview(content)[128:], order)):
        if number == MOST_ARRAYS:
            raise ValueError(f"it holds more than {MOST_ARRAYS} arrays")
        if kind == PACKED:
            ((kind, data),) = _elements(_unpacked(data), order)
        if kind == MATRIX:
            name, array = _matrix(data, order)
            if name in found:
                found[name] = array
    x, y = found["X"], found["y"]
    if isinstance(x, str) or x.dtype != np.uint8 or x.ndim != 4 or x.shape[:3] != (32, 32, 3):
        raise InputError(f"holds no SVHN images: X is {_what(x)}")
    n = x.shape[3]
    if isinstance(y, str) or sorted(y.shape) != sorted((n, 1)):
        raise InputError(f"holds no label for each of {n} images: y is {_what(y)}")
    if not bool(((y >= 1) & (y <= 10) & (y == np.rint(y))).all()):
        raise InputError("holds labels other than 1 to 10")
    return x, y


def _what(array: npt.NDArray[Any] | str) -> str:
    return array if isinstance(array, str) else f"{array.dtype} of shape {array.shape}"


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """The elements in a part of a file: the number of each one's type, and its data."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        start, step = at + 8, 8 + size
        if kind >> 16:  # a small element, of which the data stand where the size would be
            kind, size, start, step = kind & 0xFFFF, kind >> 16, at + 4, 8
        elif kind != PACKED:
            step += -size % 8
        if start + size > len(data) or (step == 8 and start < at + 8 and size > 4):
            raise ValueError("it ends before its data")
        yield kind, data[start : start + size]
        at += step


def _unpacked(data: memoryview) -> memoryview:
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(data, MOST + 1)
    if len(content) > MOST:
        raise InputError(f"unpacks to more than {size_text(MOST)}, the limit of SVHN")
    if not unpacker.eof:
        raise ValueError("it ends before its data")
    return memoryview(content)


def _matrix(data: memoryview, order: str) -> tuple[str, npt.NDArray[Any] | str]:
    """The name of an array, and the array, or what it holds if that is not real numbers."""
    parts = _elements(data, order)
    try:
        (_, flags), (_, sizes), (_, text), (stored, numbers) = (next(parts) for _ in range(4))
    except RuntimeError:
        return "", "nothing"
    name = printable(bytes(text).decode("latin1"))
    (flag,) = struct.unpack_from(f"{order}I", flags)
    kind = KINDS[flag & 0xFF] if flag & 0xFF < len(KINDS) else "unknown"
    if flag & COMPLEX or kind not in NUMBERS or stored not in STORED:
        return name, "complex" if flag & COMPLEX else kind
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    array = np.frombuffer(numbers, np.dtype(order + STORED[stored]))
    if min(shape, default=0) < 0 or math.prod(shape) != len(array):
        raise ValueError(f"an array has {len(array)} numbers, not those of {shape}")
    # the numbers may be stored as a smaller type than their own
    with np.errstate(invalid="ignore"):
        return name, array.reshape(shape, order="F").astype(kind, copy=False)


def svhn(folder: Path, checksums: dict[str, str] | None) -> Raw:
    """SVHN from the files train_32x32.mat and test_32x32.mat.

    Args:
        folder: the folder of these files.
        checksums: the SHA-256 of each file by its name; None accepts any.

    Raises:
        InputError: a file is missing or can't be read.
    """
    parts: dict[str, Part] = {}
    for part in ("train", "test"):
        name = f"{part}_32x32.mat"
        if kind_of(folder / name) != "file":
            raise InputError(f"{folder} has no file {name}")
        parts[part] = read_mat(folder / name, (checksums or {}).get(name))
    return Raw(parts, tuple("0123456789"))
