"""Recipes and samplers of other packages, found by entry points and loaded only when used."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from zspace.errors import InputError, cut

RECIPES, SAMPLERS = "zspace.recipes", "zspace.samplers"
"""The entry-point groups by which other packages add recipes and samplers."""


def entries(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name; if two packages use the same name, the first counts."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        found.setdefault(entry.name, entry)
    return found


def package_of(entry: EntryPoint) -> str:
    """The name of the package that an entry point belongs to, as pip knows it."""
    return entry.value.split(":")[0].split(".")[0] if entry.dist is None else entry.dist.name


def source_of(entry: EntryPoint) -> str:
    """Where an entry point comes from, for messages: its package, and what it names."""
    return entry.value if entry.dist is None else f"the package {entry.dist.name} ({entry.value})"


def load_plugin(entry: EntryPoint, kind: str) -> Any:
    """The object that an entry point names.

    Args:
        entry: the entry point.
        kind: the kind of object for the error message, "recipe" or "sampler".

    Raises:
        InputError: it can't be imported; the message names the package and the reason.
    """
    try:
        return entry.load()
    except Exception as error:  # another package's code may fail in any way
        raise InputError(
            f"the {kind} '{entry.name}' of {source_of(entry)} fails: {type(error).__name__}: "
            f"{cut(str(error))}"
        ) from error
