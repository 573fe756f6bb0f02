"""The zoo: trained models and judges that are used at once, their cards, packing, and a check.

Where a model's file is looked for, and how it becomes a run, is the task of
`zspace.storage.published`, since a run is opened below this room.
"""

from zspace.storage.entries import Entry, Judge, Shown
from zspace.storage.published import entries, entry_of, get, judge_of, judges

__all__ = ["Entry", "Judge", "Shown", "entries", "entry_of", "get", "judge_of", "judges"]
