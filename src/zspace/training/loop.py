"""The training loop: `fit` trains a method, and `descend` makes one update of an optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from zspace.core import SILENT, Batches, Method, Progress, Terms
from zspace.errors import ModelError
from zspace.storage.optimizers import owned
from zspace.storage.run import Run
from zspace.training import graphs
from zspace.training.devices import Precision, make_fabric
from zspace.training.graphs import Losses, Repeated

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Rate = Callable[[int], float]
"""A learning-rate schedule: maps the iteration, from 0, to a factor on each optimiser's rate."""


def constant(iteration: int) -> float:
    """The schedule of a constant learning rate, whose factor is always 1."""
    return 1.0


def half_cosine(iterations: int, last: float = 0.0) -> Rate:
    """The schedule that falls along half a cosine from 1 to `last`, where it then stays.

    Args:
        iterations: the number of iterations over which it falls.
        last: the factor at the end.

    >>> [half_cosine(4, 0.5)(i) for i in (0, 2, 4, 9)]
    [1.0, 0.75, 0.5, 0.5]
    """

    def rate(iteration: int) -> float:
        fallen = (1 + math.cos(math.pi * min(iteration, iterations) / iterations)) / 2
        return last + (1 - last) * fallen

    return rate


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


def descend(
    optimizer: Optimizer, terms: Terms, fabric: Fabric | None = None, *, alone: bool = False
) -> None:
    """Make one update of an optimiser's parameters by the gradient of the sum of losses.

    The gradient is taken with respect to these parameters only, so that no loss affects another
    player. Over several processes it is averaged in one flattened all-reduce.

    Args:
        optimizer: the optimiser.
        terms: the losses by name, scalars.
        fabric: the processes; None means one.
        alone: whether nothing but these parameters requires gradients, which saves time.
    """
    parameters = owned(optimizer)
    first, *others = terms.values()
    loss = sum(others, first)
    # in the memory layout of each parameter, as the fused update needs it
    torch.autograd.backward(loss, inputs=None if alone else parameters)
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
        precision: "32" or "bf16", as `settled` gives it.
        progress: told the iteration, the last iteration and the mean losses whenever these are
            logged.
        log_every: the number of iterations between two lines of the log.
        checkpoint_every: the number of iterations between two checkpoints; the last iteration has
            one, too.
        keep: the number of latest checkpoints to keep; 0 keeps all.

    Returns the trained method, in eval mode.
    Raises:
        ModelError: a loss or a weight became NaN or infinite; the message names it and the
            iteration.
        InputError: the run's checkpoint can't be used.
    """
    fabric = fabric or make_fabric("cpu")
    optimizers = method.optimizers()
    rates = {name: [float(g["lr"]) for g in o.param_groups] for name, o in optimizers.items()}
    whole = stored or method
    owners_alone(method, optimizers)
    if run is not None:
        run.restore(whole, optimizers, batches, before)
        if fabric.is_global_zero:
            run.begin(before + batches.step)
    half = precision == "bf16"
    narrow = torch.autocast(fabric.device.type, torch.bfloat16) if half else nullcontext()

    def iterate() -> Losses:
        losses: list[tuple[str, Tensor]] = []
        updates = iter(method.objectives(batches))
        while True:
            with narrow:
                update = next(updates, None)
            if update is None:
                return losses
            name, terms = update
            found = [(f"{name}.{term}", value.detach()) for term, value in terms.items()]
            if fabric.device.type == "cpu" and batches.tape is None:
                for key, value in found:  # at once, while the weights are still finite
                    _check_loss(before + batches.step, key, value.item())
            losses += found
            descend(optimizers[name], terms, fabric, alone=len(optimizers) == 1)

    capture = graphs.captured(fabric.device) if fabric.world_size == 1 else None
    if capture is not None and not graphs.capturable(optimizers, fabric.device):
        capture = None
    iteration = Repeated(method, batches, iterate, capture)
    losses, factor = _Losses(), math.nan
    method.train()
    with graphs.quick(fabric.device):
        while batches.step < iterations:
            if factor != (factor := rate(batches.step)):
                _set_rates(optimizers, rates, factor)
            losses.add(before + batches.step, iteration())
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


def _set_rates(
    optimizers: Mapping[str, Optimizer], rates: Mapping[str, list[float]], factor: float
) -> None:
    """Set the learning rates to a factor times those that the optimisers were made with."""
    for name, optimizer in optimizers.items():
        for group, base in zip(optimizer.param_groups, rates[name], strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(base * factor)
            else:
                group["lr"] = base * factor


class _Losses:
    """The losses since the last line of the log, which must be finite.

    Those on a device that would have to be waited for are looked at when they are logged.
    """

    def __init__(self) -> None:
        self._seen: list[tuple[int, Losses]] = []

    def add(self, iteration: int, losses: Losses) -> None:
        self._seen.append((iteration, losses))

    def means(self) -> dict[str, float]:
        seen = [(iteration, *loss) for iteration, losses in self._seen for loss in losses]
        self._seen = []
        values = torch.stack([v.float() for *_, v in seen]).tolist() if seen else []
        by_key: dict[str, list[float]] = {}
        for (iteration, key, _), value in zip(seen, values, strict=True):
            _check_loss(iteration, key, value)
            by_key.setdefault(key, []).append(value)
        return {key: math.fsum(own) / len(own) for key, own in by_key.items()}


def _check_loss(iteration: int, key: str, value: float) -> None:
    if not math.isfinite(value):
        raise ModelError(
            f"the loss '{key}' became {value} at iteration {iteration + 1}: the run stopped there "
            "and its last checkpoint stays (a lower learning rate, or --precision 32, may help)"
        )


def _check_weights(method: Method, iteration: int) -> None:
    """Refuse a state that is not finite: even a finite loss can leave an infinite weight."""
    for name, value in method.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ModelError(
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
