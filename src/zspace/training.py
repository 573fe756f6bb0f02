"""The training loop: `fit` trains a method, and `descend` makes one update of an optimiser."""

from __future__ import annotations

import ctypes
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from zspace.core import SILENT, Batches, Method, Progress, Terms
from zspace.errors import InputError
from zspace.processes import processes
from zspace.storage.optimizers import owned
from zspace.storage.run import Run

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Rate = Callable[[int], float]
"""A learning-rate schedule: maps the iteration, from 0, to a factor on each optimiser's rate."""


def constant(iteration: int) -> float:
    """The schedule of a constant learning rate, whose factor is always 1."""
    return 1.0


def adam(
    parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
    rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
) -> Adam:
    """The optimiser Adam (Kingma and Ba, 2015), in PyTorch's fused form.

    Args:
        parameters: the parameters to update, or groups of them with options of their own.
        rate: the learning rate.
        betas: the decay rates of the two moments, in [0, 1).
    """
    return Adam(parameters, lr=rate, betas=betas, fused=True)


def descend(optimizer: Optimizer, terms: Terms, fabric: Fabric | None = None) -> None:
    """Make one update of an optimiser's parameters by the gradient of the sum of losses.

    The gradient is taken with respect to these parameters only, so that no loss affects another
    player. Over several processes it is averaged in one flattened all-reduce.

    Args:
        optimizer: the optimiser.
        terms: the losses by name, scalars.
        fabric: the processes; None means one.
    """
    parameters = owned(optimizer)
    first, *others = terms.values()
    loss = sum(others, first)
    # in the memory layout of each parameter, as the fused update needs it
    torch.autograd.backward(loss, inputs=parameters)
    gradients = [p.grad for p in parameters if p.grad is not None]
    if len(gradients) < len(parameters):
        raise RuntimeError("a loss does not depend on all parameters of its optimiser")
    if fabric is not None and fabric.world_size > 1:
        flat = torch.cat([g.reshape(-1) for g in gradients])
        flat = fabric.all_reduce(flat, reduce_op="mean")
        assert isinstance(flat, Tensor)
        for g, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            g.copy_(part.view_as(g))
    optimizer.step()
    for p in parameters:
        p.grad = None


def owners_alone(method: Method, optimizers: Mapping[str, Optimizer]) -> None:
    """Make the optimisers' parameters require gradients, and no others of the method."""
    method.requires_grad_(False)
    for optimizer in optimizers.values():
        for p in owned(optimizer):
            p.requires_grad_(True)


def fit(
    method: Method,
    batches: Batches,
    iterations: int,
    *,
    rate: Rate = constant,
    stored: Method | None = None,
    before: int = 0,
    run: Run | None = None,
    fabric: Fabric | None = None,
    precision: Precision = "32",
    progress: Progress = SILENT,
    log_every: int = 10,
    checkpoint_every: int = 1000,
    keep: int = 2,
) -> Method:
    """Train a method, from the last checkpoint of a run if it has one.

    Only the parameters that the method's optimisers own require gradients.

    Args:
        method: the method to train, on the device of `fabric`.
        batches: the batches of training data and their noise.
        iterations: the number of iterations at which training ends, counting those done before a
            checkpoint.
        rate: the learning-rate schedule.
        stored: the method whose state a checkpoint holds, if `method` is one stage of it.
        before: the iterations of earlier stages, from which the log and checkpoints count on.
        run: the folder that gets checkpoints and the losses, each the mean since the last line;
            None stores nothing.
        fabric: device and processes; None means one process on the CPU.
        precision: "32" or "bf16" (see `settled`).
        progress: told the iteration, the last iteration and the mean losses whenever these are
            logged.
        log_every: the number of iterations between two lines of the log.
        checkpoint_every: the number of iterations between two checkpoints; the last iteration has
            one, too.
        keep: the number of latest checkpoints to keep; 0 keeps all.

    Returns the trained method, in eval mode.
    Raises:
        InputError: a loss or a weight became NaN or infinite (the message names it and the
            iteration), or the run's checkpoint can't be used.
    """
    fabric = fabric or make_fabric("cpu")
    optimizers = method.optimizers()
    rates = {name: [g["lr"] for g in o.param_groups] for name, o in optimizers.items()}
    whole = stored or method
    owners_alone(method, optimizers)
    if run is not None:
        run.restore(whole, optimizers, batches, before)
        if fabric.is_global_zero:
            run.begin(before + batches.step)
    losses, factor = _Losses(), math.nan
    half = precision == "bf16"
    narrow = torch.autocast(fabric.device.type, torch.bfloat16) if half else nullcontext()
    method.train()
    while batches.step < iterations:
        if factor != (factor := rate(batches.step)):
            for name, optimizer in optimizers.items():
                for group, base in zip(optimizer.param_groups, rates[name], strict=True):
                    group["lr"] = base * factor
        updates = iter(method.objectives(batches))
        while True:
            with narrow:
                update = next(updates, None)
            if update is None:
                break
            name, terms = update
            losses.add(before + batches.step, name, terms)
            descend(optimizers[name], terms, fabric)
        batches.step += 1
        done = before + batches.step
        last = batches.step == iterations
        save = run is not None and (last or done % checkpoint_every == 0)
        if save or last or done % log_every == 0:
            means = losses.means()
            if run is not None and fabric.is_global_zero:
                run.log(done, means)
            progress(done, before + iterations, means)
        if save or last:
            _check_weights(method, done)
            _average_buffers(method, fabric)
        if save and run is not None and fabric.is_global_zero:
            run.checkpoint(whole, optimizers, batches, done, keep=keep)
    method.eval()
    return method


