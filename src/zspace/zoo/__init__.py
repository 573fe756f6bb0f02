"""The zoo: trained models that are used at once, their cards, how they are packed and checked.

Where a model's file is looked for, and how it becomes a run, is the task of
`zspace.storage.published`, since a run is opened below this room.
"""

from zspace.storage.published import Entry, Shown, entries, entry_of, get

__all__ = ["Entry", "Shown", "entries", "entry_of", "get"]
