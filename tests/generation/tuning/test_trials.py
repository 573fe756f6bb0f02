"""Stored trials: locks that a kill left, damage."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from zspace.generation.tuning import search
from zspace.generation.tuning.search import tune


@pytest.fixture
def run(told_apart: Path, tmp_path: Path) -> Path:
    shutil.copytree(told_apart, tmp_path / "run")
    return tmp_path / "run"


def test_a_lock_that_a_kill_left(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setattr(search, "FRESH", 40)
    monkeypatch.chdir(run.parent)
    (run / "tuning").mkdir()
    lock = run / "tuning" / "trials.log.lock"
    lock.symlink_to("run/tuning/trials.log")  # leads nowhere from there
    os.utime(lock, (1, 1), follow_symlinks=False)
    found = tune("run", "simple", trials=3, samples=20, device="cpu")
    assert found.trials == 3
    assert not lock.is_symlink()


@pytest.mark.parametrize(
    "written, damaged",
    [
        ('"rows"', '"lines"'),
        ('"where": [0, 0]', '"where": [[0], 0]'),
        ('"where": [0, 0]', '"where": [0, 0.5]'),
        ('"where": [0, 0]', '"where": [0]'),
        ('"where": [0, 0]', '"where": 5'),
        ('"values": [', '"values": ["nan", '),
        ('"values": [', '"values": [0.5, '),
        ('"rows": [[', '"rows": [[-1, '),
        ('"rows": [[', '"rows": [[1000], ['),
    ],
)
def test_a_damaged_trial(
    run: Path, refused: Callable[..., str], written: str, damaged: str
) -> None:
    tune(run, "simple", trials=3, samples=20, device="cpu")
    log = run / "tuning" / "trials.log"
    text = re.sub(r'(?<="):(?=\[)', ": ", log.read_text()).replace("[0,0]", "[0, 0]")
    assert written in text
    log.write_text(text.replace(written, damaged))
    message = refused(
        "tune", run, "--sampler=simple", "--trials=3", "--samples=20", "--quiet", "--device=cpu"
    )
    assert "of this search is damaged: remove" in message