class _Losses:
    """The losses since the last line of the log, which must be finite.

    Those on the CPU are checked at once, those on another device, which would have to be waited
    for, when they are logged.
    """

    def __init__(self) -> None:
        self._seen: list[tuple[int, str, Tensor]] = []

    def add(self, iteration: int, name: str, terms: Terms) -> None:
        for term, value in terms.items():
            key = f"{name}.{term}"
            self._seen.append((iteration, key, value.detach()))
            if value.device.type == "cpu":
                _check_loss(iteration, key, value.item())

    def means(self) -> dict[str, float]:
        seen, self._seen = self._seen, []
        values = torch.stack([v.float() for *_, v in seen]).tolist() if seen else []
        by_key: dict[str, list[float]] = {}
        for (iteration, key, _), value in zip(seen, values, strict=True):
            _check_loss(iteration, key, value)
            by_key.setdefault(key, []).append(value)
        return {key: math.fsum(own) / len(own) for key, own in by_key.items()}


def _check_loss(iteration: int, key: str, value: float) -> None:
    if not math.isfinite(value):
        raise InputError(
            f"the loss '{key}' became {value} at iteration {iteration + 1}: the run stopped there "
            "and its last checkpoint stays (a lower learning rate, or --precision 32, may help)"
        )


def _check_weights(method: Method, iteration: int) -> None:
    """Refuse a state that is not finite: even a finite loss can leave an infinite weight."""
    for name, value in method.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise InputError(
                f"{name} became NaN or infinite by iteration {iteration}: the run stopped there "
                "and its last checkpoint stays (a lower learning rate may help)"
            )


def _average_buffers(method: Method, fabric: Fabric) -> None:
    """Replace batch norm's statistics, which each process gathers for itself, by their mean."""
    if fabric.world_size > 1:
        for buffer in method.buffers():
            if buffer.is_floating_point():
                mean = fabric.all_reduce(buffer.clone(), reduce_op="mean")
                assert isinstance(mean, Tensor)
                buffer.copy_(mean)


def find_device(name: str = "auto") -> torch.device:
    """The device of a given name.

    Args:
        name: "cpu", "cuda" or "mps"; "auto" takes an accelerator if there is one.

    Raises:
        InputError: the name is unknown, or the machine has no such device.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, available in there.items() if available)
    if name not in there:
        raise InputError(f"--device must be one of auto, cpu, cuda, mps, not '{name}'")
    if not there[name]:
        raise InputError(
            f"--device {name}: this machine has no {name.upper()} device; use --device cpu or auto"
        )
    return torch.device(name)


def _keep_freed_memory() -> None:
    """Make glibc keep large freed blocks of memory for the rest of the process.

    By default it returns each to the system and maps a new one page by page, which takes a tenth
    of an iteration if layers have millions of weights. Other C libraries have no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in ((-3, 32 << 20), (-1, (1 << 31) - 1), (-2, 256 << 20)):
            # M_MMAP_THRESHOLD (at most 32 MiB), M_TRIM_THRESHOLD, M_TOP_PAD
            mallopt(parameter, value)


Precision = Literal["32", "bf16"]
"""The precision of training: float32 throughout, or bfloat16 in the operations that allow it."""


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
    """The precision to train in, if one is asked for: float32 where bfloat16 is slower.

    Several processes all take the one that suits the first.

    Args:
        precision: the precision that is asked for.
        fabric: device and processes.
        say: called with a sentence where bfloat16 is slower.
        begun: whether the training was begun in this precision: it stays, so that what is resumed
            ends like what was not interrupted.
    """
    if precision == "32":
        return precision
    device = fabric.device.type
    slowdown = fabric.broadcast(slowdown_of_bf16(device) if fabric.is_global_zero else 0.0)
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
        threads: the number of CPU threads; None leaves PyTorch's choice.

    Raises:
        InputError: there is no such device, or torchrun's environment variables are wrong.
    """
    started = processes()
    # imported here, since it takes long, and commands that only read a run do not need it
    from lightning_fabric import Fabric

    accelerator = find_device(device).type
    if accelerator == "cpu":
        _keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
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
