"""Networks as data: graphs of PyTorch's operators, which are stored and read without any code.

A trained network of somebody else is traced by `torch.export`; what is kept are its operators, in
order, and its weights. Only those of `zspace.nets.operators` are carried out.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from zspace.errors import InputError, cut, shown
from zspace.nets.operators import function_of
from zspace.storage.reading import size_text

MOST = 1 << 16
"""The largest number of operators in a graph."""

MANY = 256
"""A number of samples at which a graph that is read is checked, as many as a block has."""

LARGEST = 1 << 26
"""The largest number of elements of one result, per sample, in a graph that is read."""

ROOM = 1 << 30
"""The bytes that the results of a graph that is read may take at once, per sample.

Samples are divided into parts whose results take no more, either.
"""

DTYPES = {
    str(t).removeprefix("torch."): t
    for t in (
        *(torch.float32, torch.float64, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    )
}
FORMATS = {
    str(f).removeprefix("torch."): f
    for f in (torch.contiguous_format, torch.channels_last, torch.preserve_format)
}


class Step(msgspec.Struct, frozen=True):
    """One operator of a graph.

    Attributes:
        name: the name of its result.
        operator: what `zspace.nets.operators.function_of` takes.
        args, kwargs: its arguments: plain values, lists of them, and mappings of one key for what
            JSON lacks: {"of": NAME} of a result, an input or a weight, {"dtype": NAME},
            {"format": NAME}, {"float": "inf"}, and {"here": null} for the input's device.
    """

    name: str
    operator: str
    args: list[Any] = []
    kwargs: dict[str, Any] = {}


class Weight(msgspec.Struct, frozen=True):
    """The shape and the type of a weight."""

    shape: list[int]
    dtype: str


class Description(msgspec.Struct, frozen=True, tag="graph"):
    """A graph without the values of its weights, as it is stored in JSON.

    Attributes:
        input: the name of its input.
        weights: its weights by name.
        steps: its operators, each after those whose results it takes.
        outputs: the names of its outputs.
        least, most: the smallest and the largest number of samples that it takes at once; 0 if
            there is none.
    """

    input: str
    weights: dict[str, Weight]
    steps: list[Step]
    outputs: list[str]
    least: int = 0
    most: int = 0


class Graph(nn.Module):
    """A network that carries out the operators of a description.

    It maps a tensor (N, ...) to a tuple of tensors (N, ...).

    Args:
        description: the description.

    Raises:
        InputError: the description is wrong, or names an operator that is not allowed.
    """

    def __init__(self, description: Description) -> None:
        super().__init__()
        self.description = description
        if len(description.steps) > MOST:
            raise InputError(f"a graph of {len(description.steps)} operators, more than {MOST:,}")
        if not 0 <= description.least <= (description.most or MOST) <= MOST:
            raise InputError("a graph that takes an impossible number of samples")
        for name, weight in description.weights.items():
            if not name.isidentifier() or name.startswith("_") or hasattr(self, name):
                raise InputError(f"a weight can't be named {shown(name)}")
            if weight.dtype not in DTYPES or not all(0 < n < 1 << 31 for n in weight.shape):
                raise InputError(f"the weight {name} has a wrong type or shape")
            empty = torch.zeros(weight.shape, dtype=DTYPES[weight.dtype])
            if empty.is_floating_point():
                self.register_parameter(name, nn.Parameter(empty, requires_grad=False))
            else:
                self.register_buffer(name, empty)
        self._most = description.most
        self._operators = [function_of(step.operator) for step in description.steps]
        try:
            self._last = _last_uses(description)
        except RecursionError as error:
            raise InputError("the graph's arguments are nested too deeply") from error

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        # in a file that is being exported, the number of samples is free
        whole = torch.onnx.is_in_onnx_export()
        n, least, most = x.shape[0], self.description.least, self._most
        if n < max(1, least) and not whole:
            last = x[-1:] if n else x.new_zeros(1, *x.shape[1:])
            more = last.expand(max(1, least) - n, *x.shape[1:])
            return tuple(each[:n] for each in self.forward(torch.cat([x, more])))
        if 0 < most < n and not whole:
            parts = [self.forward(part) for part in x.split(most)]
            return tuple(torch.cat(each) for each in zip(*parts, strict=True))
        known: dict[str, Any] = {name: getattr(self, name) for name in self.description.weights}
        known[self.description.input] = x
        for step, function, done in zip(
            self.description.steps, self._operators, self._last, strict=True
        ):
            try:
                args = [_read(value, known, x) for value in step.args]
                kwargs = {key: _read(value, known, x) for key, value in step.kwargs.items()}
                known[step.name] = function(*args, **kwargs)
            except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
                if isinstance(error, InputError) or "alloc" in str(error):
                    raise
                raise InputError(
                    f"{step.operator} of the network's graph fails: {cut(str(error))}"
                ) from error
            for name in done:
                del known[name]
        return tuple(known[name] for name in self.description.outputs)

    def check(self, shape: Sequence[int]) -> list[tuple[int, ...]]:
        """Check the whole graph without computing it, for samples of a shape.

        From then on it divides what it is given into parts whose results take `ROOM` at most.

        Returns the shapes of the outputs for a sample.
        Raises:
            InputError: it can't be carried out, a result would be larger than `LARGEST`, all that
                it holds at once larger than `ROOM`, or a result grow faster than the number of
                samples.
        """
        with torch.device("meta"):
            meta = Graph(self.description)
        seen: list[list[int]] = []
        found: list[tuple[int, ...]] = []
        least = max(2, self.description.least)
        numbers = least, max(least, min(MANY, self.description.most or MANY))
        fitting = MOST
        for n in numbers:
            bounded = _Bounded(n)
            try:
                with bounded, torch.no_grad():
                    outputs = meta(torch.empty(n, *shape, device="meta"))
            except InputError:
                raise
            except Exception as error:  # whatever an operator says of wrong arguments
                raise InputError(f"the graph can't be carried out: {cut(str(error))}") from error
            if not all(torch.is_tensor(o) and o.ndim > 1 and len(o) == n for o in outputs):
                raise InputError("the graph does not give tensors (N, ...)")
            seen.append(bounded.sizes)
            found = [tuple(o.shape[1:]) for o in outputs]
            fitting = max(least, ROOM * n // max(1, bounded.peak))
        few, many = seen
        if len(few) != len(many) or any(
            b * numbers[0] > a * numbers[1] for a, b in zip(few, many, strict=True)
        ):
            raise InputError("the graph's results grow faster than the number of samples")
        self._most = min(fitting, self.description.most or MOST)
        return found


class _Bounded(TorchDispatchMode):
    """A context in which results are bounded for each of n samples.

    None may be larger than `LARGEST`, and all that are held at once not larger than `ROOM`.

    Attributes:
        n: the number of samples.
        sizes: the numbers of elements of all results.
        peak: the bytes that results took at once, at most.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n
        self.sizes: list[int] = []
        self.peak = self._held = 0
        self._holders: dict[int, int] = {}  # how many results lie in each piece of memory

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if any(argument.name == "device" for argument in func._schema.arguments):
            kwargs["device"] = torch.device("meta")
        result = func(*args, **kwargs)
        for each in result if isinstance(result, list | tuple) else [result]:
            if isinstance(each, Tensor):
                self._count(each, func)
        return result

    def _count(self, result: Tensor, func: Any) -> None:
        self.sizes.append(result.numel())
        if result.numel() > self.n * LARGEST:
            raise InputError(f"the graph's {func} would make {result.numel():,} numbers")
        memory = result.untyped_storage()
        key, size = StorageWeakRef(memory).cdata, memory.nbytes()
        if key not in self._holders:
            self._holders[key] = 0
            self._held += size
        self._holders[key] += 1
        weakref.finalize(result, self._release, key, size).atexit = False
        self.peak = max(self.peak, self._held)
        if self.peak > self.n * ROOM:
            needed = size_text(self.peak // self.n)
            raise InputError(f"the graph's results would take {needed} for each sample at {func}")

    def _release(self, key: int, size: int) -> None:
        self._holders[key] -= 1
        if not self._holders[key]:
            del self._holders[key]
            self._held -= size


def _last_uses(description: Description) -> list[list[str]]:
    """The names of the results that can be forgotten after each step.

    Raises:
        InputError: a step takes what does not exist yet, or a name is given twice.
    """
    known = {description.input, *description.weights}
    kept = known | set(description.outputs)
    last: dict[str, int] = {}
    for i, step in enumerate(description.steps):
        for name in names_in([step.args, step.kwargs]):
            if name not in known:
                raise InputError(f"the graph's {step.name} takes {shown(name)}, which is not there")
            last[name] = i
        if step.name in known:
            raise InputError(f"the graph has two results named {shown(step.name)}")
        known.add(step.name)
        last.setdefault(step.name, i)
    if not known >= set(description.outputs):
        raise InputError("the graph's outputs are not among its results")
    done: list[list[str]] = [[] for _ in description.steps]
    for name, i in last.items():
        if name not in kept:
            done[i].append(name)
    return done


def names_in(value: Any) -> list[str]:
    """The names of results that arguments hold."""
    if isinstance(value, list):
        return [name for item in value for name in names_in(item)]
    if isinstance(value, dict):
        if set(value) == {"of"}:
            return [value["of"]] if isinstance(value["of"], str) else []
        return [name for item in value.values() for name in names_in(item)]
    return []


def _read(value: Any, known: dict[str, Any], x: Tensor) -> Any:
    """An argument of an operator (see `Step`)."""
    if isinstance(value, list):
        return [_read(item, known, x) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "of":
        return known[content]
    if kind == "dtype":
        return DTYPES[content]
    if kind == "format":
        return FORMATS[content]
    if kind == "float":
        return float(content)
    if kind == "here":
        return x.device
    raise InputError(f"the graph has an argument of the kind {shown(kind)}")
