"""Output for people: tables, plots, sheets of images, and progress."""

from zspace.display.tables import Table

__all__ = ["Table"]
