"""What commands hold at a time: time and peak memory by the number of images that are asked for.

    python bench/memory.py [COMMAND...]

Every command runs in a process of its own, whose peak memory is what `/usr/bin/time -v` calls the
maximum resident set size.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

SIZES = 10_000, 100_000, 1_000_000
"""The numbers of images or codes; where a command writes a file for each, all but the last."""

COMMANDS = {
    "sample to npz": "sample vae --n {n} --out out.npz",
    "sample to folder": "sample vae --n {n} --out out",
    "sample to png": "sample vae --n {n} --out out.png",
    "encode": "encode vae --data images-{n}.npy --out out.npz",
    "decode to npz": "decode vae codes-{n}.npz --out out.npz",
    "augment to npz": "augment vae --per-class {tenth} --weights dirichlet --out out.npz",
    "reconstruct to npz": "reconstruct vae --data test-{n}.npz --n {n} --out out.npz",
    "imagine to npz": "imagine vae --data test-{n}.npz --n {n} --draws 1 --out out.npz",
    "interpolate to npz": "interpolate vae --data test-{n}.npz --n {half} --steps 2 --out out.npz",
    "evaluate": "evaluate vae-{n} --features pixels --n {fifth} --quiet",
}
LONG = {"sample to folder": SIZES[:2], "sample to png": SIZES[:2], "evaluate": (10_000, 200_000)}

TRAIN = "train vae --arch fc --hidden 64 --iterations 200 --quiet"


def inputs(n: int) -> None:
    """Write n images, n codes, and a data set whose test part has n images."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, 8, 8), np.uint8)
    np.save(f"images-{n}.npy", images)
    np.savez(f"codes-{n}.npz", codes=rng.standard_normal((n, 64), np.float32))
    few = images[:100]
    np.savez(f"test-{n}.npz", images=few, images_validation=few, images_test=images)


def zspace(arguments: str) -> tuple[float, float, int]:
    """The seconds, the peak memory in MiB and the exit status of a command."""
    began = time.perf_counter()
    started = subprocess.Popen([sys.executable, "-m", "zspace", *arguments.split()])
    _, status, used = os.wait4(started.pid, 0)
    return time.perf_counter() - began, used.ru_maxrss / 1024, status


def main() -> None:
    wanted = sys.argv[1:] or list(COMMANDS)
    print("| command | " + " | ".join(f"{n:,}" for n in SIZES) + " |", "|---" * 4 + "|", sep="\n")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        zspace(f"{TRAIN} --data digits --latent-dim 64 --out vae")
        for name in wanted:
            cells: list[str] = []
            for n in LONG.get(name, SIZES):
                # in a process of its own, since a child's peak begins with its parent's
                made = multiprocessing.Process(target=inputs, args=(n,))
                made.start()
                made.join()
                if name == "evaluate":
                    zspace(f"{TRAIN} --data images-{n}.npy --out vae-{n}")
                command = COMMANDS[name].format(n=n, half=n // 2, tenth=n // 10, fifth=n // 5)
                seconds, peak, status = zspace(command)
                failed = f" (status {status})" if status else ""
                cells.append(f"{peak:.0f} MiB, {seconds:.1f} s{failed}")
                subprocess.run(["rm", "-rf", "out", "out.npz", "out.png"], check=True)
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
