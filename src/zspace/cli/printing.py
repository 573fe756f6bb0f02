"""Printing of tables, in colour on a terminal and as Markdown to a file or a pipe."""

from __future__ import annotations

from typing import Any

from zspace.cli.base import echo


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
