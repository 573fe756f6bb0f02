"""The operators of PyTorch that a graph of somebody else's network may hold.

None of them reads files, draws random numbers or changes a tensor in place.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from zspace.errors import InputError, shown

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


METHODS: dict[str, Callable[..., Any]] = {
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


def function_of(name: str) -> Callable[..., Any]:
    """The function of an operator.

    Args:
        name: "aten.NAME.OVERLOAD" of one of `OPERATORS`, or a key of `NUMBERS`.

    Raises:
        InputError: it is unknown, or not among them.
    """
    own = NUMBERS.get(name) or METHODS.get(name)
    if own is not None:
        return own
    kind, *rest = name.split(".")
    if kind == "aten" and len(rest) == 2 and rest[0] in OPERATORS:
        form, overload = rest
        packet: Any = getattr(torch.ops.aten, form, None)
        if packet is not None and overload in packet.overloads():
            function: Any = getattr(packet, overload)
            if not function._schema.is_mutable:
                return function
    raise InputError(
        f"the operator {shown(name)} is none of those that zspace carries out: it "
        "computes convolutions, products, norms, attention, activations, pooling, sums and shapes"
    )
