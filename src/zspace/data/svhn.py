"""A reader of SVHN's cropped digits in .mat files."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zspace.data.conversion import from_arrays
from zspace.data.files import BLOCK, kind_of, size_text, whole
from zspace.data.images import Part, Raw
from zspace.errors import InputError

MOST = 1 << 30
"""The size in bytes of a file and of what it unpacks to, 4 times that of the published ones."""
PACKED = 15
"""The number that marks a compressed element of a .mat file."""

NUMBERS = {*("single", "double"), *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64))}
"""The types that the labels may have."""


def read_mat(path: Path, sha256: str | None = None) -> Part:
    """The images and labels of one .mat file.

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
        _check_size(content)
        x, y = _arrays(content)
    except InputError as error:
        raise InputError(f"{path} {error}") from error
    except Exception as error:  # SciPy raises errors of many kinds for damaged files
        raise InputError(f"{path} is truncated or no SVHN .mat file ({error})") from error
    if not bool(((y >= 1) & (y <= 10) & (y == np.rint(y))).all()):
        raise InputError(f"{path} holds labels other than 1 to 10")
    y = y.ravel().astype(np.int64) % 10
    return from_arrays(np.ascontiguousarray(x.transpose(3, 2, 0, 1)), y, str(path))


def _check_size(content: bytes) -> None:
    """Refuse a file that ends too early or unpacks to more than `MOST`, before SciPy reads it."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("it is no MATLAB 5 file")
    at, total = 128, 0
    while at < len(content):
        kind, size = struct.unpack(f"{order}II", content[at : at + 8])
        element = content[at + 8 : at + 8 + size]
        if len(element) < size:
            raise ValueError("it ends before its data")
        at += 8 + size
        unpacker = zlib.decompressobj()
        while kind == PACKED and element and not unpacker.eof:
            total += len(unpacker.decompress(element, BLOCK))
            element = unpacker.unconsumed_tail
            if total > MOST:
                raise InputError(f"unpacks to more than {size_text(MOST)}, the limit of SVHN")


def _arrays(content: bytes) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The arrays X and y, which are read only if the file's list of contents says what they are."""
    from scipy.io import loadmat, whosmat

    listed = {name: (shape, kind) for name, shape, kind in whosmat(io.BytesIO(content))}
    (shape, kind), (own, numbers) = (listed.get(n, ((), "missing")) for n in ("X", "y"))
    if kind != "uint8" or len(shape) != 4 or shape[:3] != (32, 32, 3):
        raise InputError(f"holds no SVHN images: X is {kind} of shape {shape}")
    if numbers not in NUMBERS or sorted(own) != sorted((shape[3], 1)):
        raise InputError(f"holds no label for each of {shape[3]} images: y is {numbers} {own}")
    mat = loadmat(io.BytesIO(content), variable_names=["X", "y"])
    x, y = np.asarray(mat["X"]), np.asarray(mat["y"])
    if x.dtype != np.uint8 or y.dtype.kind not in "uif" or (x.shape, y.shape) != (shape, own):
        raise InputError(f"holds no SVHN images: X has dtype {x.dtype}, y has {y.dtype}")
    return x, y


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
