"""Every method's latents with every sampler, and the table in the docs that says so."""

from __future__ import annotations

import pytest

from tests.matrix import DOCS, HEADER, row
from tests.samplers.shared import BRIEF
from zspace.data import load
from zspace.display.tables import Table
from zspace.recipes import RECIPES
from zspace.samplers import continuous_flow


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_sampler_draws_from_every_methods_latents(
    recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few iterations, and a coarse integral of the density, are enough to see it."""
    monkeypatch.setattr(continuous_flow, "DENSITY_STEPS", 1)
    monkeypatch.setitem(BRIEF, "iterations", 2)
    line = Table(HEADER, [row(recipe, load("digits"), 4)]).markdown().splitlines()[2]
    assert line in DOCS.read_text(encoding="utf-8").splitlines()


def test_the_docs_have_a_line_for_every_recipe() -> None:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("| `") for line in lines) == len(RECIPES)
