"""Tables of text, as Markdown, CSV or HTML, or on a terminal."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table as RichTable
from rich.text import Text

from zspace.errors import InputError, visible
from zspace.storage.files import write_text


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        header: the names of the columns.
        rows: the rows, each of as many cells as the header; a cell `**text**` is shown bold.
        title: the title; "" if there is none.
        notes: remarks below the table.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """The table as Markdown, with its title and notes."""

        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(visible(c).replace("|", "\\|") for c in cells) + " |"

        rule = (
            "|" + "|".join(" --- " if i == 0 else " ---: " for i in range(len(self.header))) + "|"
        )
        parts = [f"**{visible(self.title)}**\n"] if self.title else []
        parts += [line(self.header), rule, *(line(row) for row in self.rows)]
        parts += [f"\n{visible(note)}" for note in self.notes]
        return "\n".join(parts) + "\n"

    def csv(self) -> str:
        """The header and the rows as CSV."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerows([[plain(c) for c in row] for row in (self.header, *self.rows)])
        return out.getvalue()

    def html(self) -> str:
        """The table as an HTML fragment, with its title and notes."""

        def cells(row: Sequence[str], tag: str) -> str:
            return "".join(f"<{tag}>{_rich_html(c)}</{tag}>" for c in row)

        head = f"<tr>{cells(self.header, 'th')}</tr>"
        body = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in self.rows)
        title = f"<h3>{html.escape(self.title)}</h3>" if self.title else ""
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"{title}<table>\n<thead>{head}</thead>\n<tbody>{body}</tbody>\n</table>{notes}\n"

    def rich(self) -> RichTable:
        """The table for a terminal, with its title and without its notes."""
        table = RichTable(
            title=Text(visible(self.title)) if self.title else None,
            title_justify="left",
            title_style="bold",
        )
        for i, name in enumerate(self.header):
            table.add_column(
                Text(visible(name)), justify="left" if i == 0 else "right", overflow="fold"
            )
        for row in self.rows:
            table.add_row(
                *(Text(visible(plain(c)), "bold" if c.startswith("**") else "") for c in row)
            )
        return table


def plain(cell: str) -> str:
    """A cell's text without the marks of bold type."""
    return cell.removeprefix("**").removesuffix("**") if cell.startswith("**") else cell


def _rich_html(cell: str) -> str:
    text = html.escape(plain(cell))
    return f"<b>{text}</b>" if cell.startswith("**") else text


STYLE = """body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;
color:#222;background:#fff}table{border-collapse:collapse;margin:.8rem 0;display:block;
overflow-x:auto}th,td{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:right;
white-space:nowrap}th:first-child,td:first-child{text-align:left}th{border-bottom:2px solid #888}
img{max-width:100%;image-rendering:pixelated}figure{margin:1rem 0}figcaption{color:#555}
pre{background:#f5f5f5;padding:.8rem;overflow-x:auto}.warning{color:#a33}.ok{color:#273}"""


def page(title: str, body: str) -> str:
    """A complete HTML page, which loads nothing from outside and is not allowed to.

    Args:
        title: the title, as plain text.
        body: the content, as HTML.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{html.escape(title)}</h1>\n{body}</body></html>\n"
    )


def write_tables(path: Path, title: str, tables: Sequence[Table]) -> None:
    """Write tables to a Markdown, CSV or HTML file.

    Args:
        path: the file, whose suffix .md, .csv or .html determines the format.
        title: the title of the page; CSV has none.
        tables: the tables.

    Raises:
        InputError: the suffix is none of these.
    """
    check_table_file(path)
    if path.suffix.lower() == ".md":
        text = f"# {title}\n\n" + "\n".join(t.markdown() for t in tables)
    elif path.suffix.lower() == ".csv":
        text = "\n".join(t.csv() for t in tables)
    else:
        text = page(title, "\n".join(t.html() for t in tables))
    write_text(path, text)


def check_table_file(path: Path) -> None:
    """Check that a file has a suffix that `write_tables` knows.

    Raises:
        InputError: the suffix is not .md, .csv or .html.
    """
    if path.suffix.lower() not in (".md", ".csv", ".html"):
        raise InputError(f"--out must be a .md, .csv or .html file, not {path}")
