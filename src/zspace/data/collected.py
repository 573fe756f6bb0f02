"""Arrays from the data sets of other libraries: PyTorch's, torchvision's, Hugging Face's, lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch.utils.data import DataLoader

from zspace.core.given import labels_of
from zspace.data.conversion import opaque
from zspace.data.names import LABELS, SAMPLES
from zspace.errors import InputError, cut, shown

MOST = 1 << 34
"""The size in bytes up to which samples are gathered."""

Arrays = tuple[npt.NDArray[Any], npt.NDArray[Any] | None]


def collected(data: Any) -> Arrays:
    """The samples and the labels, if there are any, of a data set as arrays.

    Args:
        data: a pair (samples, labels) of arrays; a `torch.utils.data.Dataset` or `DataLoader`, a
            Hugging Face data set, a list, or any other iterable of samples. A sample is an image
            (Pillow's, or an array (H, W), (H, W, C) or (C, H, W)) or a vector; a pair of it and its
            label; or a mapping that has it under one of the names in `SAMPLES`, and its label in
            `LABELS`.

    Raises:
        InputError: a sample can't be read, or differs from the first in shape or type.
    """
    if isinstance(data, tuple) and len(data) == 2 and all(hasattr(a, "__len__") for a in data):
        x, y = (np.asarray(_plain(a)) for a in data)
        return x, y
    source, batched = owner(data), False
    if source is not data and not _indexed(source):  # a stream is read in the loader's batches
        source, batched = data, getattr(data, "batch_size", None) is not None
    return _gathered(_samples(source), batched)


def owner(data: Any) -> Any:
    """The data set of a `torch.utils.data.DataLoader`; any other data themselves."""
    return data.dataset if isinstance(data, DataLoader) else data


def names_of(data: Any) -> list[str] | None:
    """The names of the labels that a data set of torchvision or Hugging Face knows, by number."""
    features = getattr(owner(data), "features", None)
    known_by = features if isinstance(features, Mapping) else {}
    found = [getattr(known_by.get(name), "names", None) for name in LABELS]
    known = next(filter(None, found), getattr(owner(data), "classes", None))
    return list(map(str, known)) if isinstance(known, list | tuple) and known else None


def _indexed(data: Any) -> bool:
    return hasattr(data, "__getitem__") and hasattr(data, "__len__")


def _samples(data: Any) -> Iterator[tuple[int, Any]]:
    """The samples, or batches, of a data set with their numbers."""
    items: Iterable[Any]
    if _indexed(data):
        try:
            n = len(data)
        except Exception as error:  # other people's code
            raise InputError(f"the data have no length: {cut(str(error))}") from error
        items = (data[i] for i in range(n))
    elif isinstance(data, Iterable):
        items = data
    else:
        raise InputError(f"the data are {shown(data)}: expected an array or a data set")
    source = iter(items)
    i = 0
    while True:
        try:
            item = next(source)
        except StopIteration:
            return
        except Exception as error:  # other people's code
            kind = type(error).__name__
            raise InputError(f"item {i} of the data failed: {kind}: {cut(str(error))}") from error
        yield i, item
        i += 1


def _gathered(items: Iterator[tuple[int, Any]], batched: bool) -> Arrays:
    samples: list[npt.NDArray[Any]] = []
    labels: list[Any] = []
    size = 0
    for i, item in items:
        x, y = _divided(item, i)
        one = _array(x, i)
        parts = [*one] if batched else [one]
        own = [*_array(y, i)] if batched and y is not None else [y]
        for part in parts:
            if samples and (part.shape, part.dtype) != (samples[0].shape, samples[0].dtype):
                raise InputError(
                    f"item {i} of the data has shape {part.shape} and type {part.dtype}, those "
                    f"before it {samples[0].shape} and {samples[0].dtype}: resize or convert them "
                    "to one"
                )
            samples.append(part)
            size += part.nbytes
        labels += own if len(own) == len(parts) else own * len(parts)
        if size > MOST:
            raise InputError(
                f"the data are larger than {MOST >> 30} GiB by item {i}: write them to an .npy file"
            )
    if not samples:
        raise InputError("the data are empty")
    missing = [i for i, label in enumerate(labels) if label is None]
    if missing and len(missing) < len(labels):
        raise InputError(f"item {missing[0]} of the data has no label, and others have")
    return np.stack(samples), None if missing else labels_of(list(map(_plain, labels)))


def _divided(item: Any, i: int) -> tuple[Any, Any]:
    """A sample and its label, or None."""
    if isinstance(item, Mapping):
        x = next((item[name] for name in SAMPLES if name in item), None)
        if x is None:
            names = cut(", ".join(map(str, item)))
            raise InputError(
                f"item {i} of the data has {names}: expected one named {', '.join(SAMPLES)}"
            )
        return x, next((item[name] for name in LABELS if name in item), None)
    if isinstance(item, tuple | list) and len(item) in (1, 2):
        first, *rest = item
        if not isinstance(first, int | float):
            return first, rest[0] if rest else None
    return item, None


def _array(x: Any, i: int) -> npt.NDArray[Any]:
    """A sample as an array, of an image (H, W) or (C, H, W)."""
    if isinstance(x, Image.Image):
        if x.mode not in ("I", "F", "I;16"):
            x = opaque(x)
            x = x.convert("L" if x.mode in ("1", "L") else "RGB")
        return np.asarray(x)
    array = np.asarray(_plain(x))
    if array.dtype.kind not in "uifb":
        raise InputError(f"item {i} of the data is {shown(x)}: expected an image or a vector")
    return array


def _plain(value: Any) -> Any:
    """A tensor as an array, and anything else itself."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value
