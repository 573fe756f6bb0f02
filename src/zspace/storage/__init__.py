"""Storage on disk: atomically written files without pickle, the cache, and the folders of runs."""

from zspace.storage.cache import cache_folder, fingerprint
from zspace.storage.files import atomic, read_tensors, write_tensors, write_text
from zspace.storage.run import Run

__all__ = [
    "Run",
    "atomic",
    "cache_folder",
    "fingerprint",
    "read_tensors",
    "write_tensors",
    "write_text",
]
