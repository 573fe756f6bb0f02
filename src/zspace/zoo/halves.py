"""What is stored of a network's tensors: some at half precision, some by a reference alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from zspace.errors import InputError
from zspace.storage.packed import HALF

LARGE = 4096
"""The number of values from which a weight is stored at half precision."""


@dataclass
class Stored:
    """The tensors of a packed file, and what is said of those that are left out.

    Attributes:
        tensors: the tensors that are stored.
        same: the names of tensors left out, each with that of the tensor that it equals.
        zeros: the names of tensors left out that become zeros, each with its shape.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    same: dict[str, str] = field(default_factory=dict[str, str])
    zeros: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def add(
        self,
        begin: str,
        state: Mapping[str, Tensor],
        halved: Iterable[str],
        half: torch.dtype | None,
        replaced: Mapping[str, str] | None = None,
        left_out: Iterable[str] = (),
    ) -> None:
        """Add the state of a network.

        Args:
            begin: what precedes the names of its tensors.
            state: its tensors by name.
            halved: the names of those that may be stored at half precision.
            half: the type of half precision; None stores all as they are.
            replaced: the names of tensors that are to become others of the same shape, by name.
            left_out: beginnings of the names of tensors that are to become zeros.

        Raises:
            InputError: a tensor is of half precision by itself, or can't be replaced by another.
        """
        replaced, left_out, halved = replaced or {}, tuple(left_out), frozenset(halved)
        seen: list[str] = []
        for name, t in state.items():
            if t.dtype in HALF:
                raise InputError(f"{name} is of half precision, and would be unpacked as float32")
            if name in replaced:
                other = state.get(replaced[name])
                if other is None or other.shape != t.shape or replaced[name] in replaced:
                    raise InputError(f"{name} can't be replaced by {replaced[name]}: not alike")
                self.same[begin + name] = begin + replaced[name]
            elif left_out and name.startswith(left_out) and t.dtype == torch.float32:
                self.zeros[begin + name] = list(t.shape)
            elif equal := next((o for o in seen if _alike(state[o], t)), None):
                self.same[begin + name] = begin + equal
            else:
                seen.append(name)
                self.tensors[begin + name] = rounded(t, half) if name in halved else t


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.numel() > 1 and torch.equal(a, b)


def rounded(t: Tensor, half: torch.dtype | None) -> Tensor:
    """A tensor at half precision, unless it is small, or would no longer be finite."""
    if half is None or t.dtype != torch.float32 or t.ndim < 2 or t.numel() < LARGE:
        return t
    small = t.to(half)
    return small if bool(torch.isfinite(small).all()) else t


def weights_of(network: nn.Module) -> list[str]:
    """The names of the weights that are learned: no running statistics, codes or covariances."""
    return [name for name, _ in network.named_parameters()]


def averaged(state: Mapping[str, Tensor]) -> dict[str, str]:
    """The raw weights beside their moving average, each with the name of its average.

    Flow matching draws by the average alone, `inner.velocity.module.*` beside `velocity.*`, also
    where it is a part of a model.
    """
    found: dict[str, str] = {}
    for name in state:
        before, _, rest = name.partition(".module.")
        *outer, _, own = ["", *before.split(".")]
        raw = ".".join([*filter(None, outer), own, rest])
        if rest and raw in state and state[raw].shape == state[name].shape:
            found[raw] = name
    return found


def by_prefix(state: Mapping[str, Tensor], pairs: Iterable[str]) -> dict[str, str]:
    """The names that begin by one prefix, each with that which begins by the other.

    Args:
        state: the tensors by name.
        pairs: texts `FROM=TO` of two prefixes.

    Raises:
        InputError: a text is no such pair, or no name begins so.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        old, equals, new = pair.partition("=")
        names = [name for name in state if equals and old and name.startswith(old)]
        if not names:
            raise InputError(f"--replace {pair}: expected FROM=TO, with names that begin by FROM")
        found |= {name: new + name.removeprefix(old) for name in names}
    return found
