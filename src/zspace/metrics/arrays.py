"""Support of NumPy arrays by functions of tensors: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def of_arrays(function: Callable[P, R]) -> Callable[P, R]:
    """A decorator by which a function of tensors takes NumPy arrays, too.

    If any argument is an array, tensors among the results become arrays.

    >>> of_arrays(torch.add)(np.ones(2), np.ones(2))
    array([2., 2.])
    """

    @wraps(function)
    def measure(*args: P.args, **kwargs: P.kwargs) -> R:
        given = [*args, *kwargs.values()]
        if not any(isinstance(value, np.ndarray) for value in given):
            return function(*args, **kwargs)
        named = {name: _tensor(value) for name, value in kwargs.items()}
        result = cast(Any, function)(*map(_tensor, args), **named)
        return _array(result)

    return measure


def _tensor(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind in "iu" and value.dtype != np.uint8:
        value = value.astype(np.int64)
    elif value.dtype.kind == "f" and value.dtype.str not in ("<f2", "<f4", "<f8"):
        value = value.astype(np.float64)  # wider numbers, and those of another byte order
    # a copy, since tensors allow neither views that run backwards nor read-only arrays
    return torch.from_numpy(np.array(value)) if value.dtype.kind in "biufc" else value


def _array(result: Any) -> Any:
    if isinstance(result, Tensor):
        return result.cpu().numpy()
    if type(result) is tuple:
        return tuple(map(_array, result))
    return result
