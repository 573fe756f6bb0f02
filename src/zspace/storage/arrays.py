"""Arrays in NumPy's files, written and read by blocks of rows, so that none is held whole."""

from __future__ import annotations

import math
import shutil
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from zspace.errors import InputError, cut
from zspace.storage.files import atomic, folder_beside
from zspace.storage.reading import opened, size_text

Array = npt.NDArray[Any]
Add = Callable[[str, Array], None]
"""A function that appends rows to the array of a given name."""
COLUMNWISE = 1 << 28
"""The size in bytes of an array stored by columns, at most, since it is read whole."""


@contextmanager
def growing(path: Path) -> Generator[Add]:
    """A context that gives a function by which the arrays of a NumPy file grow, block by block.

    The rows of each array wait in a temporary file beside `path`; at the end they become what
    `numpy.savez` would have written of the whole arrays, in the order in which these began, or
    `numpy.save` of the only one, to an .npy file. The file appears if all goes well, as with
    `atomic`.

    Raises:
        OSError: the file can't be written; the error names `path`.
    """
    with atomic(path) as partial, ExitStack() as files:
        folder = files.enter_context(folder_beside(partial))
        spools: dict[str, IO[bytes]] = {}
        first: dict[str, Array] = {}
        counts: dict[str, int] = {}

        def add(name: str, rows: Array) -> None:
            if name not in spools:
                spool = folder / str(len(spools))
                spools[name] = files.enter_context(spool.open("w+b"))
                first[name], counts[name] = rows[:0], 0
            spools[name].write(np.ascontiguousarray(rows).data)
            counts[name] += len(rows)

        yield add

        def write(name: str, file: IO[bytes]) -> None:
            header = np.lib.format.header_data_from_array_1_0(first[name])
            header |= {"shape": (counts[name], *first[name].shape[1:]), "fortran_order": False}
            np.lib.format.write_array_header_1_0(file, header)
            spools[name].seek(0)
            shutil.copyfileobj(spools[name], file, 1 << 20)
            spools[name].close()

        if path.suffix.lower() == ".npy":
            if len(spools) != 1:
                raise InputError(f"{path} holds one array, and there are {len(spools)}: use .npz")
            (name,) = spools
            with partial.open("wb") as file:
                write(name, file)
            return
        with zipfile.ZipFile(partial, "w", allowZip64=True) as written:
            for name in spools:
                with written.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    write(name, entry)


def checked_header(
    file: IO[bytes], size: int, path: Path
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """The shape, order (whether by columns) and type of an array in NumPy's format.

    Args:
        file: an open file, whose header is read.
        size: the number of its bytes.
        path: the file's name in error messages.

    Raises:
        InputError: the array holds Python objects.
        ValueError: the header is damaged, or claims another number of bytes.
    """
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"the format's version is {version}")
    shape, fortran, dtype = readers[version](file)
    if dtype.hasobject:
        raise InputError(f"{path} holds Python objects, which are never read: store numbers")
    held, expected = size - file.tell(), math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or held != expected:
        raise ValueError(f"it has {held} bytes of data, {expected} are expected for {shape}")
    return shape, fortran, dtype


class Stored:
    """An array in an .npy or .npz file, whose rows are read as they are asked for.

    Args:
        path: the file.
        name: the preferred array of an .npz file with several; a single one may have any name.

    Attributes:
        dtype, shape: those of the array.

    Raises:
        InputError: the file is missing or truncated, no NumPy file, or holds no such array, or one
            of Python objects, or a large one by columns.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        with self._opened() as (_, shape, self.columnwise, self.dtype):
            self.shape: tuple[int, ...] = shape
        size = math.prod(self.shape) * self.dtype.itemsize
        if self.columnwise and size > COLUMNWISE:
            raise InputError(
                f"{path} holds {size_text(size)} by columns, which are read up to "
                f"{size_text(COLUMNWISE)}: store the array by rows (numpy.ascontiguousarray)"
            )

    def blocks(self, rows: int, n: int) -> Iterator[Array]:
        """The first n rows, in blocks of at most `rows`; an array stored by columns is read whole.

        Raises:
            InputError: the file is truncated.
        """
        with self._opened() as (content, shape, columnwise, dtype):
            held = self.shape[0] if columnwise else rows
            for start in range(0, n, held):
                count = held if columnwise else min(rows, n - start)
                size = count * math.prod(shape[1:]) * dtype.itemsize
                read = content.read(size)
                if len(read) < size:
                    raise EOFError(f"it ends after {start} of {shape[0]} rows")
                order: Any = "F" if columnwise else "C"
                block = np.frombuffer(read, dtype).reshape((count, *shape[1:]), order=order)
                for first in range(0, min(count, n), rows):
                    yield block[first : min(first + rows, n)]

    @contextmanager
    def _opened(self) -> Generator[tuple[IO[bytes], tuple[int, ...], bool, np.dtype[Any]]]:
        """A context that gives the open array behind its header, and what the header says."""
        try:
            with ExitStack() as files:
                content: IO[bytes] = files.enter_context(opened(self.path))
                zipped = content.read(2) == b"PK"
                size = content.seek(0, 2)
                content.seek(0)
                if zipped:
                    archive = files.enter_context(zipfile.ZipFile(content))
                    entry = archive.getinfo(self._entry(archive.namelist()))
                    content, size = files.enter_context(archive.open(entry)), entry.file_size
                yield content, *checked_header(content, size, self.path)
        except (InputError, GeneratorExit):
            raise
        except Exception as error:  # there are errors of many kinds for damaged files
            raise InputError(
                f"{self.path} is truncated or no NumPy file ({cut(str(error))})"
            ) from error

    def _entry(self, entries: list[str]) -> str:
        wanted = f"{self.name}.npy"
        if wanted not in entries and len(entries) != 1:
            held = ", ".join(entry.removesuffix(".npy") for entry in entries)
            raise InputError(f"{self.path} holds {cut(held)}: expected an array named {self.name}")
        return wanted if wanted in entries else entries[0]
