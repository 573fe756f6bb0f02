"""`Progress`, the protocol by which long operations report how far they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from zspace.errors import InputError

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


class _Function(Progress):
    """A plain function that is called with done, total and figures."""

    def __init__(self, function: Callable[[int, int | None, Mapping[str, float]], object]) -> None:
        self.function = function

    def __call__(
        self, done: int, total: int | None = None, figures: Mapping[str, float] = NO_FIGURES
    ) -> None:
        self.function(done, total, figures)


def as_progress(given: object) -> Progress:
    """What is given as a receiver of progress: a `Progress`, or a function of its arguments.

    Raises:
        InputError: it is neither.

    >>> as_progress(print)(1, 2, {"loss": 0.5})
    1 2 {'loss': 0.5}
    """
    if isinstance(given, Progress):
        return given
    if callable(given):
        return _Function(given)
    raise InputError(
        "progress must be a zspace.Progress or a function of (done, total, figures), not "
        f"{type(given).__name__}"
    )


class Staged(Progress):
    """A progress that counts the iterations of all stages, and first passes on some messages.

    The messages are passed on when training is under way, so that an earlier error stands alone.
    """

    def __init__(self, progress: Progress, messages: list[str], total: int) -> None:
        self.progress, self.messages, self.total = progress, messages, total

    def __call__(
        self, done: int, total: int | None = None, figures: Mapping[str, float] = NO_FIGURES
    ) -> None:
        while self.messages:
            self.progress.say(self.messages.pop(0))
        self.progress(done, self.total, figures)


SILENT = Progress()
"""The progress that ignores everything."""
