"""`InputError`, the error for all bad input, whose message of one line is shown to the user."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable


def visible(text: str) -> str:
    r"""A text in which escapes stand for all characters that can't be printed or encoded.

    Such are control characters, and the bytes of file names that are no UTF-8.

    >>> visible("caf\udce9\n") == r"caf\udce9\n"
    True
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def visible_lines(text: str) -> str:
    """A text whose line breaks stay, and in whose lines escapes stand for the rest (`visible`)."""
    return "\n".join(map(visible, text.split("\n")))


LONGEST_NAME = 100
"""The characters that a received name has at most."""


def printable(name: str) -> str:
    """A name as a text of at most `LONGEST_NAME` characters, which can be stored and drawn."""
    text = visible(name[: LONGEST_NAME + 1])
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 3] + "..."


class InputError(ValueError):
    """Bad input. The message says what was expected, what was given, and what to do.

    Args:
        message: the message, which becomes one line that can be printed.
    """

    def __init__(self, message: str) -> None:
        super().__init__(visible(" ".join(message.split())))


class MissingFiles(InputError):
    """The files of a data set are missing. The message says which, and how to get them."""


class BusyError(InputError):
    """Another process uses what is needed, which may be free later. The message names it."""


class ModelError(InputError):
    """A model came out such that it can't be measured, though all input was good.

    Its training diverged, what it computes is NaN or infinite, or too little that can be drawn from
    it is what was asked for.
    """


class CheckpointError(InputError):
    """A checkpoint can't be resumed: it is damaged, or of another configuration or other data."""


def whole_number(text: str) -> int | None:
    """The number that a text of 1 to 18 decimal digits stands for; None for any other text."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


SHOWN = 80
"""The number of characters of a value, or of another library's message, that a message shows."""


def cut(text: str) -> str:
    """A text on one line, of at most `SHOWN` characters.

    >>> cut("two\\nlines")
    'two lines'
    """
    line = " ".join(text[: 10 * SHOWN].split())
    return line if len(line) <= SHOWN else line[: SHOWN - 3] + "..."


def shown(value: object) -> str:
    """A value as an error message shows it: as Python writes it, cut to `SHOWN` characters.

    However large or deep the value is, no more of it is looked at.

    >>> shown("a"), shown(10**5000), len(shown(["long"] * 1000)) <= SHOWN
    ("'a'", '<a number of thousands of digits>', True)
    """
    return cut(_SHORT.repr(value))


class _Short(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write these
        return "<a number of thousands of digits>" if x.bit_length() > 10_000 else repr(x)


_SHORT = _Short()
_SHORT.maxstring = _SHORT.maxother = SHOWN
_SHORT.maxlevel = 3


def encodable(text: str) -> str:
    r"""A text that UTF-8 can write: what it can't, such as a path's odd bytes, is escaped.

    >>> encodable("a\udcff")
    'a\\udcff'
    """
    return text.encode("utf-8", "backslashreplace").decode()


MOST_LISTED = 100
"""The number of names that a message lists, at most."""


def meant(name: str, known: Iterable[str]) -> str:
    """The part of a message that suggests the known name that is spelt most alike; "" if none is.

    Args:
        name: the unknown name.
        known: the known names.

    >>> meant("flexea", ["ae", "flexae"])
    ": did you mean 'flexae'?"
    """
    # upper and lower case count as equal
    lower = {n.lower(): n for n in sorted(known, reverse=True)}
    # a number that is spelt alike is no more likely to be meant than any other
    number = whole_number(name) is not None
    near = [] if number else difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    return f": did you mean '{lower[near[0]]}'?" if near else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """An `InputError` for an unknown name, which suggests the known name that is spelt most alike.

    Args:
        kind: what the name is a name of.
        name: the unknown name.
        known: the known names.

    >>> str(unknown("recipe", "flexea", ["ae", "flexae"]))
    "unknown recipe 'flexea': did you mean 'flexae'? (known: ae, flexae)"
    """
    names, name = sorted(known), cut(name)
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    listed = ", ".join(names[:MOST_LISTED])
    return InputError(f"unknown {kind} '{name}'{meant(name, names)} (known: {listed}{more})")
