"""Mutations of every format that is read: named errors only, no hang, no memory, no file written.

    python -m tests.campaign.mutations [--count 10000] [--only FORMAT]

A watcher refuses what no reader may do: open a file for writing, start a program, or connect.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.io import savemat

import zspace
from tests.campaign.shared import store
from tests.conftest import SMALL
from zspace import api
from zspace.data import load
from zspace.data.cifar import read_batch
from zspace.data.idx import read_idx
from zspace.data.svhn import read_mat
from zspace.errors import InputError
from zspace.evaluation.evaluate import evaluate
from zspace.evaluation.results import read_evaluation, write_evaluation
from zspace.generation.fit import fit_sampler, read_sampler
from zspace.generation.tuning.lines import Space
from zspace.generation.tuning.trials import Trials
from zspace.metrics import Figure
from zspace.papers.cells import Cells
from zspace.papers.protocol import Kept
from zspace.storage.config import read_config
from zspace.storage.files import read_json
from zspace.storage.run import Run

SECONDS = 5
"""The time that one read may take."""
MEMORY = 500 << 20
"""The memory in bytes that all reads of a format may add."""

EDITS = (
    b"null", b"true", b"[]", b"{}", b'""', b"-1", b"0", b"1e999", b"NaN", b"1" + b"0" * 400,
    b"[" * 3000, b'{"a":' * 3000, b'"\\ud800"', b"\xff\xfe", b"&a [*a]", b"!!python/name:os.system",
    b"1:59:59", b"$\\frac{", b"\x00", b"9" * 5000, b"../../etc/passwd", b"file:x.pt",
)  # fmt: skip
"""What is put in place of, or into, a part of a file."""


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A file's content with one to three changes."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if not data:
            break
        # headers are short: half of the changes fall on the first bytes
        most = len(data) if chance.random() < 0.5 else min(len(data), 400)
        place = chance.randrange(most)
        match chance.randrange(7):
            case 0:
                data[place] ^= 1 << chance.randrange(8)
            case 1:
                data[place] = chance.choice((0, 1, 127, 128, 255))
            case 2:
                del data[place:]
            case 3:
                del data[place : place + chance.randrange(1, 40)]
            case 4:
                data[place:place] = data[place : place + chance.randrange(1, 40)]
            case 5:
                data[place:place] = chance.choice(EDITS)
            case _:
                words = [w for w in bytes(data[:4000]).replace(b":", b" ").split() if len(w) > 1]
                if words:
                    word = chance.choice(words).strip(b'",{}[]')
                    data = bytearray(bytes(data).replace(word, chance.choice(EDITS), 1))
    return bytes(data)


@dataclass
class Watcher:
    """What readers may not do, noted while they read."""

    watching: bool = False
    seen: list[str] = field(default_factory=list)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watching:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes and not str(path).startswith(("/dev/null", "/proc")):
                self.seen.append(f"open {path!r} {mode!r}")
        elif event in ("subprocess.Popen", "os.system", "os.exec", "socket.connect"):
            self.seen.append(f"{event} {arguments!r:.200}")


class Slow(BaseException):
    """A read took too long."""


def _alarm(*_: object) -> None:
    raise Slow


Read = Callable[[Path], object]


def formats(folder: Path) -> dict[str, tuple[Path, Read]]:
    """A good file of each format, with the function that reads it."""
    run = folder / "run"
    zspace.train("vae", "digits", out=run, iterations=20, device="cpu", **SMALL)
    fit_sampler(run, "mixture", {"components": 3})
    model = api.load(run)
    write_evaluation(run, evaluate(run, n=30, metrics=["mse", "w1"], device="cpu"))
    cells = Cells(folder / "cells.json")
    cells.of("a", lambda: {"b": Figure(1.0, 0.1)})
    tried = {"point": {"rate": 1e-3}, "reconstructed": 1.0, "generated": 2.0}
    own = {"tried": [tried], "chosen": {"rate": 1e-3}, "seconds per iteration": 0.5}
    (folder / "protocol.json").write_text(json.dumps({"VAE": own}))
    space = Space((2,), [[0]])
    trials = Trials.open(None, folder / "trials.log", "a", space, lambda _: None)
    trials.add((0, 0), lambda: {"rows": [[0]], "values": [1.0], "cosine": [0.1], "accuracy": [1.0]})
    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    (folder / "x.idx").write_bytes(b"\0\0\x08\x03" + b"".join(
        n.to_bytes(4, "big") for n in x.shape) + x.tobytes())  # fmt: skip
    np.save(folder / "x.npy", x)
    np.savez_compressed(folder / "x.npz", images=x, labels=np.arange(40) % 4)
    pictures: dict[str, tuple[Path, Read]] = {}
    for form in ("png", "jpg", "gif", "bmp", "webp", "tif", "ppm"):
        place = folder / form
        place.mkdir()
        for i in range(12):
            Image.fromarray(x[i], "L").convert("RGB").save(place / f"{i}.{form}")
        pictures[form] = (place / f"0.{form}", lambda path: load(str(path.parent), validation=0.0))
    batch = {"data": np.resize(x, (4, 3072)), "labels": [1] * 4}
    (folder / "batch").write_bytes(pickle.dumps(batch, protocol=2))
    savemat(folder / "x.mat", {"X": np.resize(x, (32, 32, 3, 4)), "y": np.ones((4, 1), np.uint8)})
    return {
        "config.yaml": (run / "config.yaml", lambda path: api.load(path.parent)),
        "options.yaml": (run / "config.yaml", read_config),
        "model.safetensors": (run / "model.safetensors", lambda path: api.load(path.parent)),
        "checkpoint": (
            run / "checkpoints" / "000000020.safetensors",
            lambda path: api.load(path.parent.parent, checkpoint=20),
        ),
        "sampler": (
            run / "samplers" / "mixture.safetensors",
            lambda path: read_sampler(path.parent.parent, "mixture", model),
        ),
        "evaluation.json": (run / "evaluation.json", lambda path: read_evaluation(path.parent)),
        "log.jsonl": (run / "log.jsonl", lambda path: Run(path.parent).losses()),
        "cells.json": (folder / "cells.json", Cells),
        "protocol.json": (folder / "protocol.json", lambda path: read_json(path, dict[str, Kept])),
        "trials.log": (
            folder / "trials.log",
            lambda path: Trials.open(None, path, "a", space, lambda _: None).refresh(),
        ),
        "idx": (folder / "x.idx", read_idx),
        "npy": (folder / "x.npy", lambda path: load(str(path), validation=0.0)),
        "npz": (folder / "x.npz", lambda path: load(str(path), validation=0.0)),
        "cifar batch": (folder / "batch", read_batch),
        "mat": (folder / "x.mat", read_mat),
        **pictures,
    }


WRITES = {"trials.log"}
"""The formats whose file is opened to be written to as well."""


def campaign(name: str, path: Path, read: Read, count: int, watcher: Watcher) -> dict[str, Any]:
    """Read mutations of a file; returns what happened, and the first faults."""
    content, chance = path.read_bytes(), random.Random(name)
    seen: Counter[str] = Counter()
    faults: list[str] = []
    read(path)  # what is loaded once counts for none
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    for number in range(count):
        change = mutated(content, chance)
        path.write_bytes(change)
        watcher.seen.clear()
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        watcher.watching = name not in WRITES
        try:
            read(path)
            what = "read"
        except InputError as error:
            what = "refused" if len(str(error)) < 1000 else "long"
        except Slow:
            what = "slow"
        except BaseException:
            what = "fault"
            faults.append(traceback.format_exc()[-1500:])
        finally:
            watcher.watching = False
            signal.setitimer(signal.ITIMER_REAL, 0)
        if watcher.seen:
            what = "forbidden"
            faults.append("; ".join(watcher.seen))
        seen[what] += 1
        if what in ("slow", "fault", "forbidden", "long"):
            kept = path.parent / f"found-{name.replace(' ', '-')}-{number}"
            Path(tempfile.gettempdir(), kept.name).write_bytes(change)
            faults.append(f"{what}: {kept.name} after {time.monotonic() - began:.1f} s")
    path.write_bytes(content)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - before
    if grown > MEMORY:
        seen["memory"] += 1
    return {"format": name, "seen": dict(seen), "MiB": grown >> 20, "faults": faults[:6]}


BAD = ("slow", "fault", "forbidden", "long", "memory")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--only")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, _alarm)
    watcher = Watcher()
    sys.addaudithook(watcher)
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    os.environ["ZSPACE_CACHE"] = str(folder / "cache")
    results: list[dict[str, Any]] = []
    for name, (path, read) in formats(folder).items():
        if options.only not in (None, name):
            continue
        result = campaign(name, path, read, options.count, watcher)
        results.append(result)
        print(result["format"], result["seen"], f"{result['MiB']} MiB", flush=True)
        for fault in result["faults"]:
            print("    " + fault.replace("\n", "\n    "), flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    store(options.out, results)
    return int(any(r["seen"].get(bad) for r in results for bad in BAD))


if __name__ == "__main__":
    sys.exit(main())
