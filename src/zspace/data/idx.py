"""A reader of IDX files (MNIST, Fashion-MNIST), gzipped or not."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zspace.data.conversion import from_arrays
from zspace.data.images import Raw
from zspace.errors import InputError


def read_idx(path: Path, md5: str | None = None) -> npt.NDArray[np.uint8]:
    """The uint8 array that an IDX file holds.

    Args:
        path: the file, gzipped or not.
        md5: the MD5 of the file's unzipped content; None accepts any.

    Raises:
        InputError: the file is empty, truncated, no IDX file of bytes, or has another checksum.
    """
    data = path.read_bytes()
    if not data:
        raise InputError(f"{path} is empty")
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(f"{path} is truncated or damaged: {error}") from error
    if len(data) < 4 or data[:3] != b"\0\0\x08" or not 1 <= data[3] <= 4:
        raise InputError(f"{path} is no IDX file of unsigned bytes")
    ndim = data[3]
    if len(data) < 4 + 4 * ndim:
        raise InputError(f"{path} is truncated: it ends before its data")
    shape = struct.unpack(f">{ndim}I", data[4 : 4 + 4 * ndim])
    body = data[4 + 4 * ndim :]
    expected = math.prod(shape)
    if len(body) != expected:
        raise InputError(f"{path} is truncated: {len(body)} bytes of data, {expected} expected")
    if md5 is not None and hashlib.md5(data).hexdigest() != md5:
        raise InputError(f"{path} has a wrong checksum: its content is not the published one")
    return np.frombuffer(body, np.uint8).reshape(shape).copy()


def idx_set(folder: Path, checksums: dict[str, str] | None, classes: Sequence[str]) -> Raw:
    """A set of four IDX files: {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz].

    Args:
        folder: the folder of these files.
        checksums: the MD5 of each file's unzipped content by its name; None accepts any.
        classes: the names of the labels.

    Raises:
        InputError: a file is missing, can't be read, or holds no labelled grey images.
    """
    parts: dict[str, Any] = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        arrays: list[npt.NDArray[np.uint8]] = []
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            name = f"{prefix}-{kind}"
            found = [p for p in (folder / name, folder / f"{name}.gz") if p.is_file()]
            if not found:
                raise InputError(f"{folder} has no file {name} or {name}.gz")
            arrays.append(read_idx(found[0], checksums[name] if checksums else None))
        x, y = arrays
        if x.ndim != 3 or y.ndim != 1 or (len(y) and int(y.max()) >= len(classes)):
            raise InputError(f"{folder} has {prefix} files that hold no labelled grey images")
        parts[part] = from_arrays(x, y, f"{folder}/{prefix}")
    return Raw(parts, tuple(classes))
