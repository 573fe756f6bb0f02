"""Ctrl-C and SIGTERM at any instant: one line, the status of an interrupt, nothing half-written."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EARLY = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
sys.argv = ["zspace", *sys.argv[2:]]
module = sys.argv.pop(1)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)
            import time; time.sleep(1)
sys.meta_path.insert(0, Finder())
from zspace.__main__ import main
main()
"""


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "ZSPACE_CACHE": str(folder / "cache")}


@pytest.mark.parametrize("module", ["zspace.cli", "click", "torch", "numpy", "zspace.api", "PIL"])
def test_an_interrupt_while_a_module_is_imported(tmp_path: Path, module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY, "", module, "train", "ae", "--iterations=1", "--out=run"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (130, "zspace: interrupted\n"), done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_at_random_instants(
    runs: dict[str, Path], tmp_path: Path, number: signal.Signals
) -> None:
    commands = (
        ["train", "ae", "--iterations=300", "--out=run", "--overwrite", "--device=cpu"],
        ["sample", str(runs["vae"]), "--n=2000", "--out=x.npz"],
        ["train", "flexae", "--help"],
    )
    chance = random.Random(int(number))
    for i in range(6):
        process = subprocess.Popen(
            [sys.executable, "-m", "zspace", *commands[i % len(commands)]],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.3 + chance.uniform(0, 4))
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
        told = [line for line in err.splitlines() if "interrupted" in line]
        assert "Traceback" not in err, err
        assert process.returncode in (0, 128 + number), (process.returncode, err)
        assert len(told) == (process.returncode != 0), err
    assert [p for p in tmp_path.rglob(".*") if p.name != "."] == []
