"""Tables of text, as Markdown, CSV, LaTeX or HTML, or on a terminal."""

from __future__ import annotations

import base64
import csv
import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table as RichTable
from rich.text import Text

from zspace.errors import InputError, visible
from zspace.storage.files import write_text

WIDEST = 8
"""The number of columns of a table in HTML, at most, so that it fits on a screen."""
LONG = 32
"""The length of a cell in HTML above which it may have several lines."""


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
        writer.writerows([[_csv(c) for c in row] for row in (self.header, *self.rows)])
        return out.getvalue()

    def tex(self) -> str:
        """The table as LaTeX, for the package booktabs, with its title and notes as comments."""

        def line(cells: Sequence[str]) -> str:
            return " & ".join(map(_tex, cells)) + r" \\"

        columns = "l" + "r" * (len(self.header) - 1)
        parts = [f"% {visible(text)}" for text in (self.title, *self.notes) if text]
        parts += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", line(self.header), r"\midrule"]
        parts += [line(row) for row in self.rows]
        return "\n".join([*parts, r"\bottomrule", r"\end{tabular}"]) + "\n"

    def html(self) -> str:
        """The table as an HTML fragment, with its title and notes.

        A table of many columns comes as several of at most `WIDEST`, one below the other.
        """

        def cells(row: Sequence[str], tag: str) -> str:
            long = [' class="long"' if len(c) > LONG else "" for c in row]
            return "".join(
                f"<{tag}{kind}>{_rich_html(c)}</{tag}>" for c, kind in zip(row, long, strict=True)
            )

        count = len(self.header) - 1
        pieces = max(1, math.ceil(count / (WIDEST - 1)))
        parts = [f"<h3>{html.escape(self.title)}</h3>"] if self.title else []
        for i in range(pieces):
            own = slice(1 + i * count // pieces, 1 + (i + 1) * count // pieces)
            head, *body = ([row[0], *row[own]] for row in (self.header, *self.rows))
            lines = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in body)
            parts.append(
                f"<table>\n<thead><tr>{cells(head, 'th')}</tr></thead>\n"
                f"<tbody>{lines}</tbody>\n</table>"
            )
        parts += [f"<p>{html.escape(note)}</p>" for note in self.notes]
        return "\n".join(parts) + "\n"

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
            table.add_row(*(Text(visible(plain(c)), "bold" if c != plain(c) else "") for c in row))
        return table


def plain(cell: str) -> str:
    """A cell's text without the marks of bold type."""
    return cell[2:-2] if len(cell) > 4 and cell.startswith("**") and cell.endswith("**") else cell


TEX = {
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}
"""What stands in LaTeX for characters that mean something else there, or that its fonts lack."""


def _tex(cell: str) -> str:
    text = "".join(TEX.get(c, c) for c in visible(plain(cell)))
    if cell != plain(cell):
        return rf"\textbf{{{text}}}"
    # at the beginning of a row these would be arguments of the row before
    return f"{{}}{text}" if text.startswith(("[", "*")) else text


def _csv(cell: str) -> str:
    """A cell as text that no spreadsheet takes for a formula."""
    text = plain(cell)
    if not text.startswith(("=", "+", "-", "@")):
        return text
    try:
        float(text.split(" ")[0])
    except ValueError:
        return f"'{text}"
    return text


def _rich_html(cell: str) -> str:
    text = html.escape(plain(cell))
    return f"<b>{text}</b>" if cell != plain(cell) else text


STYLE = """body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;
color:#222;background:#fff}table{border-collapse:collapse;margin:.8rem 0;display:block;
overflow-x:auto}th,td{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:right;
white-space:nowrap}th,.long{white-space:normal}th{vertical-align:bottom}
th:first-child,td:first-child{text-align:left}th{border-bottom:2px solid #888}
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


def framed(title: str, picture: Path) -> str:
    """A picture with a title, as an HTML fragment that holds its bytes.

    Args:
        title: the title, as plain text.
        picture: a PNG file.
    """
    text, coded = html.escape(title), base64.b64encode(picture.read_bytes()).decode()
    return (
        f'<figure><img alt="{text}" src="data:image/png;base64,{coded}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def write_tables(path: Path, title: str, tables: Sequence[Table], more: str = "") -> None:
    """Write tables to a Markdown, CSV, LaTeX or HTML file.

    Args:
        path: the file, whose suffix .md, .csv, .tex or .html determines the format.
        title: the title of the page; CSV and LaTeX have none.
        tables: the tables.
        more: what an HTML page has below the tables.

    Raises:
        InputError: the suffix is none of these.
    """
    check_table_file(path)
    if path.suffix.lower() == ".md":
        text = f"# {title}\n\n" + "\n".join(t.markdown() for t in tables)
    elif path.suffix.lower() == ".csv":
        text = "\n".join(t.csv() for t in tables)
    elif path.suffix.lower() == ".tex":
        text = "\n".join(t.tex() for t in tables)
    else:
        text = page(title, "\n".join([*(t.html() for t in tables), more]))
    write_text(path, text)


def check_table_file(path: Path) -> None:
    """Check that a file has a suffix that `write_tables` knows.

    Raises:
        InputError: the suffix is none of these.
    """
    if path.suffix.lower() not in (".md", ".csv", ".tex", ".html"):
        raise InputError(f"--out must be a .md, .csv, .tex or .html file, not {path}")
