"""Docstrings as the API reference shows them: sections apart, doctests as code.

In the source a docstring is read as text, so that "Raises:" may follow a line directly and a
doctest stands by itself. Here each gets what Markdown needs; nothing else is changed.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

HEADED = ("Args:", "Attributes:", "Raises:", "Returns:", "Yields:")
NOTED = ("Reference:", "References:", "Departures:", "Errors:", "Returns")


class Docstrings(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **more: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = shown(obj.docstring.value)


def shown(text: str) -> str:
    """A docstring with blank lines before its sections and its doctests in fences.

    >>> shown("A sum.\\nReference: A (1999).").splitlines()
    ['A sum.', '', '**Reference:** A (1999).']
    >>> shown("A sum.\\n\\n>" + ">> 1 + 1\\n2").splitlines()[2:]
    ['```pycon', '>>> 1 + 1', '2', '```']
    """
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        doctest = line.startswith(">>>")
        if inside and not line.strip():
            lines.append("```")
            inside = False
        apart = line.startswith((*HEADED, *NOTED)) or (doctest and not inside)
        if apart and lines and lines[-1].strip():
            lines.append("")
        if doctest and not inside:
            lines.append("```pycon")
            inside = True
        lines.append(re.sub(r"^(References?|Departures|Errors): ", r"**\1:** ", line))
    return "\n".join([*lines, "```"] if inside else lines)
