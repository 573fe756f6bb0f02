"""Kills at random instants: every command goes on exactly, and leaves no stray file.

    python -m tests.campaign.kills [--count 200] [--only COMMAND]

Each trial starts from the same files, kills the command by SIGKILL, SIGTERM or SIGINT at a random
instant, starts it again (`resume` where a training has a folder), and compares all files with
those of a command that was never killed.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.campaign.shared import (
    COMMANDS,
    contents,
    different,
    fresh,
    going_on,
    prepared,
    start,
    store,
)

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="number of kills")
    parser.add_argument("--only")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    options = parser.parse_args()
    root, base = prepared()
    commands = {n: c for n, c in COMMANDS.items() if options.only in (None, n)}
    whole: dict[str, dict[str, str]] = {}
    lasts: dict[str, float] = {}
    for name, command in commands.items():
        for _ in range(2):  # the second has the cache
            folder = fresh(base, "whole")
            began = time.monotonic()
            done = start(folder, command.arguments)
            _, err = done.communicate()
            assert done.returncode == 0, (name, err)
            lasts[name] = time.monotonic() - began
        whole[name] = contents(folder)
        print(f"{name}: {lasts[name]:.1f} s, {len(whole[name])} files", flush=True)
    chance = random.Random(0)
    seen: Counter[str] = Counter()
    faults: list[str] = []
    kills = 0
    while kills < options.count:
        name = list(commands)[kills % len(commands)] if chance.random() < 0.7 else chance.choice(
            list(commands)
        )  # fmt: skip
        command = commands[name]
        folder = fresh(base, "trial")
        left = chance.choice((1, 1, 2))
        while True:
            process = start(folder, going_on(command, folder))
            number = chance.choice(SIGNALS)
            killed = False
            if left > 0:
                try:
                    process.wait(chance.uniform(0.2, 1.05) * lasts[name])
                except subprocess.TimeoutExpired:
                    process.send_signal(number)
                    killed = True
                    left -= 1
                    kills += 1
            _, err = process.communicate()
            if "Traceback" in err or "Exception ignored" in err:
                faults.append(f"{name} by {number.name}: {err[-1500:]}")
            if killed and process.returncode not in (0, -number, 128 + number):
                faults.append(f"{name} by {number.name}: status {process.returncode}: {err[-500:]}")
            if not killed and process.returncode == 0:
                break
            if not killed:
                # what was whole before the signal came is not written over
                if process.returncode != 2 or different(contents(folder), whole[name]):
                    faults.append(f"{name} does not go on: {err[-500:]}")
                break
            if process.returncode == 0:
                break
        found = contents(folder)
        strays = [p for p in found if any(part.startswith(".") for part in Path(p).parts)]
        differ = different(found, whole[name])
        what = "stray" if strays else "differs" if differ else "exact"
        if what != "exact":
            faults.append(f"{name}: {what}: {sorted(strays or differ)[:6]}")
            shutil.copytree(folder, root / f"found-{kills}")
        seen[f"{name}: {what}"] += 1
        print(f"{kills} {name}: {what}", flush=True)
    print(dict(seen))
    for fault in faults:
        print("    " + fault.replace("\n", "\n    "))
    print(f"{kills} kills, {len(faults)} faults; files in {root}")
    store(options.out, {"kills": kills, "seen": dict(seen), "faults": faults})
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
