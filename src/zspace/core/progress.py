"""`Progress`, the protocol by which long operations report how far they are."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NO_FIGURES: Mapping[str, float] = MappingProxyType({})


class Progress:
    """A receiver of progress. This class ignores it; a subclass may override any method.

    Every operation that takes time accepts a `progress` and calls it, so that the same object
    can follow a training, a fit, a search, a measurement or a download, on a terminal, in a
    notebook or in a log.

    >>> class Lines(Progress):
    ...     def __call__(self, done, total=None, figures=NO_FIGURES):
    ...         print(done, total, dict(figures))
    >>> Lines()(3, 10, {"ae.loss": 0.5})
    3 10 {'ae.loss': 0.5}
    """

    def __call__(
        self, done: int, total: int | None = None, figures: Mapping[str, float] = NO_FIGURES
    ) -> None:
        """Report how much is done.

        Args:
            done: the number of iterations, samples or bytes so far, from 0.
            total: the number of all; None if it is unknown.
            figures: current numbers of interest by name, such as losses.
        """

    def about(self, what: str) -> Progress:
        """The receiver of the progress of a named part, such as "fitting kde"."""
        return self

    def say(self, message: str) -> None:
        """Report a message of one sentence, such as that data were split."""


SILENT = Progress()
"""The progress that ignores everything."""
