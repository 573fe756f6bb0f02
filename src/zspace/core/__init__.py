"""The concepts of zspace: methods, latent models, samplers, densities, batches and progress."""

from zspace.core.batches import Batches
from zspace.core.frozen import Frozen
from zspace.core.models import (
    Classifying,
    Judge,
    LatentModel,
    Method,
    Prior,
    Terms,
    Variational,
    always,
    codes,
    decoded,
    reconstructions,
    unless_it_jumps,
)
from zspace.core.progress import SILENT, Progress, as_progress
from zspace.core.samplers import Density, Sampler
from zspace.core.tape import Tape

__all__ = [
    "SILENT",
    "Batches",
    "Classifying",
    "Density",
    "Frozen",
    "Judge",
    "LatentModel",
    "Method",
    "Prior",
    "Progress",
    "Sampler",
    "Tape",
    "Terms",
    "Variational",
    "always",
    "as_progress",
    "codes",
    "decoded",
    "reconstructions",
    "unless_it_jumps",
]
