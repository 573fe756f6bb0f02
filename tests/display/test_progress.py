"""What people see of progress, where standard error is no terminal and where it is one."""

from __future__ import annotations

import sys

import pytest

from zspace.display import progress
from zspace.display.progress import Display


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call is worth a line."""
    monkeypatch.setattr(progress, "EVERY", 0.0)


def test_plain_lines(soon: None, capsys: pytest.CaptureFixture[str]) -> None:
    with Display(start=10) as display:
        display(20, 40, {"ae.loss": 0.125})
        display.about("fitting kde")(3, 4)
        display.about("pms of prior")(0)
        display.say("parts were split off")
    first, second, third, last = capsys.readouterr().err.splitlines()
    assert first.startswith("20/40  ")
    assert first.endswith(" left  ae.loss 0.125")
    assert " it/s  " in first
    assert second.startswith("fitting kde  3/4  ")
    assert third == "pms of prior  0"
    assert last == "parts were split off"


def test_the_end_of_a_training_is_always_told(capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        display(1, 2, {"loss": 1.0})
        display(2, 2, {"loss": 0.5})
        display.about("scoring")(9, 9)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["2/2"]


def test_quiet_says_nothing(soon: None, capsys: pytest.CaptureFixture[str]) -> None:
    with Display(quiet=True) as display:
        display(2, 2, {"loss": 0.5})
        display.about("scoring")(9, 9)
        display.say("nothing")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_one_bar_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Display() as display:
        assert display.bar is not None
        display(1, 4, {"[loss]": 0.5})
        display.about("fitting [kde]")(1, 2)
        display.about("pms of prior")(0)
        display.say("[not markup]")
        (task,) = display.bar.tasks
        assert task.description == "pms of prior"
        assert task.total is None
