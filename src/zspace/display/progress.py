"""Progress of long operations: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

EVERY = 10.0
"""The number of seconds between two plain lines."""


class TrainingProgress:
    """A context that shows the progress of a training; it is a `zspace.training.Report`.

    Args:
        quiet: whether to show nothing.
        start: the iteration from which a run is resumed.
    """

    def __init__(self, *, quiet: bool = False, start: int = 0) -> None:
        self.quiet, self.start = quiet, start
        self.began = self.spoke = time.monotonic()
        self.bar: Progress | None = None

    def __enter__(self) -> Self:
        if not self.quiet and sys.stderr.isatty():
            self.bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]} it/s"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[losses]}"),
                console=Console(stderr=True),
            )
            self.task = self.bar.add_task("", total=None, completed=self.start, rate="-", losses="")
            self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, iteration: int, total: int, losses: Mapping[str, float]) -> None:
        now = time.monotonic()
        rate = (iteration - self.start) / max(now - self.began, 1e-9)
        words = "  ".join(f"{name} {value:.3g}" for name, value in losses.items())
        if self.bar is not None:
            self.bar.update(
                self.task, total=total, completed=iteration, rate=f"{rate:.3g}", losses=words
            )
        elif not self.quiet and (now - self.spoke >= EVERY or iteration == total):
            self.spoke = now
            left = (total - iteration) / max(rate, 1e-9)
            minutes, seconds = divmod(round(left), 60)
            print(
                f"{iteration}/{total}  {rate:.3g} it/s  {minutes}:{seconds:02d} left  {words}",
                file=sys.stderr,
                flush=True,
            )


class Steps:
    """A context that shows the current step of a measurement.

    It is a `zspace.features.extract.Progress`. On a terminal it shows the step all the time,
    elsewhere it prints a line every few seconds.
    """

    def __init__(self) -> None:
        self.began = self.spoke = time.monotonic()
        self.status = Console(stderr=True).status("")

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self.status.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.status.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        words = what if total <= 1 else f"{what} {done}/{total}"
        if sys.stderr.isatty():
            self.status.update(escape(words))
        elif now - self.spoke >= EVERY:
            self.spoke = now
            print(f"{now - self.began:.0f} s: {words}", file=sys.stderr, flush=True)

    def say(self, message: str) -> None:
        """Print a message on standard error."""
        print(message, file=sys.stderr, flush=True)


class Downloads:
    """A context that shows a bar for each downloaded file; a `zspace.data.download.Progress`."""

    def __init__(self) -> None:
        self.bar = Progress(console=Console(stderr=True))
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.tasks:
            self.bar.stop()

    def __call__(self, file: str, done: int, total: int | None) -> None:
        self.bar.start()
        if file not in self.tasks:
            self.tasks[file] = self.bar.add_task(file, total=total)
        self.bar.update(self.tasks[file], completed=done, total=total)
