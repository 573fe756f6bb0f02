"""The six concepts: Method, LatentModel, Variational and Classifying, Sampler, Density, Batches."""

from zspace.core.batches import Batches
from zspace.core.models import (
    Classifying,
    Frozen,
    Judge,
    LatentModel,
    Method,
    Terms,
    Variational,
    codes,
    decoded,
    reconstructions,
)
from zspace.core.samplers import Density, Sampler

__all__ = [
    "Batches",
    "Classifying",
    "Density",
    "Frozen",
    "Judge",
    "LatentModel",
    "Method",
    "Sampler",
    "Terms",
    "Variational",
    "codes",
    "decoded",
    "reconstructions",
]
