"""Kills at random instants: every command goes on exactly, and leaves no stray file.

    python -m tests.campaign.kills [--count 200] [--only COMMAND]

Each trial starts from the same files, kills the command by SIGKILL, SIGTERM or SIGINT at a random
instant, starts it again (`resume` where a training has a folder), and compares all files with
those of a command that was never killed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

QUICK = ["--device=cpu", "--threads=1"]
VAE = ["--width=4", "--hidden=16", "--latent-dim=3", "--batch-size=16", "--data=digits"]


@dataclass(frozen=True)
class Command:
    """A command to be killed.

    Attributes:
        arguments: what follows `zspace`; RUN stands for the run that is there at the start.
        made: what the command makes, in the working folder.
        again: the arguments of the command that goes on, if `made` is there; None takes the same.
    """

    arguments: list[str]
    made: str
    again: list[str] | None = None


COMMANDS = {
    "train": Command(
        ["train", "vae", *VAE, *QUICK, "--iterations=400", "--checkpoint-every=40", "--out=new"],
        "new",
        ["resume", "new"],
    ),
    "train --overwrite": Command(
        ["train", "ae", *VAE, *QUICK, "--iterations=300", "--out=run", "--overwrite"], "run"
    ),
    "resume": Command(["resume", "run", "--iterations=400"], "run"),
    "fit-sampler": Command(
        ["fit-sampler", "run", "--sampler=flow-matching", "--iterations=120", "--device=cpu"], "run"
    ),
    "tune": Command(
        ["tune", "run", "--sampler=simple", "--trials=12", "--samples=4", "--device=cpu"], "run"
    ),
    "evaluate": Command(
        ["evaluate", "run", "--metrics=mse,fid,pr", "--features=pixels", "--n=200", "--device=cpu"],
        "run",
    ),
    "reproduce": Command(
        ["reproduce", "gen/table1", "--scale=smoke", "--out=table", "--device=cpu"], "table"
    ),
    "export": Command(["export", "run", "--out=net.onnx"], "net.onnx"),
    "augment": Command(["augment", "run", "--per-class=30", "--device=cpu", "--out=more"], "more"),
    "sample": Command(["sample", "run", "--n=3000", "--device=cpu", "--out=many"], "many"),
}
"""The commands by name."""


def start(folder: Path, arguments: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [sys.executable, "-m", "zspace", *arguments],
        cwd=folder,
        env={**environment, "ZSPACE_CACHE": str(folder.parent / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


TIMES = ("seconds",)
"""The keys of JSON files whose values are times."""


def contents(folder: Path) -> dict[str, str]:
    """A checksum of each file in a folder, by its path; times in JSON files count for nothing."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        data = path.read_bytes()
        if path.suffix == ".json":
            held = json.loads(data)
            if isinstance(held, dict):
                data = json.dumps({k: v for k, v in held.items() if k not in TIMES}).encode()
        elif path.suffix == ".md":
            lines = data.decode().splitlines()
            data = "\n".join(line for line in lines if "This call took" not in line).encode()
        elif path.name == "trials.log":  # Optuna notes times and names of processes
            data = b""
        found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="number of kills")
    parser.add_argument("--only")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="campaign-"))
    base = root / "base"
    base.mkdir()
    made = start(base, ["train", "vae", *VAE, *QUICK, "--iterations=60", "--out=run"])
    made.communicate()
    commands = {n: c for n, c in COMMANDS.items() if options.only in (None, n)}
    whole: dict[str, dict[str, str]] = {}
    lasts: dict[str, float] = {}
    for name, command in commands.items():
        for _ in range(2):  # the second has the cache
            folder = root / "whole"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(base, folder)
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
        folder = root / "trial"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base, folder)
        left = chance.choice((1, 1, 2))
        while True:
            again = command.again is not None and (folder / command.made).exists()
            process = start(folder, command.again if again and command.again else command.arguments)
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
                faults.append(f"{name} does not go on: {err[-500:]}")
                break
            if process.returncode == 0:
                break
        found = contents(folder)
        strays = [p for p in found if any(part.startswith(".") for part in Path(p).parts)]
        differ = [
            p for p in found.keys() | whole[name].keys() if found.get(p) != whole[name].get(p)
        ]
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
    if options.out is not None:
        result = {"kills": kills, "seen": dict(seen), "faults": faults}
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
