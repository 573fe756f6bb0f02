"""A reader of `.npy` and `.npz` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zspace.data.conversion import from_arrays, to_float32
from zspace.data.images import IN_MEMORY, Part, Raw
from zspace.errors import InputError

IMAGES = ("images", "x", "X", "data", "arr_0")
LABELS = ("labels", "y", "label", "targets")
SUFFIX = {
    "train": ("", "_train"),
    "validation": ("_validation", "_valid", "_val"),
    "test": ("_test",),
}


def read_array_file(path: Path) -> Raw:
    """The images or vectors of a NumPy file, and their labels if it has any.

    A .npy file holds the samples; if it is larger than `IN_MEMORY`, it is memory-mapped. A .npz
    file holds `images` (or x, X, data, arr_0) and `labels` (or y, label, targets), possibly once
    for each part, with _train, _validation and _test at the end of the names; `classes` may hold
    the labels' names.

    Args:
        path: a .npy or .npz file with arrays as `from_arrays` takes them.

    Raises:
        InputError: the file is empty, truncated, no NumPy file, or holds Python objects or no
            array of one of these names; the parts differ in shape.
    """
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty")
    try:
        if path.suffix == ".npy":
            mode: Any = "c" if path.stat().st_size > IN_MEMORY else None
            return _raw({"images": np.load(path, mode, allow_pickle=False)}, path)
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            known = {n + e for n in (*IMAGES, *LABELS) for es in SUFFIX.values() for e in es}
            names = [n for n in file.files if n in known | {"classes"}]
            if not names:
                raise InputError(
                    f"{path} holds {', '.join(file.files) or 'nothing'}: expected an array named "
                    "images (and one named labels)"
                )
            return _raw({name: np.asarray(file[name]) for name in names}, path)
    except InputError:
        raise
    except Exception as error:  # NumPy raises errors of many kinds for damaged files
        raise InputError(f"{path} is truncated or no NumPy file ({error})") from error


def _raw(arrays: dict[str, npt.NDArray[Any]], path: Path) -> Raw:
    parts: dict[str, Part] = {}
    for part, endings in SUFFIX.items():
        x, y = (
            next((arrays[n + e] for e in endings for n in names if n + e in arrays), None)
            for names in (IMAGES, LABELS)
        )
        if x is not None:
            parts[part] = from_arrays(x, y, f"{path} ({part})" if len(arrays) > 2 else str(path))
    if "train" not in parts:
        raise InputError(
            f"{path} holds {', '.join(arrays) or 'nothing'}: expected an array named images "
            "(and one named labels)"
        )
    shapes = {part: tuple(p.x.shape[1:]) for part, p in parts.items()}
    if len(set(shapes.values())) > 1:
        raise InputError(f"the parts of {path} differ in shape: {shapes}")
    names = arrays.get("classes")
    count = max((int(p.y.max()) + 1 for p in parts.values() if p.y is not None), default=0)
    if names is not None and names.ndim == 1 and names.dtype.kind == "U" and len(names) >= count:
        return Raw(parts, tuple(str(n) for n in names) if count else ())
    return Raw(parts, tuple(str(i) for i in range(count)))


def read_codes(path: str | Path, dim: int) -> Tensor:
    """The codes (N, dim) in a NumPy file, float32.

    Args:
        path: an .npy file, or an .npz file with an array named codes or a single array.
        dim: the size of a code.

    Raises:
        InputError: the file is missing, truncated, or holds no such array.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is missing")
    try:
        with path.open("rb") as content:
            loaded = np.load(content, allow_pickle=False)
            if not isinstance(loaded, np.ndarray):
                names = loaded.files
                if "codes" not in names and len(names) != 1:
                    held = ", ".join(names)
                    raise InputError(f"{path} holds {held}: expected an array named codes")
                loaded = loaded["codes" if "codes" in names else names[0]]
    except InputError:
        raise
    except Exception as error:  # NumPy raises errors of many kinds for damaged files
        raise InputError(f"{path} is truncated or no NumPy file ({error})") from error
    if loaded.dtype.kind not in "uif" or loaded.ndim != 2 or not len(loaded):
        raise InputError(
            f"{path} holds {loaded.dtype} of shape {loaded.shape}: expected (N, {dim})"
        )
    if loaded.shape[1] != dim:
        raise InputError(f"{path} has codes of size {loaded.shape[1]}, the model's have {dim}")
    if not np.isfinite(loaded).all():
        raise InputError(f"{path} holds NaN or infinite numbers")
    codes = to_float32(loaded, str(path))
    return torch.from_numpy(codes)
