"""Printing of tables, in colour on a terminal and as Markdown to a file or a pipe."""

from __future__ import annotations

from typing import Any

from zspace.cli.base import echo


def print_tables(tables: Any) -> None:
    """Print tables on standard output."""
    import sys

    from rich.console import Console

    # a terminal has a width of its own; lines to a file or a pipe are not wrapped
    console = Console(width=None if sys.stdout.isatty() else 10_000)
    for table in tables:
        if sys.stdout.isatty():
            console.print(table.rich())
        else:
            echo(table.markdown())
