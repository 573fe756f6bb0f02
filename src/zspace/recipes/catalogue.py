"""The table of samplers by name, and the storage of fitted samplers.

Every list of samplers, on the command line, in help texts, in messages and in the docs, is made
from this table. Each class describes what it can do (see `zspace.core.Sampler`). Other packages add
samplers through the entry-point group `zspace.samplers`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from zspace.core import Density, LatentModel, Sampler
from zspace.errors import InputError, cut, unknown
from zspace.methods.two_stage import TwoStageSampler
from zspace.options import Option, check_used, checked, options_of
from zspace.plugins import SAMPLERS as GROUP
from zspace.plugins import entries, load_plugin, package_of, source_of
from zspace.samplers import (
    KDE,
    Convex,
    FlowMatching,
    LearnedFlow,
    LearnedPushforward,
    Medium1,
    Medium2,
    Mixture,
    Normal,
    Simple,
)
from zspace.storage.files import Opened, Plain, load_state, open_tensors, read_header, write_tensors
from zspace.storage.reading import Claims
from zspace.training import Precision

SAMPLERS: dict[str, type[Sampler]] = {
    "normal": Normal,
    "mixture": Mixture,
    "kde": KDE,
    "convex": Convex,
    "simple": Simple,
    "medium1": Medium1,
    "medium2": Medium2,
    "flow-matching": FlowMatching,
    "flow": LearnedFlow,
    "two-stage": TwoStageSampler,
    "pushforward": LearnedPushforward,
}
"""The library's samplers that can be fitted to the codes of any trained model, by name."""

OWN = ("prior", "target")
"""The names of samplers that come with a model (`LatentModel.samplers`)."""


def names() -> list[str]:
    """The names of all samplers that can be fitted, including those of other packages."""
    return [*SAMPLERS, *sorted(entries(GROUP).keys() - {*SAMPLERS, *OWN})]


def find(name: str) -> type[Sampler]:
    """The class of the sampler of a given name.

    Raises:
        InputError: the name is unknown (the message suggests the most similar one), or another
            package's sampler can't be loaded or is no `Sampler`.
    """
    if name in SAMPLERS:
        return SAMPLERS[name]
    entry = None if name in OWN else entries(GROUP).get(name)
    if entry is None:
        raise unknown("sampler", name, names())
    kind: Any = load_plugin(entry, "sampler")
    if not (isinstance(kind, type) and issubclass(kind, Sampler)):
        raise InputError(
            f"the sampler '{name}' of {source_of(entry)} is no subclass of zspace.core.Sampler"
        )
    return kind


def kinds() -> dict[str, type[Sampler]]:
    """The classes of all samplers by name, without those of other packages that can't be loaded."""
    return {name: kind for name in names() if isinstance(kind := _found(name), type)}


def faults() -> dict[str, str]:
    """The reasons why other packages' samplers can't be loaded, by name; empty if all can."""
    return {name: str(kind) for name in names() if isinstance(kind := _found(name), InputError)}


def _found(name: str) -> type[Sampler] | InputError:
    try:
        return find(name)
    except InputError as error:
        return error


def which(can: Callable[[type[Sampler]], bool]) -> list[str]:
    """The names of the samplers whose class satisfies a condition.

    >>> which(lambda kind: kind.learns)
    ['flow-matching', 'flow', 'two-stage', 'pushforward']
    """
    return [name for name, kind in kinds().items() if can(kind)]


def densities() -> list[str]:
    """The names of the samplers whose log density is known."""
    return which(lambda kind: issubclass(kind, Density))


def listed(found: list[str], last: str = "or") -> str:
    """Names joined as in a sentence, with a last conjunction.

    >>> listed(["normal", "mixture", "kde"])
    'normal, mixture or kde'
    """
    return f" {last} ".join(filter(None, [", ".join(found[:-1]), found[-1]]))


