"""`traced`, which makes a graph of operators of a network, by `torch.export`."""

from __future__ import annotations

import logging
import math
import operator
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zspace.errors import InputError, cut, shown
from zspace.nets.graph import DTYPES, FORMATS, MOST, Description, Graph, Step, Weight, names_in
from zspace.nets.operators import NUMBERS

_UNNEEDED = ("_assert_scalar", "_assert_async", "_assert_tensor_metadata", "sym_constrain_range")
"""Checks of what was true when the network was traced."""

TOLERANCE = 1e-4
"""The largest difference from the traced network that counts as rounding, relative to its width."""


def traced(net: nn.Module, example: Tensor, what: str) -> Graph:
    """A network's graph, with its weights, for any number of samples.

    Args:
        net: the network, in eval mode, which maps a tensor (N, ...) to a tensor or a tuple of them.
        example: samples (N, ...), 2 at least.
        what: the name of the network, for messages.

    Raises:
        InputError: it can't be traced, has operators that can't be stored, or its graph gives other
            results than the network.
    """
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                net, (example,), dynamic_shapes=({0: torch.export.Dim.AUTO},), strict=False
            )
    except Exception as error:  # it carries out other people's code
        raise InputError(
            f"{what} can't be stored as a graph of operators: {cut(str(error).strip())} (without "
            "out= it can be used in this process)"
        ) from error
    finally:
        logging.disable(level)
    graph = graph_of(program).to(example.device)
    with torch.no_grad():
        for x in (example, example[:1]):
            for found, wanted in zip(graph(x), as_tuple(net(x)), strict=True):
                width = float(wanted.float().std(correction=0)) or 1.0
                if not float((found.float() - wanted.float()).abs().max()) <= TOLERANCE * width:
                    raise InputError(f"{what} gives other results when it is stored as a graph")
    return graph


def graph_of(program: Any) -> Graph:
    """The graph of a program that `torch.export` has made, with its weights.

    Raises:
        InputError: it has operators that can't be stored.
    """
    if any(_changes(node) for node in program.graph.nodes):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = program.run_decompositions({})  # nothing is changed in place after this
    described, tensors = _described(program)
    graph = Graph(described)
    for name, value in tensors.items():
        getattr(graph, name).data.copy_(value)
    return graph


def _changes(node: Any) -> bool:
    """Whether a traced operator changes a tensor in place."""
    return bool(getattr(getattr(node.target, "_schema", None), "is_mutable", False))


def as_tuple(outputs: Any) -> tuple[Tensor, ...]:
    """A network's output as a tuple."""
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _described(program: Any) -> tuple[Description, dict[str, Tensor]]:
    """The description of an exported program, and its weights by name."""
    stored = {**program.state_dict, **program.constants}
    tensors: dict[str, Tensor] = {}
    given, bounds = "", (0, 0)
    for spec in program.graph_signature.input_specs:
        name = spec.arg.name
        if spec.target is None:
            given, bounds = name, _bounds(program, name)
        elif isinstance(stored.get(spec.target), Tensor):
            tensors[name] = stored[spec.target].detach()
        else:
            raise InputError(f"the network holds {shown(spec.target)}, which is no tensor")
    steps: list[Step] = []
    outputs = [value["of"] for value in _operations(program.graph_module, {}, "", steps)]
    taken = {name for step in steps for name in names_in([step.args, step.kwargs])} | {*outputs}
    weights = {
        name: Weight([*value.shape], str(value.dtype).removeprefix("torch."))
        for name, value in tensors.items()
        if name in taken
    }
    described = Description(given, weights, steps, outputs, *bounds)
    return described, {name: tensors[name] for name in weights}


def _operations(module: Any, known: dict[Any, Any], prefix: str, steps: list[Step]) -> list[Any]:
    """Append the operators of a traced module, and of those within it, to `steps`.

    Args:
        module: the module.
        known: what stands for the nodes that are its inputs, as `_written` writes it.
        prefix: what the names of its results begin with.
        steps: the operators so far.

    Returns its outputs, as `_written` writes them.
    Raises:
        InputError: an operator can't be stored.
    """
    for node in module.graph.nodes:
        if node.op == "placeholder":
            known.setdefault(node, {"of": node.name})
        elif node.op == "output":
            return _written(list(node.args[0]), known)
        elif node.op == "call_function":
            name = node.target.__name__ if hasattr(node.target, "__name__") else str(node.target)
            if name.split(".")[0] in _UNNEEDED:
                continue
            if name.startswith("wrap_with_"):  # a part of it, in another mode
                at = next(i for i, arg in enumerate(node.args) if _is_part(arg))
                if name == "wrap_with_autocast" and node.args[2]:
                    raise InputError("the network chooses half precision by itself, by autocast")
                part = getattr(module, node.args[at].target)
                inner = (n for n in part.graph.nodes if n.op == "placeholder")
                given = (_written(arg, known) for arg in node.args[at + 1 :])
                inputs = dict(zip(inner, given, strict=True))
                known[node] = _operations(part, inputs, f"{prefix}{node.name}_", steps)
            elif node.target is operator.getitem and isinstance(known.get(node.args[0]), list):
                known[node] = known[node.args[0]][node.args[1]]
            else:
                known[node] = {"of": f"{prefix}{node.name}"}
                args = [_written(value, known) for value in node.args]
                kwargs = {key: _written(value, known) for key, value in node.kwargs.items()}
                steps.append(Step(known[node]["of"], _name_of(node.target), args, kwargs))
    raise InputError("the network gives nothing")


def _is_part(value: Any) -> bool:
    """Whether an argument of a traced operator is a module within the module."""
    return isinstance(value, torch.fx.Node) and value.op == "get_attr"


def _bounds(program: Any, name: str) -> tuple[int, int]:
    """The least and the largest number of samples that an exported program takes at once, or 0."""
    (node,) = (node for node in program.graph.nodes if node.name == name)
    n = node.meta["val"].shape[0]
    if isinstance(n, int) or n.node.expr not in program.range_constraints:
        return int(n), int(n)  # a number of the example's has become a constant
    bound = program.range_constraints[n.node.expr].upper
    return 0, int(bound) if bound.is_Integer and bound < MOST else 0


def _name_of(target: Any) -> str:
    """The name of an operator in a description."""
    for name in NUMBERS:
        if target is getattr(operator, name):
            return name
    return str(target)


def _written(value: Any, known: Mapping[Any, Any]) -> Any:
    """An argument of a traced operator as a `Step` has it.

    Args:
        value: the argument.
        known: what stands for the results of operators.

    Raises:
        InputError: the argument can't be stored.
    """
    if isinstance(value, torch.fx.Node):
        return known[value]
    if isinstance(value, list | tuple):
        return [_written(item, known) for item in value]
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int) and abs(value) < 1 << 63:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, torch.dtype) and str(value).removeprefix("torch.") in DTYPES:
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, torch.memory_format) and value in FORMATS.values():
        return {"format": str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"here": None}
    if value is torch.strided:
        return None
    raise InputError(f"an operator of the network takes {shown(value)}, which can't be stored")
