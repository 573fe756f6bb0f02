"""Tensors in the cache, which can be computed again."""

from __future__ import annotations

from contextlib import suppress

from torch import Tensor

from zspace.errors import InputError
from zspace.storage.cache import cache_folder
from zspace.storage.files import read_tensors, write_tensors


def stored(folder: str, name: str) -> dict[str, Tensor] | None:
    """The tensors that were stored under a name, None if there are none or they are damaged.

    Args:
        folder: a folder of the cache.
        name: the name, made from checksums of everything that the tensors follow from.
    """
    path = cache_folder() / folder / f"{name}.safetensors"
    if not path.is_file():
        return None
    try:
        tensors, header = read_tensors(path, dict[str, str])
    except InputError:
        return None
    return tensors if header == {"entry": name} else None


def store(folder: str, name: str, tensors: dict[str, Tensor]) -> None:
    """Store tensors under a name (see `stored`), if the cache can be written."""
    with suppress(OSError, InputError):
        write_tensors(cache_folder() / folder / f"{name}.safetensors", tensors, {"entry": name})
