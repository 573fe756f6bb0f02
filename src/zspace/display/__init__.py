"""What people look at: tables, plots, sheets of images, progress."""

from zspace.display.tables import Table

__all__ = ["Table"]