def make(name: str, dim: int, options: Mapping[str, Any] | None = None) -> Sampler:
    """An unfitted sampler.

    Args:
        name: the sampler's name.
        dim: D, the size of a code.
        options: options by name; the others have their defaults.

    Raises:
        InputError: the name or an option is unknown, or a value is not allowed.
    """
    kind, chosen = find(name), sampler_options(name, options or {})
    with whose_fault(name):
        return kind(dim, **chosen)  # type: ignore[call-arg]


@contextmanager
def whose_fault(name: str) -> Generator[None]:
    """A context in which another package's sampler is called: what it raises is its fault.

    Raises:
        InputError: it failed; the message names the sampler, its package and the reason.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        entry = None if name in SAMPLERS else entries(GROUP).get(name)
        if entry is None:
            raise
        raise InputError(
            f"the sampler '{name}' of the package {package_of(entry)} fails: "
            f"{type(error).__name__}: {cut(str(error))}"
        ) from error


def sampler_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all options of a sampler: given values, after a check, and defaults.

    Raises:
        InputError: the sampler or an option is unknown, or a value is not allowed.
    """
    return checked(options_of(find(name)), options, f"option of the sampler {name}")


def fit_options(name: str, options: Mapping[str, Any], precision: Precision) -> dict[str, Any]:
    """The values of all options of a sampler that is to be fitted, after every check of them.

    Args:
        name: the sampler's name.
        options: options by name; the others have their defaults.
        precision: the precision of training by iterations.

    Raises:
        InputError: the sampler or an option is unknown, a value is not allowed, or an option has
            no effect.
    """
    kind, chosen = find(name), sampler_options(name, options)
    check_used(options_of(kind), chosen)
    if precision != "32" and not kind.learns:
        raise InputError(
            f"--precision {precision} has no effect on the sampler {name}, which is not trained by "
            f"iterations: it belongs to {listed(which(lambda other: other.learns))}"
        )
    if name in SAMPLERS:  # that of another package may need the size of a code
        kind(None, **chosen)  # type: ignore[call-arg]
    return chosen


def drawing_options(name: str, model: LatentModel | None = None) -> dict[str, Option]:
    """The options of a sampler that affect how codes are drawn, but not how it is fitted.

    Args:
        name: the sampler's name.
        model: the model that a sampler of `OWN` comes with; None means that it has no options.
    """
    own = None if model is None else model.samplers().get(name)
    kind = find(name) if name not in OWN else Sampler if own is None else type(own)
    return {n: o for n, o in options_of(kind).items() if n in kind.drawing}


def check_drawing(sampler: Sampler, given: Mapping[str, Any]) -> None:
    """Refuse options for drawing that others, given or the sampler's, leave without an effect.

    Raises:
        InputError: a given option has no effect.
    """
    known = options_of(type(sampler))
    usual = {name: option.default for name, option in known.items()}
    # a conditional option of the sampler's own was not asked for now
    own = {n: v for n, v in sampler.options.items() if n in known and not known[n].about.of}
    check_used(known, {**usual, **own, **given})


def check_label(name: str, label: object) -> None:
    """Refuse a label for a sampler that knows none, before it is fitted.

    Args:
        name: the sampler's name.
        label: the label, or None, which is always allowed.

    Raises:
        InputError: a label is given, and the sampler knows none.
    """
    if label is not None and name not in OWN and not find(name).by_label:
        raise InputError(f"the sampler {name} knows no labels: leave out --label")


def check_drawn(name: str) -> None:
    """Check the name of a sampler to draw from, which may come with a model or be fitted.

    Raises:
        InputError: the name is unknown, or the sampler can't be loaded.
    """
    if name in OWN:
        return
    if name not in names():
        raise unknown("sampler", name, [*OWN, *names()])
    find(name)


def usual(model: LatentModel, held: Sequence[str]) -> str:
    """The name of the sampler to take if none is named.

    Args:
        model: the model.
        held: the names of the samplers that its run holds.

    Returns "prior" or, if the model has none, the only name in `held`, if there is one.
    """
    return held[0] if model.prior is None and len(held) == 1 else "prior"


