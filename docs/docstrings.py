"""Docstrings as the API reference shows them: sections apart, doctests as code.

In the source a docstring is read as text, so that "Raises:" may follow a line directly and a
doctest stands by itself. Here each gets what Markdown needs; nothing else is changed.
"""

from __future__ import annotations

import html
import re
import textwrap
from typing import Any

import griffe

HEADED = ("Args:", "Attributes:", "Raises:", "Returns:", "Yields:")
NOTED = ("Reference:", "References:", "Departures:", "Errors:", "Returns")


class Docstrings(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **more: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = shown(obj.docstring.value)


def is_code(text: str) -> bool:
    """Whether an indented block is Python, and no formula.

    >>> is_code("z = sum_i w_i z_i,  w_i >= 0"), is_code("model = train(data)")
    (False, True)
    """
    try:
        compile(text, "docstring", "exec")
    except SyntaxError:
        return False
    return True


def marked(block: list[str]) -> list[str]:
    """An indented block, which docs/hooks.py will typeset if it is a formula."""
    text = textwrap.dedent("\n".join(block)).strip("\n")
    if is_code(text):
        return block
    return [f'<div class="plain-formula">{html.escape(text, quote=False)}</div>', ""]


def shown(text: str) -> str:
    """A docstring with blank lines before its sections, doctests in fences, formulas marked.

    >>> shown("A sum.\\nReference: A (1999).").splitlines()
    ['A sum.', '', '**Reference:** A (1999).']
    >>> shown("A sum.\\n\\n>" + ">> 1 + 1\\n2").splitlines()[2:]
    ['```pycon', '>>> 1 + 1', '2', '```']
    >>> shown("A sum.\\n\\n    s = sum_i x_i").splitlines()[2]
    '<div class="plain-formula">s = sum_i x_i</div>'
    """
    lines: list[str] = []
    block: list[str] = []
    inside = headed = False
    for line in [*text.splitlines(), ""]:
        indented = line.startswith("    ") and not inside and not headed
        if indented and (block or not lines or not lines[-1].strip()):
            block.append(line)
            continue
        if block:
            lines += marked(block)
            block = []
        headed = line.startswith(HEADED) or (headed and (line[:1] in ("", " ")))
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
    return "\n".join(lines).rstrip()
