"""A reader of images, vectors and codes in `.npy` and `.npz` files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from zspace.core.given import MOST_CLASSES
from zspace.data.conversion import Levels, from_arrays
from zspace.data.images import Part, Raw
from zspace.data.labels import Labels
from zspace.data.names import LABELS, SAMPLES, class_names, some
from zspace.data.npy import read_numpy
from zspace.errors import InputError

IMAGES = (*SAMPLES, "arr_0")
"""The names of arrays of samples; an .npy file has the last one."""
SUFFIX = {
    "train": ("", "_train"),
    "validation": ("_validation", "_valid", "_val"),
    "test": ("_test",),
}


def read_array_file(
    path: Path,
    levels: Levels | None = None,
    *,
    shape: tuple[int, ...] | None = None,
    labels: Labels | None = None,
) -> Raw:
    """The images or vectors of a NumPy file, and their labels if it has any.

    A .npy file holds the samples; if it is larger than `IN_MEMORY`, it is memory-mapped. A .npz
    file holds `images` (or another name of `IMAGES`) and `labels` (or one of `LABELS`), possibly
    once for each part, with _train, _validation and _test at the end of the names; `classes` may
    hold the labels' names. Labels may be texts, which are numbered in alphabetical order, or in
    that of `classes`.

    Args:
        path: a .npy or .npz file with arrays as `from_arrays` takes them.
        levels, shape: what `from_arrays` takes.
        labels: the labels of a file that holds none and has no parts, in its order.

    Raises:
        InputError: the file is empty, truncated, no NumPy file, unpacks to more than `read_numpy`
            allows, or holds Python objects or no array of one of these names; the parts differ in
            shape, or `classes` are no names of the labels.
    """
    known = {*_of_parts(IMAGES), *_of_parts(LABELS), "classes"}

    def choose(names: list[str]) -> list[str]:
        chosen = [name for name in names if name in known]
        if not chosen:
            raise _no_images(path, names)
        return chosen

    raw = _raw(read_numpy(path, choose), path, levels, shape)
    if labels is None:
        return raw
    train = raw.parts["train"]
    if len(raw.parts) > 1 or train.y is not None:
        raise InputError(f"{path} has labels or parts of its own: leave out --labels")
    y = torch.tensor(labels.of_rows(len(train)))
    return Raw({"train": Part(train.x, y)}, labels.names())


def _no_images(path: Path, names: list[str]) -> InputError:
    return InputError(
        f"{path} holds {some(names)}: expected an array named images (and one named labels)"
    )


def _of_parts(names: Sequence[str]) -> set[str]:
    """Names of arrays as they are in any part."""
    return {name + ending for name in names for endings in SUFFIX.values() for ending in endings}


def _numbered(arrays: dict[str, npt.NDArray[Any]], path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays with numbers for labels that are texts, whose names are then in `classes`."""
    labels = _of_parts(LABELS)
    texts = {n: y for n, y in arrays.items() if n in labels and y.dtype.kind == "U"}
    if not texts:
        return arrays
    if others := [n for n in arrays if n in labels and n not in texts]:
        raise InputError(
            f"{path} has texts in {', '.join(texts)} and numbers in {', '.join(others)}"
        )
    names = np.unique(np.concatenate([y.ravel() for y in texts.values()]))
    classes = arrays.get("classes", names)
    numbers = {str(name): i for i, name in enumerate(classes.ravel())}
    if unnamed := [name for name in map(str, names) if name not in numbers]:
        raise InputError(f"{path} has labels that are none of its classes: {some(unnamed)}")
    numbered = {
        n: np.array([numbers[str(t)] for t in y.ravel()]).reshape(y.shape) for n, y in texts.items()
    }
    return {**arrays, **numbered, "classes": classes}


def _raw(
    arrays: dict[str, npt.NDArray[Any]],
    path: Path,
    levels: Levels | None,
    shape: tuple[int, ...] | None,
) -> Raw:
    arrays = _numbered(arrays, path)
    parts: dict[str, Part] = {}
    for part, endings in SUFFIX.items():
        x, y = (
            next((arrays[n + e] for e in endings for n in names if n + e in arrays), None)
            for names in (IMAGES, LABELS)
        )
        if x is not None:
            what = f"{path} ({part})" if len(arrays) > 2 else str(path)
            parts[part] = from_arrays(x, y, what, levels, shape)
    if "train" not in parts:
        raise _no_images(path, [*arrays])
    shapes = {part: tuple(p.x.shape[1:]) for part, p in parts.items()}
    if len(set(shapes.values())) > 1:
        raise InputError(f"the parts of {path} differ in shape: {shapes}")
    count = max((int(p.y.max()) + 1 for p in parts.values() if p.y is not None), default=0)
    names = arrays.get("classes")
    if names is None or not count:
        return Raw(parts, tuple(str(i) for i in range(count)))
    if names.ndim != 1 or names.dtype.kind != "U" or not count <= len(names) <= MOST_CLASSES:
        raise InputError(
            f"the classes of {path} have dtype {names.dtype} and shape {names.shape}: expected "
            f"texts, a name for each label up to {count - 1}"
        )
    return Raw(parts, class_names([str(n) for n in names], str(path)))
