"""Options that are read from a function's signature, for Python, the command line and YAML alike.

A parameter `width: Annotated[int, About("channels", least=1)] = 64` is the keyword `width` in
Python, the key `width` in a configuration file and `--width` on the command line, with the same
default, the same help and the same check.
"""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from zspace.errors import InputError, shown, unknown

WHOLE = (1 << 53) - 1
"""The largest absolute value of an option that is a whole number."""


OTHER_NAMES = {"learning_rate": ("lr", "rate")}
"""Other names of options that are accepted: a short one, and the one of earlier versions."""


def present_name(name: str) -> str:
    """The present name of an option, given any of its names.

    >>> present_name("rate"), present_name("beta")
    ('learning_rate', 'beta')
    """
    return next((own for own, others in OTHER_NAMES.items() if name in others), name)


@dataclass(frozen=True)
class About:
    """The meaning of an option, and the range of its values.

    Attributes:
        text: the help text, a phrase that stands alone.
        least, most: the range's bounds if they belong to it; None if there is no such bound.
        above, below: the range's bounds if they do not belong to it; None if there is no such
            bound.
        of: the values of other options, by name, with which alone it has an effect.
    """

    text: str
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    of: Mapping[str, tuple[Any, ...]] = field(
        default_factory=dict[str, tuple[Any, ...]], hash=False
    )


@dataclass(frozen=True)
class Option:
    """An option, which is an annotated keyword of a signature.

    Attributes:
        name: the keyword.
        kind: int, float, bool or str.
        choices: the allowed values; empty if any value of the type and range is allowed.
        optional: whether None, for an unset option, is allowed.
        default: the default value.
        about: the meaning and the range.
        words: texts that are allowed instead of a number.
    """

    name: str
    kind: type
    choices: tuple[Any, ...]
    optional: bool
    default: Any
    about: About
    words: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """The option's name on the command line, such as "--batch-size"."""
        return "--" + self.name.replace("_", "-")

    def check(self, value: Any) -> Any:
        """A value converted to the option's type, after a check.

        Raises:
            InputError: the value has another type, or is out of range or none of the choices.
        """
        if value is None and self.optional:
            return None
        if value in self.words:
            return value
        kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
        expected = " or ".join([kinds[self.kind], *self.words])
        wrong = InputError(f"{self.flag} must be {expected}, not {shown(value)}")
        if isinstance(value, bool) != (self.kind is bool):
            raise wrong
        if self.kind is str:
            # YAML reads the value of "classes: 7" as a number, though the text "7" is meant
            if not isinstance(value, str | int | float):
                raise wrong
            value = str(value)
        elif self.kind is not bool:
            value = self._number(value, wrong)
        if self.choices and value not in self.choices:
            known = ", ".join(str(c) for c in self.choices)
            raise InputError(f"{self.flag} must be one of {known}, not {shown(value)}")
        return value

    def _number(self, value: Any, wrong: InputError) -> int | float:
        whole = self.kind is int
        try:
            number = int(value) if whole else float(value)
            finite = math.isfinite(number)
        except (TypeError, ValueError, OverflowError):
            raise wrong from None
        if not finite or (whole and isinstance(value, float) and not value.is_integer()):
            raise wrong
        a = self.about
        for bound, holds, words in (
            (a.least, a.least is None or number >= a.least, "at least"),
            (a.above, a.above is None or number > a.above, "above"),
            (a.most, a.most is None or number <= a.most, "at most"),
            (a.below, a.below is None or number < a.below, "below"),
            (WHOLE, not whole or abs(number) <= WHOLE, "at most"),
        ):
            if not holds:
                raise InputError(
                    f"{self.flag} must be {words} {_exact(bound)}, not {_exact(number)}"
                )
        return number


def _exact(number: float | None) -> str:
    """A number with all digits before its point, which may be all that tells it from another."""
    if isinstance(number, int):
        return str(number)
    return f"{number:.0f}" if number is not None and number.is_integer() else f"{number:g}"


