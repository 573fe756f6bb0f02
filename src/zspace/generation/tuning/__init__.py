"""The search for how far a class's codes may spread (categorical generation)."""

from zspace.generation.tuning.search import FRESH, Tuned, tune

__all__ = ["FRESH", "Tuned", "tune"]
