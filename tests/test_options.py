"""Options read from signatures: their checks, and what is said of those that make no sense."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
import torch

import zspace
from tests.conftest import small
from tests.recipes.toy import toy
from zspace.errors import InputError
from zspace.options import About, Option, check_used, checked, options_of
from zspace.recipes import RECIPES, Facts, find, plan_of
from zspace.samplers import FlowMatching, Mixture


def test_a_word_in_place_of_a_number() -> None:
    options = options_of(Mixture)
    assert checked(options, {"components": "auto"})["components"] == "auto"
    assert checked(options, {"components": "7"})["components"] == 7
    for bad in ("automatic", True, None, 1.5):
        with pytest.raises(InputError, match="--components must be a whole number or auto, not"):
            checked(options, {"components": bad})
    with pytest.raises(InputError, match="--components must be at least 1"):
        checked(options, {"components": 0})


def test_options_of_a_signature() -> None:
    options = options_of(toy)
    assert list(options) == ["iterations"]
    assert checked(options, {}) == {"iterations": 2}
    assert checked(options, {"iterations": "7"}) == {"iterations": 7}
    for bad in (0, 1.5, "x", None, True, float("inf"), [1]):
        with pytest.raises(InputError, match="--iterations must be"):
            checked(options, {"iterations": bad})


def test_an_option_may_bear_an_other_name_of_another_one() -> None:
    def recipe(*, rate: Annotated[float, About("a rate of its own")] = 1.0) -> None:
        del rate

    assert checked(options_of(recipe), {"rate": 3.0}) == {"rate": 3.0}
    assert checked(options_of(FlowMatching), {"rate": 0.5})["learning_rate"] == 0.5


def test_a_count_beyond_all_numbers_is_refused() -> None:
    with pytest.raises(InputError, match="--hidden must be at most 9007199254740991"):
        zspace.train("vae", "digits", hidden=10**21)


def test_a_number_is_told_as_it_was_given() -> None:
    told = "--seed must be at most 4503599627370496, not 99999999999999999$"
    with pytest.raises(InputError, match=told):
        zspace.train("vae", "digits", seed=99999999999999999)


CONDITIONAL = [
    (recipe, name, other)
    for recipe in RECIPES
    for name, option in options_of(find(recipe)).items()
    for other in option.about.of
    if other in options_of(find(recipe))
]
"""The options of recipes that have an effect with some values of another one alone."""


UNSEEN = "loss_of", "weight"
"""Options that say what a loss is made of, which no weight, rate or network tells."""


def another(option: Option) -> Any:
    """A value of an option that is not its default."""
    if option.choices:
        return next(c for c in option.choices if c != option.default)
    value = option.kind(3 if option.default is None else 2 * option.default)
    return value + value % 2


def described(recipe: str, options: dict[str, Any]) -> str:
    """What a recipe makes of its options: weights, rates and settings."""
    torch.manual_seed(0)
    facts = Facts((1, 12, 12), tuple("abc"), train_images=500)
    plan = plan_of({"recipe": recipe, **options}, facts)
    found: list[Any] = []
    for stage in plan.stages:
        found += [stage.rate(i) for i in (0, stage.iterations // 2)]
        for name, optimizer in stage.method.optimizers().items():
            found += [(name, group["lr"]) for group in optimizer.param_groups]
        found += sorted((k, v) for k, v in vars(stage.method).items() if isinstance(v, int | float))
    state = plan.model.state_dict().items()
    found.append(plan.model)
    return repr([*found, *((k, tuple(v.shape), float(v.double().sum())) for k, v in state)])


@pytest.mark.parametrize("recipe, name, other", CONDITIONAL)
def test_options_without_an_effect_are_refused_and_no_others(
    recipe: str, name: str, other: str
) -> None:
    options = options_of(find(recipe))
    quick = {"bandwidth": 0.5, "centres": 50, "depth": 10} if recipe in ("gen", "regene") else {}
    usual = {n: option.default for n, option in options.items()}
    usual |= {n: v for n, v in {**small(recipe), **quick}.items() if n in options}
    usual |= {"width": 4} if recipe == "regene" else {"width": 64, "hidden": None, "iterations": 20}
    allowed = options[name].about.of[other]
    values = options[other].choices or (True, False)
    value = 16 if name == "depth" else another(options[name])
    for setting in values:
        base = {**usual, other: setting}
        for beside in options[name].about.of:
            if beside in options and beside != other:
                base[beside] = options[name].about.of[beside][0]
        if name == "schedule_iterations" and setting == "regene":
            base["iterations"] = 300  # over which the rate falls
        given = {**base, name: value}
        if recipe == "ae" and "regene" in (setting, base["arch"]):
            base["latent_dim"] = given["latent_dim"] = None
        effect = described(recipe, base) != described(recipe, given)
        if name not in UNSEEN:
            assert effect == (setting in allowed), setting
        defaults = {n: option.default for n, option in options.items()}
        if setting in allowed:
            check_used(options, {**defaults, other: setting, name: value})
        else:
            with pytest.raises(InputError, match=rf"{options[name].flag} .*has no effect with"):
                check_used(options, {**defaults, other: setting, name: value})


def test_a_training_refuses_options_without_an_effect() -> None:
    words = "--width 9 has no effect with --arch fc: it belongs to --arch conv or "
    with pytest.raises(InputError, match=words):
        zspace.train("vae", "digits", arch="fc", width=9, iterations=1)
    words = "--width 9 has no effect with --arch fc: it belongs to --arch conv$"  # it has no other
    with pytest.raises(InputError, match=words):
        zspace.train("rae", "digits", arch="fc", width=9, iterations=1)
    words = "--regulariser-rate 0.5 has no effect with --no-smoothing: it belongs to --smoothing"
    with pytest.raises(InputError, match=words):
        zspace.train("flexae", "digits", regulariser_rate=0.5, iterations=1, **small("flexae"))
