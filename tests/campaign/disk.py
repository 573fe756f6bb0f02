"""A full disk at every write: one line that says so, and nothing half-written.

    python -m tests.campaign.disk [--only COMMAND]

A command is run with a limit on the size of a file (RLIMIT_FSIZE), at several sizes, and with a
disk that is full from the k-th whole file on (its fsync fails), for every k until the command ends
well. What was there before stays as it was, and the same command works again.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.campaign.shared import (
    COMMANDS,
    contents,
    different,
    environment,
    fresh,
    going_on,
    prepared,
    start,
    store,
)

LIMITS = (0, 100, 2_000, 20_000, 200_000)
"""The sizes in bytes up to which a file can be written."""

FULL = """
import errno, os, sys
left, synced = int(sys.argv.pop(1)), os.fsync
def fsync(handle):
    global left
    left -= 1
    if left < 0:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    synced(handle)
os.fsync = fsync
from zspace.__main__ import main
main()
"""


def limited(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def run(
    folder: Path, arguments: list[str], *, size: int | None, full: int | None
) -> tuple[int, str]:
    """Run a command on a disk that is full beyond a size of a file, or after some files."""
    begin = ["-m", "zspace"] if full is None else ["-c", FULL, str(full)]
    done = subprocess.run(
        [sys.executable, *begin, *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        preexec_fn=None if size is None else lambda: limited(size),
        check=False,
    )
    return done.returncode, done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only")
    parser.add_argument("--most", type=int, default=12, help="most whole files before it is full")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    options = parser.parse_args()
    root, base = prepared()
    seen: Counter[str] = Counter()
    faults: list[str] = []
    for name, command in COMMANDS.items():
        if options.only not in (None, name):
            continue
        whole = fresh(base, "whole")
        start(whole, command.arguments).communicate()
        right = contents(whole)
        ways = [(size, None) for size in LIMITS] + [(None, k) for k in range(options.most)]
        for size, full in ways:
            folder = fresh(base, "trial")
            status, err = run(folder, command.arguments, size=size, full=full)
            lines = [line for line in err.splitlines() if line.startswith("zspace: ")]
            wrong: list[str] = []
            if status not in (0, 2) or "Traceback" in err or (status == 2 and len(lines) != 1):
                wrong.append(f"status {status}: {err[-800:]}")
            strays = [str(p) for p in folder.rglob(".*")]
            if strays:
                wrong.append(f"strays: {strays[:5]}")
            done = start(folder, going_on(command, folder))
            _, err = done.communicate()
            if done.returncode != 0 and status != 0:
                wrong.append(f"the same command does not work again: {err[-500:]}")
            elif status != 0 and (differ := different(contents(folder), right)):
                wrong.append(f"the result differs: {differ[:5]}")
            what = "wrong" if wrong else "refused" if status else "done"
            seen[what] += 1
            print(name, f"size {size}" if full is None else f"full after {full}", what, flush=True)
            faults += [f"{name}, size {size}, full {full}: {w}" for w in wrong]
            for w in wrong:
                print("    " + w.replace("\n", "\n    "), flush=True)
            if full is not None and status == 0:
                break
    print(dict(seen))
    store(options.out, {"seen": dict(seen), "faults": faults})
    shutil.rmtree(root, ignore_errors=True)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
