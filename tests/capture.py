"""A recorder that stands in for the capture of a CUDA graph on machines without a GPU.

Like a graph, it notes the operations of an iteration with the tensors that they read and write, and
`replay` runs these operations again on the same memory, without any Python of the method. What a
graph can't hold is refused: a number read from a tensor, a result whose shape depends on numbers,
and a tensor that is made from Python's numbers (a copy from memory that is not pinned).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

aten = torch.ops.aten
READ = {aten._local_scalar_dense, aten.equal, aten.is_nonzero, aten.item}
SHAPED = {aten.nonzero, aten.masked_select, aten._unique2, aten.unique_dim, aten.bincount}
MADE = {aten.lift_fresh, aten.lift_fresh_copy}


class NotCaptured(RuntimeError):
    """An operation that a CUDA graph can't hold."""


def memory(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


class Recorder(TorchDispatchMode):
    """Notes operations; its `replay` runs them again."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[Any, Any, Any, list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func.overloadpacket
        given = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
        masks = packet in {aten.index, aten.index_put, aten.index_put_} and any(
            x.dtype == torch.bool for x in tree_flatten(args[1])[0] if isinstance(x, Tensor)
        )
        # a scalar of the CPU is a number that the kernel is given, and made once
        constant = packet in MADE and given[0].ndim == 0
        if packet in READ | SHAPED or masks or (packet in MADE and not constant):
            raise NotCaptured(str(func))
        out = func(*args, **kwargs)
        outs = [x for x in tree_flatten(out)[0] if isinstance(x, Tensor)]
        ours = {memory(x) for x in given if x.numel()}
        fresh = [x for x in outs if x.numel() and memory(x) not in ours]
        written = any(
            a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments
        )
        if fresh or written:  # else it is a view, which has the same memory each time
            self.noted.append((func, args, kwargs, fresh))
        return out

    def replay(self) -> None:
        with torch.no_grad():
            for func, args, kwargs, fresh in self.noted:
                given = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
                ours = {memory(x) for x in given if x.numel()}
                outs = [x for x in tree_flatten(func(*args, **kwargs))[0] if isinstance(x, Tensor)]
                again = [x for x in outs if x.numel() and memory(x) not in ours]
                for place, value in zip(fresh, again, strict=True):
                    place.copy_(value)


def on_cpu(device: torch.device) -> Callable[[Callable[[], None]], Callable[[], object]]:
    """Stands in for `zspace.training.graphs.captured`."""

    def capture(function: Callable[[], None]) -> Callable[[], object]:
        # a graph is made without running: the state before is what the first replay begins with
        kept: list[tuple[Tensor, Tensor]] = []
        recorder = Recorder()
        random = torch.get_rng_state()
        seen: set[int] = set()

        class Keep(TorchDispatchMode):
            def __torch_dispatch__(
                self, func: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                flat = [x for x in tree_flatten((args, kwargs or {}))[0] if isinstance(x, Tensor)]
                for x in flat:
                    key = memory(x)
                    if x.numel() and key not in seen:
                        seen.add(key)
                        whole = torch.empty(0, dtype=torch.uint8).set_(x.untyped_storage())
                        kept.append((whole, whole.clone()))
                out = func(*args, **(kwargs or {}))
                for x in tree_flatten(out)[0]:
                    if isinstance(x, Tensor) and x.numel():
                        seen.add(memory(x))
                return out

        with Keep(), recorder:
            function()
        for place, value in kept:
            place.copy_(value)
        torch.set_rng_state(random)
        return recorder.replay

    return capture
