"""Files that are received from others: opened without waiting, and read within bounds."""

from __future__ import annotations

import hashlib
import io
import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, Literal

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from zspace.errors import InputError

BLOCK = 1 << 20
"""The bytes that are read at once from a file of any length."""


def kind_of(path: Path) -> Literal["file", "folder"] | None:
    """What lies at a path, links followed: a file, a folder, or nothing (None).

    Raises:
        InputError: it is a device, a pipe or a socket, or the system does not tell.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        return "folder"
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is a device, a pipe or a socket: expected a file with data")
    return "file"


def opened(path: Path) -> io.BufferedReader:
    """A file, opened to be read in binary; a pipe that takes its place is not waited for.

    Raises:
        InputError: it is missing or no file, or the system does not open it.
    """
    kind = kind_of(path)
    if kind != "file":
        raise InputError(f"{path} is {'a folder' if kind else 'missing'}: expected a file")
    try:
        return open(path, "rb", opener=_without_waiting)
    except OSError as error:
        raise InputError(f"{path} can't be opened: {error.strerror}") from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def first_bytes(file: BinaryIO, path: Path) -> bytes:
    """The first two bytes of an open file, which tell what it is; it is at its begin again then.

    Raises:
        InputError: the file is empty.
    """
    start = file.read(2)
    if not start:
        raise InputError(f"{path} is empty")
    file.seek(0)
    return start


def whole(path: Path, most: int, what: str) -> bytes:
    """The content of a file.

    Args:
        path: the file.
        most: the size in bytes up to which it is read.
        what: what the file should be, for error messages.

    Raises:
        InputError: the file is missing, empty or larger, or can't be read.
    """
    with opened(path) as file:
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise InputError(f"{path} can't be read: {error.strerror}") from error
    if not content:
        raise InputError(f"{path} is empty")
    if len(content) > most:
        raise InputError(f"{path} is larger than {size_text(most)}, the limit of {what}")
    return content


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits.

    Raises:
        InputError: the file is missing, or can't be read.
    """
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_text(size: int) -> str:
    """A size in bytes as a text for people.

    >>> size_text(4 << 30), size_text(3000)
    ('4 GiB', '3000 bytes')
    """
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} bytes"


ROOM = 1 << 28
"""The bytes that building a network may take beyond a multiple of its file of weights."""


class Claims(TorchDispatchMode):
    """A context in which no more memory is taken than a network of a file of weights needs.

    The sizes of networks stand in files that are received. Those that can't be are refused here,
    before there is memory for them.

    Args:
        path: the file of the weights.

    Raises:
        InputError: the tensors that are made are larger than eight times the file and `ROOM`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.left = 8 * path.stat().st_size + ROOM

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        size: Any = args[0] if args and isinstance(args[0], list | tuple) else ()
        if func.overloadpacket is torch.ops.aten.eye:
            size = (args[0], args[-1])
        if func.overloadpacket is torch.ops.aten.repeat:
            size = (args[0].numel(), *args[1])
        if size and all(type(n) is int for n in size):
            self.left -= 4 * math.prod(size)
        if self.left < 0:
            raise InputError(
                f"{self.path} is of {size_text(self.path.stat().st_size)}, and can't hold the "
                "network of its configuration, which is far larger"
            )
        return func(*args, **(kwargs or {}))
