"""`Progress`: how people are told how far something is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NO_FIGURES: Mapping[str, float] = MappingProxyType({})


class Progress:
    """What tells people how far something is. This one tells nobody; a subclass overrides any part.

    Whatever takes time takes a `progress` and calls it, so that one object follows a training, a
    fit, a search, a measurement or a download, on a terminal, in a notebook or in a log.

    >>> class Lines(Progress):
    ...     def __call__(self, done, total=None, figures=NO_FIGURES):
    ...         print(done, total, dict(figures))
    >>> Lines()(3, 10, {"ae.loss": 0.5})
    3 10 {'ae.loss': 0.5}
    """

    def __call__(
        self, done: int, total: int | None = None, figures: Mapping[str, float] = NO_FIGURES
    ) -> None:
        """Tell how much is done.

        Args:
            done: iterations, samples or bytes so far, from 0.
            total: how many there are in all; None where that is not known.
            figures: numbers worth seeing on the way, by name, such as losses.
        """

    def about(self, what: str) -> Progress:
        """What tells people how far a part is that has a name, such as "fitting kde"."""
        return self

    def say(self, message: str) -> None:
        """Tell people something in one sentence, such as that data were split."""


SILENT = Progress()
"""Tells nobody anything."""
