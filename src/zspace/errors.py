"""The one error that people see: bad input, said in one line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class InputError(ValueError):
    """What was given can't be used: the message says what was expected, what came, what to do."""


def whole_number(text: str) -> int | None:
    """The number that a text of up to 18 plain digits stands for; None for any other text."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """An `InputError` for a name that is none of `known`, with the nearest of them.

    >>> str(unknown("recipe", "flexea", ["ae", "flexae"]))
    "unknown recipe 'flexea': did you mean 'flexae'? (known: ae, flexae)"
    """
    names = sorted(known)
    # nearest in spelling, whatever the case
    lower = {n.lower(): n for n in reversed(names)}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
    hint = f": did you mean '{lower[near[0]]}'?" if near else ""
    return InputError(f"unknown {kind} '{name}'{hint} (known: {', '.join(names)})")
