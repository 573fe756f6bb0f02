"""Samplers by name: the table by which commands know them, and how one is stored.

Every list of samplers, on the command line, in help texts, in messages and in the docs, is made
from here. A class says of itself what it can do (`zspace.core.Sampler`). Other packages add theirs
through the entry-point group `zspace.samplers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zspace.core import Density, Sampler
from zspace.errors import InputError, unknown
from zspace.methods.two_stage import TwoStageSampler
from zspace.options import Option, checked, options_of
from zspace.recipes.plugins import load_plugin, package_of, plugins
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
from zspace.storage.files import load_state, read_header, read_tensors, write_tensors

GROUP = "zspace.samplers"
"""The entry-point group by which other packages add samplers."""

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
"""zspace's own samplers that can be fitted to the codes of any trained model, by name."""

OWN = ("prior", "target")
"""The names of samplers that come with a model (`LatentModel.samplers`)."""


def names() -> list[str]:
    """The names of all samplers that can be fitted, those of other packages among them."""
    return [*SAMPLERS, *sorted(plugins(GROUP).keys() - {*SAMPLERS, *OWN})]


def find(name: str) -> type[Sampler]:
    """The sampler of that name.

    Raises:
        InputError: no sampler has that name (the message says which is nearest), or another
            package's can't be loaded or is none.
    """
    if name in SAMPLERS:
        return SAMPLERS[name]
    entry = None if name in OWN else plugins(GROUP).get(name)
    if entry is None:
        raise unknown("sampler", name, names())
    kind: Any = load_plugin(entry, "sampler")
    if not (isinstance(kind, type) and issubclass(kind, Sampler)):
        raise InputError(
            f"the sampler '{name}' of the package {package_of(entry)} ({entry.value}) is no "
            "subclass of zspace.core.Sampler"
        )
    return kind


def kinds() -> dict[str, type[Sampler]]:
    """Every sampler by name. Those of other packages that can't be loaded are left out."""
    return {name: kind for name in names() if isinstance(kind := _found(name), type)}


def faults() -> dict[str, str]:
    """Why other packages' samplers can't be used, by name; empty when all is well."""
    return {name: str(kind) for name in names() if isinstance(kind := _found(name), InputError)}


def _found(name: str) -> type[Sampler] | InputError:
    try:
        return find(name)
    except InputError as error:
        return error


def which(can: Callable[[type[Sampler]], bool]) -> list[str]:
    """The names of the samplers whose class can do something.

    >>> which(lambda kind: kind.learns)
    ['flow-matching', 'flow', 'two-stage', 'pushforward']
    """
    return [name for name, kind in kinds().items() if can(kind)]


def densities() -> list[str]:
    """The names of the samplers whose log density is known."""
    return which(lambda kind: issubclass(kind, Density))


def listed(found: list[str], last: str = "or") -> str:
    """Names as a sentence has them.

    >>> listed(["normal", "mixture", "kde"])
    'normal, mixture or kde'
    """
    return f" {last} ".join(filter(None, [", ".join(found[:-1]), found[-1]]))


def make(name: str, dim: int, options: Mapping[str, Any] | None = None) -> Sampler:
    """An unfitted sampler of codes (N, dim) with these options and the defaults of the rest."""
    kind = find(name)
    return kind(dim, **sampler_options(name, options or {}))  # type: ignore[call-arg]


def sampler_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a sampler, checked; those that are not given have their defaults."""
    return checked(options_of(find(name)), options, f"option of the sampler {name}")


def drawing_options(name: str) -> dict[str, Option]:
    """The options of a sampler that say how codes are drawn, and not what it is fitted to."""
    kind = Sampler if name in OWN else find(name)
    return {n: o for n, o in options_of(kind).items() if n in kind.drawing}


def check_label(name: str, label: object) -> None:
    """Refuse a label for a sampler that knows none, before it is fitted."""
    if label is not None and name not in OWN and not find(name).by_label:
        raise InputError(f"the sampler {name} knows no labels: leave out --label")


def check_drawn(name: str) -> None:
    """Refuse what is neither a model's own nor the name of a sampler that can be fitted."""
    if name in OWN:
        return
    if name not in names():
        raise unknown("sampler", name, [*OWN, *names()])
    find(name)


def save(sampler: Sampler, path: Path, header: Mapping[str, Any]) -> None:
    """Store a fitted sampler; the header names its kind, dimension and options.

    The file of another package's sampler also names that package.
    """
    entry = plugins(GROUP).get(header["sampler"])
    whose = {} if entry is None or header["sampler"] in SAMPLERS else {"package": package_of(entry)}
    write_tensors(path, sampler.state_dict(), {**header, **whose})


def check_installed(path: Path) -> None:
    """Refuse a stored sampler of a package that is not installed; the message names it."""
    header = read_header(path)
    name, package = header.get("sampler"), header.get("package")
    if isinstance(package, str) and isinstance(name, str) and name not in names():
        raise InputError(
            f"{path} was fitted by the sampler '{name}' of the package {package}, which is not "
            f"installed: install it (pip install {package}), or remove the file"
        )


def load(path: Path) -> Sampler:
    """A sampler that `save` stored.

    Raises:
        InputError: the file is damaged or no sampler, or the package of its sampler is missing.
    """
    check_installed(path)
    tensors, header = read_tensors(path)
    match header:
        case {"sampler": str(name), "dim": int(dim), "options": dict(options)} if 0 < dim < 1 << 20:
            sampler = make(name, dim, options)
        case _:
            raise InputError(f"{path} is no sampler")
    load_state(sampler, tensors, path)
    return sampler.eval()
