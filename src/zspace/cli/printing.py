"""Tables on the terminal: for people in colour, for a file or a pipe as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    pass


def print_tables(tables: Any) -> None:
    import sys

    from rich.console import Console

    # a terminal decides by itself; a file or a pipe gets whole lines
    console = Console(width=None if sys.stdout.isatty() else 10_000)
    for table in tables:
        if sys.stdout.isatty():
            console.print(table.rich())
        else:
            click.echo(table.markdown())
