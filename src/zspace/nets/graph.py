"""Networks as data: graphs of PyTorch's operators, which are stored and read without any code.

A trained network of somebody else is traced by `torch.export`; what is kept are its operators, in
order, and its weights. Only operators of `OPERATORS` are carried out, none of which reads files,
draws random numbers or changes a tensor in place.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from zspace.errors import InputError, cut, shown

_KINDS = (
    """
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution linear addmm
    mm bmm matmul baddbmm einsum mv dot embedding scaled_dot_product_attention batch_norm layer_norm
    group_norm instance_norm rms_norm native_layer_norm native_group_norm dropout feature_dropout
    _native_batch_norm_legit_no_training alpha_dropout cdist _weight_norm vdot
    lstm gru im2col
    """,
    """
    relu relu6 leaky_relu elu selu celu gelu silu mish softplus hardtanh hardsigmoid hardswish
    sigmoid log_sigmoid tanh softshrink hardshrink prelu glu threshold softmax log_softmax _softmax
    _log_softmax
    """,
    """
    max_pool1d max_pool2d max_pool2d_with_indices avg_pool1d avg_pool2d avg_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d
    upsample_bicubic2d _upsample_nearest_exact1d _upsample_nearest_exact2d pixel_shuffle
    pixel_unshuffle channel_shuffle pad constant_pad_nd reflection_pad1d reflection_pad2d
    replication_pad1d replication_pad2d grid_sampler grid_sampler_2d affine_grid_generator
    """,
    """
    add sub mul div floor_divide remainder pow neg abs sign exp expm1 log log1p log2 log10 sqrt
    rsqrt square reciprocal sin cos tan asin acos atan atan2 sinh cosh erf clamp clamp_min clamp_max
    minimum maximum floor ceil round trunc where eq ne lt le gt ge logical_and logical_or
    logical_not rsub lerp addcmul addcdiv masked_fill nan_to_num logaddexp isfinite
    """,
    """
    sum mean amax amin max min argmax argmin std var var_mean prod linalg_vector_norm norm logsumexp
    cumsum any all topk sort
    """,
    """
    view reshape flatten unflatten squeeze unsqueeze permute transpose t numpy_T expand expand_as
    view_as reshape_as type_as broadcast_to broadcast_tensors repeat repeat_interleave cat concat
    stack chunk split split_with_sizes tensor_split unbind select slice narrow index_select gather
    index flip roll scatter movedim contiguous clone alias detach to _to_copy lift_fresh_copy unfold
    tril triu diagonal one_hot fill select_scatter slice_scatter mT
    """,
    """
    zeros ones full arange linspace eye zeros_like ones_like full_like new_zeros new_ones new_full
    scalar_tensor sym_size
    """,
)
OPERATORS = frozenset(name for kind in _KINDS for name in kind.split())
"""The operators of PyTorch (aten) that a graph may hold, by the name of all their forms."""


def _of_sizes(function: Callable[..., Any]) -> Callable[..., Any]:
    """An operator on sizes, which are whole numbers of 64 bits."""

    def checked(*args: Any) -> Any:
        if not all(isinstance(a, int | torch.SymInt | Tensor) for a in args):
            raise InputError("the graph computes with sizes that are no whole numbers")
        result = function(*args)
        if isinstance(result, int) and abs(result) >= 1 << 63:
            raise InputError("the graph computes a size that is too large")
        return result

    return checked


def _item(results: Any, i: Any) -> Any:
    """One of an operator's results."""
    if not isinstance(results, list | tuple) or not isinstance(i, int):
        raise InputError("the graph takes an item of what has none")
    return results[i]


NUMBERS: dict[str, Callable[..., Any]] = {
    "getitem": _item,
    **{
        name: _of_sizes(getattr(operator, name))
        for name in ("add", "sub", "mul", "floordiv", "mod", "neg")
    },
}
"""The operators on sizes, and what takes one of several results."""


def _reshape(x: Tensor, shape: list[int]) -> Tensor:
    return x.reshape(shape)


