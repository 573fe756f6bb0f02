"""Samplers by name: the table by which commands know them, and how one is stored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zspace.core import Sampler
from zspace.errors import InputError, unknown
from zspace.methods.two_stage import TwoStageSampler
from zspace.options import Option, checked, options_of
from zspace.samplers import (
    KDE,
    Classwise,
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
from zspace.storage.files import load_state, read_tensors, write_tensors

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
"""Samplers that can be fitted to the codes of any trained model, by name."""

OWN = ("prior", "target")
"""The names of samplers that come with a model (`LatentModel.samplers`)."""


def make(name: str, dim: int, options: Mapping[str, Any] | None = None) -> Sampler:
    """An unfitted sampler of codes (N, dim) with these options and the defaults of the rest."""
    if name not in SAMPLERS:
        raise unknown("sampler", name, SAMPLERS)
    kind = SAMPLERS[name]
    known = options_of(kind)
    return kind(dim, **checked(known, options or {}, f"option of the sampler {name}"))  # type: ignore[call-arg]


def drawing_options(name: str) -> dict[str, Option]:
    """The options of a sampler that say how codes are drawn, and not what it is fitted to."""
    kind = SAMPLERS.get(name, Sampler)
    return {n: o for n, o in options_of(kind).items() if n in kind.drawing}


def check_label(name: str, label: object) -> None:
    """Refuse a label for a sampler that knows none, before it is fitted."""
    kind = SAMPLERS.get(name, Convex)  # a model's own may know some
    if label is not None and not issubclass(kind, Convex | Classwise | FlowMatching):
        raise InputError(f"the sampler {name} knows no labels: leave out --label")


def check_drawn(name: str) -> None:
    """Refuse what is neither a model's own nor the name of a sampler that can be fitted."""
    if name not in OWN and name not in SAMPLERS:
        raise unknown("sampler", name, [*OWN, *SAMPLERS])


def save(sampler: Sampler, path: Path, header: Mapping[str, Any]) -> None:
    """Store a fitted sampler; the header names its kind, dimension and options."""
    write_tensors(path, sampler.state_dict(), header)


def load(path: Path) -> Sampler:
    """A sampler that `save` stored."""
    tensors, header = read_tensors(path)
    match header:
        case {"sampler": str(name), "dim": int(dim), "options": dict(options)} if 0 < dim < 1 << 20:
            sampler = make(name, dim, options)
        case _:
            raise InputError(f"{path} is no sampler")
    load_state(sampler, tensors, path)
    return sampler.eval()
