"""`Work`, one thread that computes what all tabs ask for, within bounds.

Short work goes first. Long work is a generator, which is carried on a step at a time whenever
nothing short waits, so that neither blocks the other and no two threads use one model.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from zspace.errors import InputError

WAITING = 128
"""The number of requests that wait at once, at most."""

EACH = 4
"""The number of requests of one tab that wait at once, at most."""

JOBS = 8
"""The number of long jobs that are under way at once, at most."""

KEPT = 24
"""The number of results of long jobs that are kept, at most."""

FORGOTTEN = 20.0
"""The seconds after which a long job ends that nobody asks for any more."""


class BusyError(Exception):
    """More is asked for than may wait."""


Steps = Generator[tuple[float, Any], None, Any]
"""A long job: it yields the share that is done, with what can be shown already, or None; it returns
its result."""


@dataclass
class Job:
    """A long job.

    Attributes:
        steps: the work.
        share: the share that is done, in [0, 1].
        shown: what can be shown already.
        done: whether it has ended.
        result: what it gave.
        error: what it failed with.
        forgotten: whether it was given up, since nobody asked for it any more.
        asked: when it was last asked for, in seconds of a clock.
    """

    steps: Steps
    share: float = 0.0
    shown: Any = None
    done: bool = False
    result: Any = None
    error: Exception | None = None
    forgotten: bool = False
    asked: float = 0.0


class Work:
    """What is to be computed, and the thread that does it."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._asked: deque[tuple[str, Callable[[], Any], Future[Any]]] = deque()
        self._waiting: Counter[str] = Counter()
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="zspace work", daemon=True)
        self._thread.start()

    def ask(self, tab: str, function: Callable[[], Any]) -> Future[Any]:
        """The future result of a function, which is called when its turn comes.

        Args:
            tab: who asks, of whom at most `EACH` requests wait.
            function: the function.

        Raises:
            BusyError: too much waits already.
        """
        with self._ready:
            if len(self._asked) >= WAITING or self._waiting[tab] >= EACH or self._closed:
                raise BusyError
            future: Future[Any] = Future()
            self._asked.append((tab, function, future))
            self._waiting[tab] += 1
            self._ready.notify()
            return future

    def job(self, key: Hashable, begin: Callable[[], Steps]) -> Job:
        """A long job by its key, which is begun if it is not there, or was given up.

        One that failed is told of once, and begun anew when it is asked for again.

        Raises:
            BusyError: too many are under way.
        """
        with self._ready:
            held = self._jobs.get(key)
            if held is not None and held.error is not None and not held.forgotten:
                return self._jobs.pop(key)
            if held is None or held.forgotten:
                if sum(not job.done for job in self._jobs.values()) >= JOBS:
                    raise BusyError
                held = self._jobs[key] = Job(begin())
                for old in [k for k, job in self._jobs.items() if job.done][:-KEPT]:
                    del self._jobs[old]
                self._ready.notify()
            self._jobs.move_to_end(key)
            held.asked = time.monotonic()
            return held

    def close(self) -> None:
        """End the thread after what it is doing."""
        with self._ready:
            self._closed = True
            self._ready.notify()

    def _run(self) -> None:
        while not self._closed:
            job = None
            with self._ready:
                while not (self._asked or self._closed or (job := self._next())):
                    self._ready.wait()
                asked = self._asked.popleft() if self._asked else None
                if asked is not None:
                    self._waiting[asked[0]] -= 1
                    self._waiting += Counter[str]()  # forgets tabs of which nothing waits
            if asked is None:
                if job is not None:
                    self._step(job)
            elif asked[2].set_running_or_notify_cancel():
                self._answer(asked[1], asked[2])

    def _answer(self, function: Callable[[], Any], future: Future[Any]) -> None:
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)

    def _next(self) -> Job | None:
        """The job to carry on: the one that was asked for last."""
        return next((job for job in reversed(self._jobs.values()) if not job.done), None)

    def _step(self, job: Job) -> None:
        try:
            if time.monotonic() - job.asked > FORGOTTEN:
                job.steps.close()
                job.forgotten = True
                raise InputError("nobody asked for this any more")
            job.share, shown = next(job.steps)
            job.shown = job.shown if shown is None else shown
        except StopIteration as end:
            job.result, job.shown, job.done = end.value, None, True
        except Exception as error:
            job.error, job.done = error, True
