"""How tables and errors are told: in colour on a terminal, and as plain text elsewhere."""

from __future__ import annotations

from typing import Any

from zspace.cli.base import echo
from zspace.errors import InputError


def in_words(error: InputError | OSError) -> str:
    """What went wrong, as people are told it."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{error.filename} is a file where a folder is needed"
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"


def print_tables(tables: Any) -> None:
    """Print tables on standard output."""
    import sys

    from rich.console import Console

    # a terminal has a width of its own; lines to a file or a pipe are not wrapped
    terminal = sys.stdout is not None and sys.stdout.isatty()  # pyright: ignore[reportUnnecessaryComparison]
    console = Console(width=None if terminal else 10_000)
    for table in tables:
        if terminal:
            console.print(table.rich())
        else:
            echo(table.markdown())
