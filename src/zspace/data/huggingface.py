"""A reader of data sets of the Hugging Face hub, or of a local folder in its formats."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from zspace.core.given import MOST_CLASSES
from zspace.data.images import Part, Raw, allocate
from zspace.data.levels import Levels
from zspace.data.names import class_names
from zspace.data.pictures import image_in, pixels_of, shape_of
from zspace.errors import InputError, cut, shown
from zspace.storage.reading import opened

SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "test": "test"}


def read_hub(
    name: str, size: int | None = None, channels: int | None = None, levels: Levels | None = None
) -> Raw:
    """A data set of the Hugging Face hub, read by the `datasets` library.

    The first column of images is read, and the first of class labels (or else of whole numbers
    named label, labels or y), and no other. No code of a data set is executed: the library, from
    version 4 on, no longer does that, and the images' files are decoded as those of a folder are.

    Args:
        name: the set's name on the hub, or a folder of parquet files.
        size: the height and width to scale the images to; None keeps their own size, which must be
            the same for all.
        channels: 1 or 3; None takes 1 if the first image is grey, else 3.
        levels: the conversion of the values; None keeps 8 bits, or the upper 8 of 16 bits.

    Raises:
        InputError: the library is not installed, or the set can't be loaded, has no images, no
            split named train, or labels that do not fit its classes.
    """
    try:
        import datasets
    except ImportError as error:
        raise InputError("--data hf:NAME needs the package: pip install datasets") from error
    datasets.disable_progress_bars()
    try:
        splits: Any = datasets.load_dataset(name)
    except Exception as error:  # no network, an unknown set, broken files: of many kinds
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"hf:{name} can't be loaded: {cut(first)}") from error
    # files may lie there alone: a received set must not choose others of this machine
    inside = [Path(name).resolve(), Path(cast(Any, datasets).config.HF_CACHE_HOME).resolve()]
    parts: dict[str, Part] = {}
    classes: tuple[str, ...] = ()
    for split_name, split in splits.items():
        part = SPLITS.get(split_name)
        if part is None or not len(split):
            continue
        features = split.features
        column = next((c for c, f in features.items() if isinstance(f, datasets.Image)), None)
        if column is None:
            raise InputError(f"hf:{name} has no column of images (columns: {', '.join(features)})")
        label = _label_column(features, datasets)
        names = getattr(features[label], "names", None) if label else None
        wanted = split.select_columns([column] if label is None else [column, label])
        plain = wanted.cast_column(column, datasets.Image(decode=False))
        parts[part] = _part(plain, column, label, size, channels, levels or Levels(), name, inside)
        if names:
            classes = class_names([str(n) for n in names], f"hf:{name}")
    if "train" not in parts:
        raise InputError(
            f"hf:{name} has no split named train that holds images (splits: "
            f"{cut(', '.join(splits)) or 'none'})"
        )
    largest = max((int(p.y.max()) for p in parts.values() if p.y is not None), default=-1)
    classes = classes or tuple(str(i) for i in range(largest + 1))
    if largest >= len(classes):
        raise InputError(
            f"hf:{name} has the label {largest}, but names {len(classes)} classes: expected 0 to "
            f"{len(classes) - 1}"
        )
    return Raw(parts, classes)


def _label_column(features: Any, datasets: Any) -> str | None:
    for column, feature in features.items():
        if isinstance(feature, datasets.ClassLabel):
            return str(column)
    for column in ("label", "labels", "y"):
        if column in features and str(getattr(features[column], "dtype", "")).startswith("int"):
            return column
    return None


def _part(
    split: Any,
    column: str,
    label: str | None,
    size: int | None,
    channels: int | None,
    levels: Levels,
    name: str,
    inside: Sequence[Path],
) -> Part:
    first = f"image 0 of hf:{name}"
    with _file(split[0][column], first, inside) as file:
        own, height, width = shape_of(image_in(file, first), first)
    shape = channels or own, size or height, size or width
    out = allocate((len(split), *shape))
    labels: list[int] = []
    for i, row in enumerate(split):
        what = f"image {i} of hf:{name}"
        with _file(row[column], what, inside) as file, image_in(file, what) as picture:
            _, height, width = shape_of(picture, what)
            if size is None and (height, width) != shape[1:]:
                raise InputError(
                    f"hf:{name} has images of unequal size: the first is {shape[2]}x{shape[1]}, "
                    f"number {i} is {width}x{height} (--image-size N makes them N by N)"
                )
            out[i] = pixels_of(picture, what, shape[0], size, levels)
        if label is not None:
            labels.append(_number(row[label], what))
    return Part(torch.from_numpy(out), torch.tensor(labels) if label is not None else None)


def _file(cell: Any, what: str, inside: Sequence[Path]) -> BinaryIO:
    """The file of an image that has not been decoded: its bytes, or else its path.

    Args:
        cell: what the set's table holds for it.
        what: its name in error messages.
        inside: the folders in one of which a path must lead.
    """
    if isinstance(cell, dict) and isinstance(cell.get("bytes"), bytes):
        return io.BytesIO(cell["bytes"])
    if isinstance(cell, dict) and isinstance(cell.get("path"), str) and "\0" not in cell["path"]:
        path = Path(cell["path"]).resolve()
        if not any(path.is_relative_to(folder) for folder in inside):
            raise InputError(f"{what} lies outside of the set, at {shown(cell['path'])}: not read")
        return opened(path)
    raise InputError(f"{what} is missing")


def _number(label: Any, what: str) -> int:
    if not isinstance(label, int) or not 0 <= label < MOST_CLASSES:
        raise InputError(f"the label of {what} is {label}: expected 0 to {MOST_CLASSES - 1}")
    return label
