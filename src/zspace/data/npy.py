"""A reader of the arrays in `.npy` and `.npz` files, which believes no size that a file claims."""

from __future__ import annotations

import gzip
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from zspace.data.images import IN_MEMORY, allocate
from zspace.errors import InputError, cut
from zspace.storage.arrays import checked_header
from zspace.storage.reading import BLOCK, first_bytes, opened, size_text


def read_numpy(
    path: Path, choose: Callable[[list[str]], Iterable[str]]
) -> dict[str, npt.NDArray[Any]]:
    """Arrays of a NumPy file by name.

    An array that is larger than `IN_MEMORY` is memory-mapped. Arrays of an .npz file that together
    are larger must not be compressed: a small file could fill any memory or disk otherwise.

    Args:
        path: an .npz file, or an .npy file, whose only array has the name arr_0.
        choose: a function from the names of all arrays to those that are to be read.

    Raises:
        InputError: the file is empty, truncated, no NumPy file, or too large; an array holds Python
            objects.
    """
    with opened(path) as file:
        start = first_bytes(file, path)
        try:
            if start != b"PK":
                size = file.seek(0, 2)
                file.seek(0)
                return {name: _single(file, size, path) for name in choose(["arr_0"])}
            with zipfile.ZipFile(file) as archive:
                members = {m.filename.removesuffix(".npy"): m for m in archive.infolist()}
                chosen = {name: members[name] for name in choose([*members])}
                _check_sizes([*chosen.values()], path)
                return {name: _member(archive, member, path) for name, member in chosen.items()}
        except InputError:
            raise
        except Exception as error:  # damaged files cause errors of many kinds
            raise InputError(f"{path} is truncated or no NumPy file ({cut(str(error))})") from error


def _single(file: BinaryIO, size: int, path: Path) -> npt.NDArray[Any]:
    if size <= IN_MEMORY:
        return _read(file, size, path)
    checked_header(file, size, path)
    return np.load(path, "c", allow_pickle=False)


def _check_sizes(members: list[zipfile.ZipInfo], path: Path) -> None:
    plain = [m.file_size for m in members if m.compress_type == zipfile.ZIP_STORED]
    packed = [m.file_size for m in members if m.compress_type == zipfile.ZIP_DEFLATED]
    if len(plain) + len(packed) < len(members):
        raise ValueError("it is compressed in a way that NumPy does not use")
    if sum(plain) > path.stat().st_size:
        raise ValueError("its arrays are larger than the file")
    if sum(packed) > IN_MEMORY:
        raise InputError(
            f"{path} unpacks to {size_text(sum(packed))}: compressed arrays are read up to "
            f"{size_text(IN_MEMORY)}; numpy.savez stores larger ones without compression"
        )


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> npt.NDArray[Any]:
    with archive.open(member) as file:
        return _read(file, member.file_size, path)


def _read(file: IO[bytes], size: int, path: Path) -> npt.NDArray[Any]:
    shape, fortran, dtype = checked_header(file, size, path)
    array = allocate(shape[::-1] if fortran else shape, dtype)
    if fill(array, file) < array.nbytes or file.read(1):
        raise ValueError(f"its data have another size than {array.nbytes} bytes")
    if dtype.kind == "U":
        codes = np.atleast_1d(array).view(np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if codes.max(initial=0) > sys.maxunicode:
            raise ValueError("its texts hold what is no character")
    return array.T if fortran else array


def fill(array: npt.NDArray[Any], file: IO[bytes] | gzip.GzipFile) -> int:
    """Fill an array with the bytes of a file, block by block, and count them.

    Args:
        array: a contiguous array.
        file: an open file, which is read to its end or until the array is full.
    """
    if not array.nbytes:
        return 0
    room = array.reshape(-1).view(np.uint8)
    done = 0
    while done < len(room) and (block := file.read(min(BLOCK, len(room) - done))):
        room[done : done + len(block)] = np.frombuffer(block, np.uint8)
        done += len(block)
    return done
