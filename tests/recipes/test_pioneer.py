"""What Pioneer needs."""

from __future__ import annotations

import pytest

from zspace.errors import InputError
from zspace.recipes import RECIPES, Facts


def test_pioneer_needs_a_sphere() -> None:
    with pytest.raises(InputError, match="--latent-dim must be at least 2"):
        RECIPES["pioneer"](Facts((1, 8, 8)), latent_dim=1)  # type: ignore[call-arg]
