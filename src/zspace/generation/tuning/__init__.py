"""The search for the spread of each class's codes (categorical generation)."""

from zspace.generation.tuning.search import FRESH, Tuned, tune

__all__ = ["FRESH", "Tuned", "tune"]
