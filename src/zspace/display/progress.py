"""The display of progress: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from zspace.core import Progress
from zspace.core.progress import NO_FIGURES
from zspace.errors import visible

EVERY = 10.0
"""The number of seconds between two plain lines."""


class Display(Progress):
    """A context that shows progress on standard error.

    Args:
        quiet: whether to show nothing.
        start: the amount that was done before, which does not count for the speed.
    """

    def __init__(self, *, quiet: bool = False, start: int = 0) -> None:
        self.quiet = quiet
        self.spoke = time.monotonic()
        self.bar: Bar | None = None
        self._shown: tuple[str, TaskID] | None = None
        self._whole = _Part(self, "", start)

    def __enter__(self) -> Self:
        if not self.quiet and sys.stderr.isatty():
            self.bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[figures]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(
        self, done: int, total: int | None = None, figures: Mapping[str, float] = NO_FIGURES
    ) -> None:
        self._whole(done, total, figures)

    def about(self, what: str) -> Progress:
        return _Part(self, what)

    def say(self, message: str) -> None:
        if self.quiet:
            return
        if self.bar is not None:
            self.bar.console.print(escape(visible(message)), highlight=False)
        else:
            print(visible(message), file=sys.stderr, flush=True)

    def task(self, what: str) -> TaskID:
        """The bar of a given name, which replaces the one shown before."""
        assert self.bar is not None
        if self._shown is None or self._shown[0] != what:
            if self._shown is not None:
                self.bar.remove_task(self._shown[1])
            task = self.bar.add_task(escape(visible(what)), total=None, rate="", figures="")
            self._shown = what, task
        return self._shown[1]


class _Part(Progress):
    """The progress of one named part of what a `Display` shows."""

    def __init__(self, display: Display, what: str, start: int = 0) -> None:
        self.display, self.what, self.start = display, what, start
        self.began = time.monotonic()

    def __call__(
        self, done: int, total: int | None = None, figures: Mapping[str, float] = NO_FIGURES
    ) -> None:
        display = self.display
        if display.quiet:
            return
        now = time.monotonic()
        speed = (done - self.start) / max(now - self.began, 1e-9)
        rate = f"{speed:.3g} it/s" if figures else ""
        words = "  ".join(f"{name} {value:.3g}" for name, value in figures.items())
        if display.bar is not None:
            task = display.task(self.what)
            display.bar.update(task, total=total, completed=done, rate=rate, figures=words)
        elif now - display.spoke >= EVERY or (figures and done == total):
            display.spoke = now
            far = f"{done}" if total is None else f"{done}/{total}"
            left = ""
            if total is not None and speed > 0:
                minutes, seconds = divmod(round((total - done) / speed), 60)
                left = f"{minutes}:{seconds:02d} left"
            parts = [self.what, far, rate, left, words]
            print(visible("  ".join(p for p in parts if p)), file=sys.stderr, flush=True)

    def about(self, what: str) -> Progress:
        return _Part(self.display, what)

    def say(self, message: str) -> None:
        self.display.say(message)
