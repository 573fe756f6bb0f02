"""Where a training runs and how exactly: devices, processes and precision."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Literal

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from zspace.errors import InputError
from zspace.processes import processes

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def find_device(name: str = "auto") -> torch.device:
    """The device of a given name.

    Args:
        name: "cpu", "cuda" or "mps"; "auto" takes CUDA if it is there, else the CPU.

    Raises:
        InputError: the name is unknown, or the machine has no such device.
    """
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = "cuda" if there["cuda"] else "cpu"
    if name not in there:
        raise InputError(f"--device must be one of auto, cpu, cuda, mps, not '{name}'")
    if not there[name]:
        raise InputError(
            f"--device {name}: this machine has no {name.upper()} device; use --device cpu or auto"
        )
    return torch.device(name)


def keep_freed_memory() -> None:
    """Make glibc keep large freed blocks of memory for the rest of the process.

    By default it returns each to the system and maps a new one page by page, which takes a tenth
    of an iteration if layers have millions of weights. Other C libraries have no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in ((-3, 32 << 20), (-1, (1 << 31) - 1), (-2, 256 << 20)):
            # M_MMAP_THRESHOLD (at most 32 MiB), M_TRIM_THRESHOLD, M_TOP_PAD
            mallopt(parameter, value)


Precision = Literal["32", "bf16", "auto"]
"""The precision of training: float32, or bfloat16 in the operations that allow it.

On CUDA, products of float32 are in TF32. "auto" asks for bfloat16 where it is faster.
"""


CLEARLY = 1.2
"""The ratio of two measured times above which one is longer, and not by chance."""


@cache
def slowdown_of_bf16(device: str) -> float:
    """The time of a matrix product in bfloat16 on a device, divided by the time in float32.

    Processors without bfloat16 arithmetic emulate it, which can take 50 times as long. It is
    measured once in a process: the ratio of the medians of alternating products.

    Args:
        device: "cpu", "cuda" or "mps".
    """
    size = 256 if device == "cpu" else 2048  # an accelerator's small products only wait
    single = torch.ones(size, size, device=device)
    half = single.bfloat16()

    def seconds(x: Tensor) -> float:
        began = time.perf_counter()
        (x @ x)[0, 0].item()
        return time.perf_counter() - began

    times = [(seconds(half), seconds(single)) for _ in range(4)][1:]  # the first ones set up
    return median(t for t, _ in times) / median(t for _, t in times)


def settled(
    precision: Precision, fabric: Fabric, say: Callable[[str], object], *, begun: bool = False
) -> Precision:
    """The precision to train in, "32" or "bf16", if one is asked for: no slower one than float32.

    Several processes all take the one that suits the first.

    Args:
        precision: the precision that is asked for.
        fabric: device and processes.
        say: called with a sentence where another one is taken, or "auto" takes bfloat16.
        begun: whether the training was begun in this precision: it stays, so that what is resumed
            ends like what was not interrupted.
    """
    if precision == "32":
        return precision
    device = fabric.device.type
    slowdown = fabric.broadcast(slowdown_of_bf16(device) if fabric.is_global_zero else 0.0)
    if precision == "auto":
        if slowdown * CLEARLY > 1:
            return "32"
        say(f"training in bf16, which takes {slowdown:.2g} of the time on this {device.upper()}")
        return "bf16"
    if slowdown < CLEARLY:
        return precision
    takes = f"bf16 takes {slowdown:.1f} times as long as float32 on this {device.upper()}"
    if begun:
        say(f"{takes}, but training was begun in bf16 and goes on in it")
        return precision
    say(f"{takes}: training in float32 instead")
    return "32"


def make_fabric(device: str = "auto", threads: int | None = None) -> Fabric:
    """The device and processes of a training; under torchrun, all of its processes.

    Args:
        device: "auto", "cpu", "cuda" or "mps".
        threads: the number of CPU threads of PyTorch, NumPy and SciPy; None leaves their choice.

    Raises:
        InputError: there is no such device, or torchrun's environment variables are wrong.
    """
    started = processes()
    # imported here, since it takes long, and commands that only read a run do not need it
    from lightning_fabric import Fabric

    accelerator = find_device(device).type
    if accelerator == "cpu":
        keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
        threadpool_limits(threads, user_api="blas")
    fabric = Fabric(
        accelerator=accelerator,
        devices=started.local,
        num_nodes=started.world // started.local,
        strategy="ddp" if started.world > 1 else "auto",
    )
    if started.world > 1:
        fabric.launch()
    return fabric


def leave(fabric: Fabric) -> None:
    """Leave the group of processes, all at once: one that ends early would abort the others."""
    if fabric.world_size > 1:
        fabric.barrier()
        torch.distributed.destroy_process_group()
