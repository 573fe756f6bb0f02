"""A lock on a folder that ends with its process, however that ends, and leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from zspace.errors import BusyError

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None


@contextmanager
def locked(folder: Path, instead: str = "train in another folder") -> Generator[None]:
    """A context in which no other process is inside of such a context for the same folder.

    The lock is the system's lock of the folder itself: it moves with the folder, and a process that
    is killed loses it. Where the system or the file system has none, nothing is locked.

    Args:
        folder: the folder.
        instead: what can be done in place of waiting, for the message.

    Raises:
        BusyError: another process holds the lock; the message names it.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"{folder} is in use by {_holder(handle)}: wait for it or stop it, or {instead}"
            ) from None
        except OSError:
            pass  # such as some network file systems
        if not folder.exists() or not os.path.samestat(folder.stat(), os.fstat(handle)):
            raise BusyError(f"{folder} was replaced by another process: try again")
        yield
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    """The process that holds the lock of an open folder, as far as the system tells."""
    inode = str(os.fstat(handle).st_ino)
    with suppress(OSError, IndexError):
        for line in Path("/proc/locks").read_text(encoding="utf-8").splitlines():
            fields = line.split()  # 1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF
            if fields[1] == "FLOCK" and fields[5].split(":")[-1] == inode and fields[4] != "0":
                return f"process {fields[4]}"
    return "another process"
