"""Data sets: one reader for each file format, and the table of the sets known by name."""

from zspace.data.conversion import from_arrays
from zspace.data.download import download
from zspace.data.images import Images, Part, select, split
from zspace.data.options import DataOptions
from zspace.data.sets import NAMED, load, load_whole

__all__ = [
    "NAMED",
    "DataOptions",
    "Images",
    "Part",
    "download",
    "from_arrays",
    "load",
    "load_whole",
    "select",
    "split",
]
