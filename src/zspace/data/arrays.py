"""`.npy` and `.npz` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zspace.data.images import IN_MEMORY, Part, Raw, from_arrays
from zspace.errors import InputError

IMAGES = ("images", "x", "X", "data", "arr_0")
LABELS = ("labels", "y", "label", "targets")
SUFFIX = {
    "train": ("", "_train"),
    "validation": ("_validation", "_valid", "_val"),
    "test": ("_test",),
}


def read_array_file(path: Path) -> Raw:
    """Images or vectors, and labels where there are some.

    A .npy holds the samples; one larger than memory should hold is mapped, not read. A .npz holds
    `images` (or x, data) and `labels` (or y), and may hold the same with _train, _validation and
    _test at the end of the names. Arrays of Python objects are refused.
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
    except Exception as error:  # NumPy raises all kinds for damaged files
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
