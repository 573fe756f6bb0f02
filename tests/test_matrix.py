"""Every method's latents with every sampler, and the table in the docs that says so."""

from __future__ import annotations

import pytest

from tests.matrix import DOCS, HEADER, row
from zspace.data import load
from zspace.display.tables import Table
from zspace.recipes import RECIPES


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_sampler_draws_from_every_methods_latents(recipe: str) -> None:
    line = Table(HEADER, [row(recipe, load("digits"))]).markdown().splitlines()[2]
    assert line in DOCS.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_few_iterations_are_enough_to_see_what_the_docs_say(recipe: str) -> None:
    line = Table(HEADER, [row(recipe, load("digits"), 4)]).markdown().splitlines()[2]
    assert line in DOCS.read_text(encoding="utf-8").splitlines()


def test_the_docs_have_a_line_for_every_recipe() -> None:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("| `") for line in lines) == len(RECIPES)
