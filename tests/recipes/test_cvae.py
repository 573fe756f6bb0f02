"""What the conditional VAE needs."""

from __future__ import annotations

import pytest

from zspace.errors import InputError
from zspace.recipes import RECIPES, Facts


@pytest.mark.parametrize("name", ["cvae"])
def test_conditional_models_need_labels(name: str) -> None:
    with pytest.raises(InputError, match="labels of two classes or more, these have 0"):
        RECIPES[name](Facts((1, 8, 8)))
