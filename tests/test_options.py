"""Options read from signatures: their checks, and what is said of those that make no sense."""

from __future__ import annotations

import pytest

import zspace
from tests.recipes.toy import toy
from zspace.errors import InputError
from zspace.options import checked, options_of
from zspace.samplers import Mixture


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


def test_a_count_beyond_all_numbers_is_refused() -> None:
    with pytest.raises(InputError, match="--hidden must be at most 9007199254740991"):
        zspace.train("vae", "digits", hidden=10**21)


def test_a_number_is_told_as_it_was_given() -> None:
    told = "--seed must be at most 4503599627370496, not 99999999999999999$"
    with pytest.raises(InputError, match=told):
        zspace.train("vae", "digits", seed=99999999999999999)
