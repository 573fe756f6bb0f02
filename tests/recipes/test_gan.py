"""GANs' defaults are their papers'."""

from __future__ import annotations

from tests.conftest import small
from zspace.recipes import RECIPES, Facts


def test_gans_say_their_papers_defaults() -> None:
    for name, steps_, rate in (("dcgan", 1, 2e-4), ("wgan-gp", 5, 1e-4), ("sngan", 5, 2e-4)):
        plan = RECIPES[name](Facts((1, 8, 8)), **small(name))  # type: ignore[call-arg]
        assert plan.found == {"critic_steps": steps_, "learning_rate": rate}
