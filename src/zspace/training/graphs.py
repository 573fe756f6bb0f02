"""Iterations that repeat the same operations, captured once as a CUDA graph and replayed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor
from torch.optim import Optimizer

from zspace.core import Batches, Method, Tape
from zspace.functional.tensors import kept_precision

Losses = Sequence[tuple[str, Tensor]]
"""The losses of an iteration, scalars by name, in their order."""

Capture = Callable[[Callable[[], None]], Callable[[], object]]
"""Takes a function without running it, and returns one that runs the operations it consists of."""

WARM_UP = 2
"""The iterations of a kind that run as written before one is captured.

The first makes the optimisers' state and the tape; the second is given the tape's tensors.
"""


def captured(device: torch.device) -> Capture | None:
    """How iterations are captured on a device; None where they can't be."""
    if device.type != "cuda":
        return None
    pool = torch.cuda.graph_pool_handle()

    def capture(function: Callable[[], None]) -> Callable[[], object]:
        graph = torch.cuda.CUDAGraph()
        own = torch.cuda.current_stream(device)
        # other threads, which read batches ahead, may allocate pinned memory meanwhile
        with torch.cuda.graph(graph, pool, own, capture_error_mode="thread_local"):
            function()
        return graph.replay

    return capture


@contextmanager
def quick(device: torch.device) -> Generator[None]:
    """A context in which a CUDA device trains: products in TF32, on a stream of its own.

    Work on the default stream can't be captured.
    """
    if device.type != "cuda":
        yield
        return
    before, own = torch.cuda.current_stream(device), _stream(device)
    own.wait_stream(before)
    try:
        with kept_precision(), torch.cuda.stream(own):
            torch.set_float32_matmul_precision("high")
            torch.backends.cudnn.allow_tf32 = True
            yield
    finally:
        before.wait_stream(own)


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """The stream of all trainings, since cuBLAS keeps 64 MiB for each stream that it has seen."""
    return torch.cuda.Stream(device)


def capturable(optimizers: Mapping[str, Optimizer], device: torch.device) -> bool:
    """Make the optimisers ready for a graph: their rates are tensors, which can be changed.

    Returns whether all of them can be captured.
    """
    groups = [group for o in optimizers.values() for group in o.param_groups]
    if not all("capturable" in group for group in groups):
        return False
    for group in groups:
        group["capturable"] = device.type == "cuda"
        group["lr"] = torch.tensor(float(group["lr"]), device=device)
    return True


@dataclass
class _Kind:
    """Iterations of one kind: how many there were, what they draw, and the captured one."""

    tape: Tape
    seen: int = 0
    replay: Callable[[], object] | None = None
    names: list[str] = field(default_factory=list[str])
    values: Tensor | None = None


class Repeated:
    """Runs a method's iterations, of which it captures those that repeat others.

    `Method.repeats` says which do: each kind of iteration runs as written twice, is captured the
    third time, and replayed from then on with new draws (`zspace.core.Tape`).

    Args:
        method: the method.
        batches: what its iterations draw from.
        iterate: runs one iteration and returns its losses.
        capture: captures one; None runs each as written.
    """

    def __init__(
        self,
        method: Method,
        batches: Batches,
        iterate: Callable[[], Losses],
        capture: Capture | None,
    ) -> None:
        self.method, self.batches, self.iterate = method, batches, iterate
        self.capture = capture if capture and _speaks_of_itself(method) else None
        self._kinds: dict[Hashable, _Kind] = {}

    def __call__(self) -> Losses:
        """Run one iteration; returns its losses."""
        if self.capture is None or (repeats := self.method.repeats(self.batches)) is None:
            return self.iterate()
        if repeats not in self._kinds:
            self._kinds[repeats] = _Kind(Tape(self.batches.device))
        kind = self._kinds[repeats]
        kind.seen += 1
        self.batches.tape = kind.tape
        try:
            if kind.seen > 1:
                kind.tape.fill()
            if kind.seen <= WARM_UP:
                losses = self.iterate()
                kind.tape.check()
                return losses
            if kind.replay is None:
                kind.replay = self._captured(kind, self.capture)
                kind.tape.check()
            kind.replay()
        finally:
            self.batches.tape = None
            self.batches.taken = self.batches.drawn
        assert kind.values is not None
        # the next iteration writes others there
        return list(zip(kind.names, kind.values.clone().unbind(), strict=True))

    def _captured(self, kind: _Kind, capture: Capture) -> Callable[[], object]:
        def run() -> None:
            losses = self.iterate()
            kind.names = [name for name, _ in losses]
            kind.values = torch.stack([value.float() for _, value in losses])

        return capture(run)


def _speaks_of_itself(method: Method) -> bool:
    """Whether `Method.repeats` is of the objectives of its own class, not of those it inherits."""

    def owner(name: str) -> type:
        return next(kind for kind in type(method).__mro__ if name in vars(kind))

    return issubclass(owner("repeats"), owner("objectives"))
