"""`InputError`, the error for all bad input, whose message of one line is shown to the user."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input. The message says what was expected, what was given, and what to do."""


def whole_number(text: str) -> int | None:
    """The number that a text of 1 to 18 decimal digits stands for; None for any other text."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """An `InputError` for an unknown name, which suggests the known name that is spelt most alike.

    Args:
        kind: what the name is a name of.
        name: the unknown name.
        known: the known names.

    >>> str(unknown("recipe", "flexea", ["ae", "flexae"]))
    "unknown recipe 'flexea': did you mean 'flexae'? (known: ae, flexae)"
    """
    names = sorted(known)
    # upper and lower case count as equal
    lower = {n.lower(): n for n in reversed(names)}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    hint = f": did you mean '{lower[near[0]]}'?" if near else ""
    return InputError(f"unknown {kind} '{name}'{hint} (known: {', '.join(names)})")
