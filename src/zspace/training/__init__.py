"""The training loop: `fit` trains a method, and `descend` makes one update of an optimiser."""

from zspace.training.devices import (
    Precision,
    find_device,
    keep_freed_memory,
    leave,
    make_fabric,
    settled,
    slowdown_of_bf16,
)
from zspace.training.loop import Rate, adam, constant, descend, fit, half_cosine, owners_alone

__all__ = [
    "Precision",
    "Rate",
    "adam",
    "constant",
    "descend",
    "find_device",
    "fit",
    "half_cosine",
    "keep_freed_memory",
    "leave",
    "make_fabric",
    "owners_alone",
    "settled",
    "slowdown_of_bf16",
]
