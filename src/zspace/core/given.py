"""What people give to samplers, checked and converted: codes, labels, numbers, options."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zspace.errors import InputError, cut, shown
from zspace.options import Option

MOST_CLASSES = 100_000
"""The number that labels must stay below."""


def check_option(option: Option, value: Any) -> None:
    """Refuse a value that an option does not allow, by the option's name in Python."""
    try:
        if isinstance(value, str) and option.kind is not str and value not in option.words:
            raise InputError(f"{option.flag} must be a number, not the text '{cut(value)}'")
        option.check(value)
    except InputError as error:
        raise InputError(str(error).replace(option.flag, option.name)) from None


def whole_within(name: str, value: Any, least: int, most: int) -> int:
    """A whole number in a range.

    Raises:
        InputError: it is none.
    """
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if not least <= number <= most:
        raise InputError(
            f"{name} must be a whole number from {least} to {most:,}, not {shown(value)}"
        )
    return number


def as_codes(z: Any) -> Tensor:
    """Codes (N, D) as a dense tensor of floating-point numbers, single ones of an array."""
    if not isinstance(z, Tensor):
        try:
            z = np.asarray(z)
            if z.dtype.kind not in "biuf":
                raise TypeError(f"of type {z.dtype}, not real")
            z = torch.from_numpy(np.require(z, np.float32, ["C", "W"]))
        except (TypeError, ValueError) as error:
            what = f"{shown(z)} ({error})"
            raise InputError(f"codes must be numbers (N, D), not {what}") from None
    if z.layout != torch.strided or z.is_complex():
        raise InputError(f"codes must be a dense tensor of real numbers, not {z.layout}, {z.dtype}")
    if z.ndim != 2:
        raise InputError(f"codes must be (N, D), not {tuple(z.shape)}")
    if not z.shape[1]:
        raise InputError(f"codes must be (N, D) with D at least 1, not {tuple(z.shape)}")
    return z if z.is_floating_point() else z.float()


def classes_of(labels: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], list[str] | None]:
    """Labels as whole numbers, and the names of those that were texts.

    Args:
        labels: whole numbers (N,), texts (N,), or rows (N, K) with a single 1 each.
    """
    if labels.dtype.kind in "US":
        names, numbers = np.unique(labels, return_inverse=True)
        return numbers, list(map(str, names))
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "uifb":
        rows = labels.astype(np.float64)
        if ((rows == 0) | (rows == 1)).all() and (rows.sum(1) == 1).all():
            return rows.argmax(1), None
    return labels, None


def labels_of(labels: Any) -> npt.NDArray[Any]:
    """Labels as an array: whole numbers or texts (N,), or rows (N, K).

    Raises:
        InputError: they differ in shape, or some are texts and others NaN.
    """
    given = labels.tolist() if isinstance(labels, np.ndarray) and labels.dtype == object else labels
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise InputError(f"the labels differ in shape ({cut(str(error))})") from error
    # of a list, NaN would become a text; of texts alone nothing is missing
    if array.dtype.kind in "US" and any(isinstance(v, float) and v != v for v in given):
        raise InputError(
            "some labels are texts and others NaN: leave these samples out, or name their class"
        )
    return array


def as_labels(y: Any, count: int) -> tuple[Tensor | None, list[str]]:
    """Labels (N,) as whole numbers, and the names of those that are texts."""
    if y is None:
        return None, []
    array = y.detach().cpu().numpy() if isinstance(y, Tensor) else labels_of(y)
    if array.dtype.kind not in "biufUS":
        raise InputError(
            f"labels must be whole numbers or texts, one for each code, not {array.dtype}"
        )
    if array.shape == (count, 1):
        array = array[:, 0]
    array, names = classes_of(array.astype(str) if array.dtype.kind == "S" else array)
    if array.shape != (count,):
        raise InputError(f"labels must be ({count},), one for each code, not {array.shape}")
    within = np.isfinite(array) & (array >= -1) & (array < MOST_CLASSES)
    if not within.all() or not (array == np.rint(array)).all():
        raise InputError(
            f"labels must be whole numbers from 0 to {MOST_CLASSES - 1:,}, or -1 for an unknown one"
        )
    whole = torch.from_numpy(array.astype(np.int64))
    return whole.to(y.device) if isinstance(y, Tensor) else whole, names or []