def comma_names(flag: str, text: str | None) -> list[str] | None:
    """The names in an option's text, which commas separate; None if the option is unset.

    Args:
        flag: the option's name on the command line, for error messages.
        text: the option's value.

    Raises:
        InputError: a name is empty.
    """
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise InputError(f"{flag} must be names with commas between them, not '{text}'")
    return names


def check_seed(seed: int) -> None:
    """Check a seed by the range of the options of that name.

    Raises:
        InputError: the seed is out of range.
    """
    if not 0 <= seed < 1 << 52:
        raise InputError(f"--seed must be a whole number from 0 to {(1 << 52) - 1}, not {seed}")


def options_of(function: Callable[..., Any]) -> dict[str, Option]:
    """The options of a function or class by name: its parameters that are annotated with `About`.

    Parameters that a `functools.partial` has bound are not options.
    """
    bound: Mapping[str, Any] = {}
    if isinstance(function, partial):
        function, bound = function.func, function.keywords
    target = function.__init__ if inspect.isclass(function) else function
    hints = get_type_hints(target, include_extras=True)
    options: dict[str, Option] = {}
    for name, parameter in inspect.signature(target).parameters.items():
        hint = hints.get(name)
        if name in bound or get_origin(hint) is not Annotated:
            continue
        kind, *notes = get_args(hint)
        about = next((n for n in notes if isinstance(n, About)), None)
        if about is None:
            continue
        kinds = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
        optional = type(None) in kinds
        listed: tuple[Any, ...] = ()
        kind = None
        for one in kinds:
            if get_origin(one) is Literal:
                listed += get_args(one)
            elif one is not type(None):
                kind = one
        if kind is None:
            choices, words, kind = listed, (), type(listed[0])
        else:
            choices, words = (), listed
        options[name] = Option(name, kind, choices, optional, parameter.default, about, words)
    return options


def check_used(options: Mapping[str, Option], values: Mapping[str, Any]) -> None:
    """Refuse options that other options leave without an effect, unless they have their defaults.

    Args:
        options: the options by name.
        values: the values of all options; one that is unset leaves none without an effect.

    Raises:
        InputError: an option has no effect; the message names the one that it belongs to.
    """
    for name, option in options.items():
        other = idle_by(option, values)
        if other is not None and values[name] != option.default:
            setting = options[other]
            known = [v for v in option.about.of[other] if v in (setting.choices or (v,))]
            raise InputError(
                f"{_given(option, values[name])} has no effect with "
                f"{_given(setting, values[other])}: it belongs to "
                f"{' or '.join(_given(setting, value) for value in known)}"
            )


def idle_by(option: Option, values: Mapping[str, Any]) -> str | None:
    """The name of an option whose value leaves another one without an effect; None if none does.

    Args:
        option: the other one.
        values: the values of options; one that is unset leaves none without an effect.
    """
    each = option.about.of.items()
    return next((o for o, allowed in each if values.get(o) not in (None, *allowed)), None)


def _given(option: Option, value: Any) -> str:
    """An option with its value as on the command line."""
    if option.kind is bool:
        return option.flag if value else f"--no-{option.flag[2:]}"
    return f"{option.flag} {value}"


def checked(
    options: Mapping[str, Option], given: Mapping[str, Any], kind: str = "option"
) -> dict[str, Any]:
    """The values of all options: given values, after a check, and defaults for the others.

    Args:
        options: the options by name.
        given: values by any name of their options.
        kind: what an option is called in error messages.

    Raises:
        InputError: a name is unknown, an option is given by two of its names, or a value is not
            allowed.
    """
    named: dict[str, Any] = {}
    for name, value in given.items():
        own = name if name in options else present_name(name)
        if own not in options:
            raise unknown(kind, name, options)
        if own in named:
            raise InputError(f"--{own.replace('_', '-')} is given twice, by another name of it")
        named[own] = value
    return {
        name: option.check(named[name]) if name in named else option.default
        for name, option in options.items()
    }
