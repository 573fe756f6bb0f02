"""A recipe of another package."""

from __future__ import annotations

from typing import Annotated

from zspace import recipes
from zspace.options import About
from zspace.recipes import Facts, Plan


def toy(
    facts: Facts, *, iterations: Annotated[int, About("training iterations", least=1)] = 2
) -> Plan:
    """A recipe of another package."""
    return recipes.RECIPES["ae"](facts, iterations=iterations, width=2, hidden=4)  # type: ignore[call-arg]
