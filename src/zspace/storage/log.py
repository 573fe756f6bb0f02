"""The log of a training, a line of JSON for the losses of an iteration, read within bounds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from zspace.errors import InputError
from zspace.storage.files import decoded
from zspace.storage.reading import opened, size_text

T = TypeVar("T")

LARGEST = 1 << 30
"""The size in bytes up to which a log is read."""

LONGEST = 1 << 12
"""The size in bytes up to which a line of a log is read."""

LIMIT = torch.finfo(torch.float32).max
"""The largest number in a log."""

POINTS = 1 << 13
"""The number of lines from which on every second line of a log is left out of its picture."""


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a log, of which one at a time is held; none if there is no log.

    Raises:
        InputError: it is larger than 1 GiB, or can't be read.
    """
    if not path.is_file():
        return
    with opened(path) as file:
        if os.fstat(file.fileno()).st_size > LARGEST:
            raise InputError(f"{path} is larger than {size_text(LARGEST)}, the limit of logs")
        yield from iter(partial(file.readline, LONGEST), b"")


def losses(line: bytes, path: Path) -> dict[str, float] | None:
    """The losses in a line of a log, with its "iteration"; None if it holds something else.

    What no training writes counts as such: numbers beyond those of float32, say.
    """
    with suppress(InputError):
        found = decoded(line, dict[str, float], path)
        iteration = found.get("iteration", -1)
        known = all(abs(number) <= LIMIT for number in found.values())
        if known and 0 <= iteration < 1 << 53 and iteration.is_integer():
            return {**found, "iteration": int(iteration)}
    return None


def thinned(items: Iterable[T], most: int) -> list[T]:
    """Items at equal distances, the first among them: all, if these are fewer than `most`.

    Args:
        items: any number of items, of which `most` are held.
        most: an even number; there are at least half as many, if there are that many items.

    >>> thinned(range(5), 4)
    [0, 2, 4]
    """
    kept: list[T] = []
    step = 1
    for i, item in enumerate(items):
        if i % step == 0:
            kept.append(item)
            if len(kept) > most:
                del kept[1::2]
                step *= 2
    return kept


def events(folder: Path, iteration: int) -> Any:
    """A writer of TensorBoard's events to a folder, from an iteration on.

    Raises:
        InputError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("--tensorboard needs the package: pip install tensorboard") from error
    return SummaryWriter(str(folder), purge_step=iteration)
