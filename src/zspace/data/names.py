"""The names of received files and classes, as texts that can be stored and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zspace.errors import InputError, printable

SAMPLES = (
    "images",
    "image",
    "img",
    "pixel_values",
    "x",
    "X",
    "data",
    "vectors",
    "vector",
    "codes",
    "latents",
    "embeddings",
    "z",
)
"""The names under which samples are looked for in files of arrays and in mappings."""
LABELS = ("labels", "label", "y", "targets", "target", "fine_label")
"""The names under which their labels are looked for."""


def listed(folder: Path) -> list[Path]:
    """What lies in a folder, sorted, without names that begin with a dot.

    Raises:
        InputError: the system does not list it.
    """
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder} can't be read: {error.strerror}") from error


def class_names(names: Sequence[str], what: str) -> tuple[str, ...]:
    """The names of classes as printable texts.

    Args:
        names: the names as they were found.
        what: the data that they belong to, for error messages.

    Raises:
        InputError: a name is empty, or two classes have the same.
    """
    texts = tuple(map(printable, names))
    if not all(texts):
        raise InputError(f"a class of {what} has an empty name")
    if len(set(texts)) < len(texts):
        seen: set[str] = set()
        twice = next(name for name in texts if name in seen or seen.add(name))
        raise InputError(f"two classes of {what} have the name {twice}")
    return texts


def some(names: Sequence[str]) -> str:
    """The first of many names in a text for people, and the number of the others."""
    shown = ", ".join(map(printable, names[:5])) or "nothing"
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
