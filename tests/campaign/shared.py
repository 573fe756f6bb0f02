"""What the campaigns share: commands on a small run, and the files that they leave."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def environment(folder: Path) -> dict[str, str]:
    """The environment of a command: one thread, no GPU, and the campaign's own cache."""
    own = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return {**os.environ, **own, "ZSPACE_CACHE": str(folder.parent / "cache")}


def start(folder: Path, arguments: list[str]) -> subprocess.Popen[str]:
    """A command that runs in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "zspace", *arguments],
        cwd=folder,
        env=environment(folder),
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


def prepared() -> tuple[Path, Path]:
    """A folder for a campaign, and in it the folder of a small run from which each trial starts."""
    root = Path(tempfile.mkdtemp(prefix="campaign-"))
    base = root / "base"
    base.mkdir()
    start(base, ["train", "vae", *VAE, *QUICK, "--iterations=60", "--out=run"]).communicate()
    return root, base


def fresh(base: Path, name: str) -> Path:
    """A copy of the prepared folder, in place of an earlier one of that name."""
    folder = base.parent / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder)
    return folder


def store(out: Path | None, figures: Any) -> None:
    """Write a campaign's figures to a JSON file, if one is asked for."""
    if out is not None:
        out.write_text(json.dumps(figures, indent=1) + "\n")


def going_on(command: Command, folder: Path) -> list[str]:
    """The arguments by which a command that was stopped goes on."""
    there = command.again is not None and (folder / command.made).exists()
    return command.again if there and command.again else command.arguments


def different(found: dict[str, str], right: dict[str, str]) -> list[str]:
    """The paths whose contents differ."""
    return sorted(p for p in found.keys() | right.keys() if found.get(p) != right.get(p))