Name = Annotated[str, msgspec.Meta(pattern=r"^[\w.-]{1,100}\Z")]


@dataclass(frozen=True)
class Header:
    """The header of a stored sampler.

    Attributes:
        sampler: its name.
        dim: D, the size of a code.
        options: its options.
        model: the checksum of the weights whose codes it was fitted to.
        data: the checksum of the training data whose codes they are; empty if it is unknown.
        package: the package that it comes from; None for zspace's own.
        names: the names of its labels, where no run has them.
        arrays: whether it was fitted to a NumPy array.
        asked: what was asked for of the options whose values fitting found, unless it was trained
            by iterations.
    """

    sampler: Name
    dim: Annotated[int, msgspec.Meta(gt=0, lt=1 << 20)]
    options: dict[str, Plain]
    model: str = ""
    data: str = ""
    package: Name | None = None
    names: list[str] = field(default_factory=list[str])
    arrays: bool = False
    asked: dict[str, Plain] = field(default_factory=dict[str, Plain])


def save(sampler: Sampler, path: Path, header: Mapping[str, Any]) -> None:
    """Store a fitted sampler.

    Args:
        sampler: the sampler.
        path: the file.
        header: the sampler's name, dimension and options. The package of another package's sampler
            is added.
    """
    name = header["sampler"]
    entry = None if name in SAMPLERS else entries(GROUP).get(name)
    whose = {} if entry is None else {"package": package_of(entry)}
    write_tensors(path, sampler.state_dict(), {**header, **whose})


def check_installed(path: Path, header: Header | None = None) -> None:
    """Check that the package of a stored sampler is installed.

    Args:
        path: the sampler's file.
        header: its header; None reads it.

    Raises:
        InputError: it is not installed (the message names it), or the file can't be read.
    """
    header = header or read_header(path, Header)
    if header.package is not None and header.sampler not in names():
        raise InputError(
            f"{path} was fitted by the sampler '{header.sampler}' of the package {header.package}, "
            f"which is not installed: install it (pip install {header.package}) if you trust it, "
            "or remove the file"
        )


def load(stored: Opened[Header]) -> Sampler:
    """A sampler that `save` stored, in eval mode.

    Args:
        stored: its open file (`zspace.storage.files.open_tensors`).

    Raises:
        InputError: the file is damaged, holds no sampler, or the sampler's package is missing.
    """
    path, header = stored.path, stored.header
    check_installed(path, header)
    with Claims(path):
        sampler = make(header.sampler, header.dim, header.options)
    load_state(sampler, stored.tensors(sampler), path)
    if (fault := sampler.fault()) is not None:
        raise InputError(f"{path} is damaged: {fault}")
    return sampler.eval()


def save_alone(sampler: Sampler, path: Path) -> None:
    """Store a fitted sampler of no run, with all that its class's `load` needs.

    Raises:
        InputError: its class has no name in this table, or the file can't be written.
    """
    name = next((name for name, kind in kinds().items() if kind is type(sampler)), None)
    if name is None:
        raise InputError(
            f"a {type(sampler).__name__} has no name among the samplers, by which it could be "
            "loaded: store its state_dict()"
        )
    options = {**sampler_options(name, sampler.options), **sampler.found}
    header: dict[str, Any] = {"sampler": name, "dim": sampler.dim, "options": options}
    if sampler.names:
        header["names"] = list(sampler.names)
    save(sampler, path, header | ({"arrays": True} if sampler.arrays else {}))


def load_alone(path: Path) -> Sampler:
    """The sampler of a file, as it was stored.

    Raises:
        InputError: the file can't be read or holds no sampler.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the sampler's file, such as a run's samplers/*")
    if "sampler" not in read_header(path, dict[str, Any]):
        raise InputError(f"{path} holds no sampler: 'zspace.load' reads the model of a run")
    with open_tensors(path, Header) as stored:
        sampler = load(stored)
    sampler.arrays = stored.header.arrays
    return sampler.with_names(stored.header.names)
