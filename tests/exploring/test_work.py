"""The one thread that computes: short work first, bounds, and long work that nobody asks for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from zspace.errors import InputError
from zspace.exploring import work as module
from zspace.exploring.work import EACH, JOBS, BusyError, Steps, Work


@pytest.fixture
def work() -> Iterator[Work]:
    made = Work()
    yield made
    made.close()


def counted(n: int, seen: list[int] | None = None) -> Steps:
    for i in range(n):
        if seen is not None:
            seen.append(i)
        yield i / n, None
    return n


def wait(work: Work, key: str, steps: Steps) -> module.Job:
    job = work.job(key, lambda: steps)
    for _ in range(2000):
        if job.done:
            return job
        threading.Event().wait(0.005)
    raise AssertionError("the job did not end")


def test_results_and_errors_come_back(work: Work) -> None:
    assert work.ask("a", lambda: 3).result(5) == 3

    def wrong() -> None:
        raise InputError("no")

    with pytest.raises(InputError):
        work.ask("a", wrong).result(5)
    assert work.ask("a", lambda: 4).result(5) == 4


def test_a_tab_waits_for_a_few_things_at_once(work: Work) -> None:
    gate = threading.Event()
    first = work.ask("other", gate.wait)
    while not first.running():
        pass
    held = [work.ask("a", lambda: 1) for _ in range(EACH)]
    with pytest.raises(BusyError):
        work.ask("a", lambda: 1)
    work.ask("b", lambda: 2)
    gate.set()
    assert [f.result(5) for f in held] == [1] * EACH
    assert work.ask("a", lambda: 5).result(5) == 5


def test_all_tabs_together_are_bounded(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 10)
    gate = threading.Event()
    first = work.ask("first", gate.wait)
    while not first.running():
        pass
    held = [work.ask(f"tab {i}", lambda: None) for i in range(10)]
    with pytest.raises(BusyError):
        work.ask("one more", lambda: None)
    gate.set()
    held[-1].result(5)


def test_short_work_does_not_wait_for_long_work(work: Work) -> None:
    steps = threading.Semaphore(0)

    def long() -> Steps:
        for i in range(100):
            steps.acquire()
            yield i / 100, i
        return "done"

    job = work.job("long", long)
    steps.release()
    future = work.ask("a", lambda: 7)
    steps.release()
    assert future.result(5) == 7
    assert not job.done
    for _ in range(100):
        steps.release()
    assert wait(work, "long", counted(0)).result == "done"


def test_long_work_is_done_once(work: Work) -> None:
    seen: list[int] = []
    job = wait(work, "a", counted(5, seen))
    assert job.result == 5
    assert work.job("a", lambda: counted(5, seen)) is job
    assert seen == [0, 1, 2, 3, 4]


def test_long_work_ends_that_nobody_asks_for(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FORGOTTEN", -1.0)
    seen: list[int] = []
    job = wait(work, "a", counted(10**9, seen))
    assert isinstance(job.error, InputError)
    monkeypatch.setattr(module, "FORGOTTEN", 20.0)
    assert wait(work, "a", counted(3)).result == 3, "it is begun anew"


def test_long_work_that_fails_says_so_once_and_is_begun_anew(work: Work) -> None:
    def failing() -> Steps:
        yield 0.0, None
        raise InputError("too few")

    first = wait(work, "a", failing())
    assert work.job("a", failing) is first
    assert isinstance(first.error, InputError)
    assert work.job("a", lambda: counted(3)) is not first


def test_jobs_under_way_are_bounded(work: Work) -> None:
    gate = threading.Event()
    work.ask("a", gate.wait)
    for i in range(JOBS):
        work.job(i, lambda: counted(1))
    with pytest.raises(BusyError):
        work.job("more", lambda: counted(1))
    gate.set()
