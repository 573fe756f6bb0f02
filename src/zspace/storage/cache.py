"""The cache, which keeps classifiers, features and weight files between commands.

Its folder is given by the environment variable ZSPACE_CACHE; if that is unset, it is `zspace` in
XDG_CACHE_HOME or else in ~/.cache. Everything that zspace itself stores there can be made again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from zspace.errors import InputError

CHUNK = 1 << 26
"""The number of bytes that are hashed at a time."""


def cache_folder() -> Path:
    """The folder of the cache, which need not exist yet."""
    own = os.environ.get("ZSPACE_CACHE")
    if own:
        return home_expanded("ZSPACE_CACHE", own)
    return user_cache() / "zspace"


def user_cache() -> Path:
    """The folder of all caches of the user, by the environment variable XDG_CACHE_HOME."""
    return home_expanded("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME") or "~/.cache")


def home_expanded(name: str, value: str) -> Path:
    """The path that an environment variable names, in which "~" is the home folder.

    Raises:
        InputError: there is no such home folder.
    """
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"the environment variable {name} names {value}, which has no home folder: set it to a "
            "folder"
        ) from error


@contextmanager
def alone(folder: Path, waits: Callable[[], None]) -> Generator[None]:
    """A context in which this process is the only one that makes a folder or file of the cache.

    Args:
        folder: the folder or file.
        waits: called before waiting, if another process is making it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        waits()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def fingerprint(*tensors: Tensor | None) -> str:
    """A checksum of the types, shapes and contents of tensors (or None): 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for x in tensors:
        if x is None:
            digest.update(b"none")
            continue
        digest.update(f"{x.dtype}{tuple(x.shape)}".encode())
        flat = x.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        for part in flat.split(CHUNK):
            digest.update(part.numpy().data)
    return digest.hexdigest()[:16]


def key(settings: Any) -> str:
    """A short name for a configuration of values that JSON knows: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
