"""A reader of IDX files (MNIST, Fashion-MNIST), gzipped or not."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from zspace.data.conversion import from_arrays
from zspace.data.images import Raw
from zspace.data.npy import fill
from zspace.errors import InputError, cut
from zspace.storage.reading import first_bytes, kind_of, opened, size_text

MOST = 1 << 30
"""The unzipped size in bytes of a file that is read, 20 times that of MNIST."""


def read_idx(path: Path, sha256: str | None = None) -> npt.NDArray[np.uint8]:
    """The uint8 array that an IDX file holds.

    Args:
        path: the file, gzipped or not.
        sha256: the SHA-256 of the file's unzipped content; None accepts any.

    Raises:
        InputError: the file is empty, truncated, no IDX file of bytes, larger than `MOST`, or has
            another checksum.
    """
    with opened(path) as file:
        start = first_bytes(file, path)
        try:
            if start != b"\x1f\x8b":
                return _array(file, path, sha256)
            with gzip.GzipFile(fileobj=file) as unzipped:
                return _array(unzipped, path, sha256)
        except InputError:
            raise
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(f"{path} is truncated or damaged: {cut(str(error))}") from error


def _array(
    file: IO[bytes] | gzip.GzipFile, path: Path, sha256: str | None
) -> npt.NDArray[np.uint8]:
    head = file.read(4)
    if len(head) < 4 or head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 4:
        raise InputError(f"{path} is no IDX file of unsigned bytes")
    sizes = file.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise InputError(f"{path} is truncated: it ends before its data")
    shape = struct.unpack(f">{head[3]}I", sizes)
    if math.prod(shape) > MOST:
        raise InputError(
            f"{path} says that it holds {size_text(math.prod(shape))}: IDX files are read up to "
            f"{size_text(MOST)} (larger data can be given as an .npy file)"
        )
    array = np.empty(shape, np.uint8)
    read = fill(array, file)
    if read < array.nbytes:
        raise InputError(f"{path} is truncated: {read} bytes of data, {array.nbytes} expected")
    if file.read(1):
        raise InputError(f"{path} has more than the {read} bytes of data that it says it has")
    if sha256 is not None:
        hashed = hashlib.sha256(head + sizes)
        hashed.update(array.data)
        if hashed.hexdigest() != sha256:
            raise InputError(f"{path} has a wrong checksum: its content is not the published one")
    return array


def idx_set(folder: Path, checksums: dict[str, str] | None, classes: Sequence[str]) -> Raw:
    """A set of four IDX files: {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz].

    Args:
        folder: the folder of these files.
        checksums: the SHA-256 of each file's unzipped content by its name; None accepts any.
        classes: the names of the labels.

    Raises:
        InputError: a file is missing, can't be read, or holds no labelled grey images.
    """
    parts: dict[str, Any] = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        arrays: list[npt.NDArray[np.uint8]] = []
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            name = f"{prefix}-{kind}"
            found = [p for p in (folder / name, folder / f"{name}.gz") if kind_of(p) == "file"]
            if not found:
                raise InputError(f"{folder} has no file {name} or {name}.gz")
            arrays.append(read_idx(found[0], checksums[name] if checksums else None))
        x, y = arrays
        if x.ndim != 3 or y.ndim != 1 or (len(y) and int(y.max()) >= len(classes)):
            raise InputError(f"{folder} has {prefix} files that hold no labelled grey images")
        parts[part] = from_arrays(x, y, f"{folder}/{prefix}")
    return Raw(parts, tuple(classes))
