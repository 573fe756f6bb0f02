"""Samplers of latent codes, one kind per file, and the table by which commands name them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zspace.core import Sampler
from zspace.errors import InputError, unknown
from zspace.options import checked, options_of
from zspace.samplers.classwise import Classwise, Medium1, Medium2, Simple, as_text
from zspace.samplers.convex import Convex
from zspace.samplers.kde import KDE
from zspace.samplers.mixture import Mixture
from zspace.samplers.normal import Normal
from zspace.samplers.pushforward import Pushforward
from zspace.storage import load_state, read_tensors, write_tensors

SAMPLERS: dict[str, type[Sampler]] = {
    "normal": Normal, "mixture": Mixture, "kde": KDE, "convex": Convex,
    "simple": Simple, "medium1": Medium1, "medium2": Medium2,
}  # fmt: skip
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


__all__ = [
    "KDE", "OWN", "SAMPLERS", "Classwise", "Convex", "Medium1", "Medium2", "Mixture", "Normal",
    "Pushforward", "Simple", "as_text", "check_drawn", "load", "make", "save",
]  # fmt: skip
