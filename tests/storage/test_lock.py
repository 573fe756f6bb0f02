"""The lock of a run's folder: one process trains it, and a kill leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import zspace
from tests.conftest import SMALL, Refused
from zspace.errors import InputError
from zspace.storage.lock import locked
from zspace.storage.run import Run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/locks")

HOLD = """
import sys
from pathlib import Path
from zspace.storage.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def hold(folder: Path) -> Generator[subprocess.Popen[str]]:
    """A process that holds the lock of a folder."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def try_to_lock(folder: Path) -> None:
    with locked(folder):
        pass


def test_a_second_process_is_told_who_holds_it_and_a_kill_ends_it(tmp_path: Path) -> None:
    with hold(tmp_path) as other:
        with pytest.raises(InputError, match=f"is in use by process {other.pid}: wait"):
            try_to_lock(tmp_path)
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert list(tmp_path.iterdir()) == []
        with locked(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()}"):
            try_to_lock(tmp_path)
    try_to_lock(tmp_path)


def test_nobody_writes_a_run_that_another_process_trains(refused: Refused, tmp_path: Path) -> None:
    run = tmp_path / "run"
    zspace.train("ae", "digits", out=run, iterations=20, device="cpu", **SMALL)
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    again = ["--data=digits", "--iterations=20", "--device=cpu", "--out", run, "--overwrite"]
    with hold(run) as other:
        told = f"is in use by process {other.pid}"
        assert told in refused("train", "ae", *again)
        assert told in refused("resume", run, "--iterations=40")
        assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before
        assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]
    zspace.resume(run, iterations=40)


def test_the_lock_moves_with_a_new_run_and_two_can_not_make_one(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", {"recipe": "ae"}) as run:
        again = Run.create(tmp_path / "run", {"recipe": "ae"}, overwrite=True)
        for other in (again, run.alone()):
            with pytest.raises(InputError, match="is in use by process"), other:
                pass
        assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]
    with Run.create(tmp_path / "run", {"recipe": "vae"}, overwrite=True) as run:
        assert run.config == {"recipe": "vae"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_a_folder_that_was_replaced_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    opened = os.open

    def replaced(path: Path, flags: int) -> int:
        handle = opened(path, flags)
        folder.rename(tmp_path / "old")
        folder.mkdir()
        return handle

    monkeypatch.setattr("zspace.storage.lock.os.open", replaced)
    with pytest.raises(InputError, match="was replaced by another process"), locked(folder):
        pass
