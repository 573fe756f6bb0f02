"""Peak memory of code in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# a process's ru_maxrss begins with that of the one that started it
PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
"""


def printed(code: str, *arguments: object) -> float:
    """The number that code prints last; it may call `peak()`, its memory at most so far in MiB."""
    return float(lines(code, *arguments)[-1])


def lines(code: str, *arguments: object) -> list[str]:
    """The lines that such code prints."""
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell a process's peak memory")
    command = [sys.executable, "-c", PEAK + code, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()