_METHODS: dict[str, Callable[..., Any]] = {
    "aten.sym_size.int": lambda x, d: x.size(d),
    "aten.reshape.default": _reshape,
    "aten.view.default": _reshape,  # views depend on the layout of memory, which may be another
    "aten.expand.default": lambda x, shape, implicit=False: x.expand(shape),
    "aten.repeat.default": lambda x, repeats: x.repeat(repeats),
    # trained networks drop nothing
    "aten.dropout.default": lambda x, p, train: x,
    "aten.feature_dropout.default": lambda x, p, train: x,
    "aten.alpha_dropout.default": lambda x, p, train: x,
}
"""Operators that are carried out otherwise.

Those with sizes are methods, since only these tell ONNX's exporter that a size is free.
"""

MOST = 1 << 16
"""The largest number of operators in a graph."""

MANY = 256
"""A number of samples at which a graph that is read is checked, as many as a block has."""

LARGEST = 1 << 26
"""The largest number of elements of one result, per sample, in a graph that is read."""

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
        operator: "aten.NAME.OVERLOAD", or a key of `NUMBERS`.
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
            if weight.dtype not in DTYPES or not all(0 <= n < 1 << 31 for n in weight.shape):
                raise InputError(f"the weight {name} has a wrong type or shape")
            empty = torch.zeros(weight.shape, dtype=DTYPES[weight.dtype])
            if empty.is_floating_point():
                self.register_parameter(name, nn.Parameter(empty, requires_grad=False))
            else:
                self.register_buffer(name, empty)
        self._operators = [_operator(step) for step in description.steps]
        try:
            self._last = _last_uses(description)
        except RecursionError as error:
            raise InputError("the graph's arguments are nested too deeply") from error

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        # in a file that is being exported, the number of samples is free
        whole = torch.onnx.is_in_onnx_export()
        n, least, most = x.shape[0], self.description.least, self.description.most
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

        Returns the shapes of the outputs for a sample.
        Raises:
            InputError: it can't be carried out, or a result would be larger than `LARGEST`, or
                grow faster than the number of samples.
        """
        with torch.device("meta"):
            meta = Graph(self.description)
        seen: list[list[int]] = []
        found: list[tuple[int, ...]] = []
        least = max(2, self.description.least)
        numbers = least, max(least, min(MANY, self.description.most or MANY))
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
        few, many = seen
        if len(few) != len(many) or any(
            b * numbers[0] > a * numbers[1] for a, b in zip(few, many, strict=True)
        ):
            raise InputError("the graph's results grow faster than the number of samples")
        return found


class _Bounded(TorchDispatchMode):
    """A context in which no result is larger than `LARGEST` for each of n samples.

    Attributes:
        sizes: the numbers of elements of all results.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if any(argument.name == "device" for argument in func._schema.arguments):
            kwargs["device"] = torch.device("meta")
        result = func(*args, **kwargs)
        for each in result if isinstance(result, list | tuple) else [result]:
            if isinstance(each, Tensor):
                self.sizes.append(each.numel())
                if each.numel() > self.n * LARGEST:
                    raise InputError(f"the graph's {func} would make {each.numel():,} numbers")
        return result


def _operator(step: Step) -> Callable[..., Any]:
    """The function of a step.

    Raises:
        InputError: it is unknown, or not among `OPERATORS`.
    """
    own = NUMBERS.get(step.operator) or _METHODS.get(step.operator)
    if own is not None:
        return own
    kind, *rest = step.operator.split(".")
    if kind == "aten" and len(rest) == 2 and rest[0] in OPERATORS:
        name, overload = rest
        packet: Any = getattr(torch.ops.aten, name, None)
        if packet is not None and overload in packet.overloads():
            function: Any = getattr(packet, overload)
            if not function._schema.is_mutable:
                return function
    raise InputError(
        f"the operator {shown(step.operator)} is none of those that zspace carries out: it "
        "computes convolutions, products, norms, attention, activations, pooling, sums and shapes"
    )


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
