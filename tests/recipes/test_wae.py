"""WAE's options."""

from __future__ import annotations

import pytest

from tests.conftest import small
from zspace.errors import InputError
from zspace.recipes import RECIPES, Facts
from zspace.samplers import Mixture


def test_wae_takes_a_mixture() -> None:
    facts = Facts((1, 8, 8), tuple("abc"))
    model = RECIPES["wae"](facts, prior="mixture", **small("wae")).model  # type: ignore[call-arg]
    assert isinstance(model.prior, Mixture)
    assert len(model.prior.weights) == 3


def test_options_of_a_mixture_need_one() -> None:
    with pytest.raises(InputError, match="--components 7 belongs to --prior mixture"):
        RECIPES["wae"](Facts((1, 8, 8)), components=7)  # type: ignore[call-arg]
