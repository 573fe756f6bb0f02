"""WAE's options."""

from __future__ import annotations

from tests.conftest import small
from zspace.recipes import RECIPES, Facts
from zspace.samplers import Mixture


def test_wae_takes_a_mixture() -> None:
    facts = Facts((1, 8, 8), tuple("abc"))
    model = RECIPES["wae"](facts, prior="mixture", **small("wae")).model  # type: ignore[call-arg]
    assert isinstance(model.prior, Mixture)
    assert len(model.prior.weights) == 3
