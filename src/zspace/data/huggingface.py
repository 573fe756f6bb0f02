"""A reader of data sets of the Hugging Face hub, or of a local folder in its formats."""

from __future__ import annotations

from typing import Any

import torch

from zspace.data.conversion import fit_picture
from zspace.data.images import Part, Raw, allocate
from zspace.errors import InputError

SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "test": "test"}


def read_hub(name: str, size: int | None = None, channels: int | None = None) -> Raw:
    """A data set of the Hugging Face hub, read by the `datasets` library.

    The first column of images is read, and the first of class labels (or else of whole numbers
    named label, labels or y). No code of a data set is executed: the library no longer does that.

    Args:
        name: the set's name on the hub, or a folder of parquet files.
        size: the height and width to scale the images to; None keeps their own size, which must be
            the same for all.
        channels: 1 or 3; None takes 1 if the first image is grey, else 3.

    Raises:
        InputError: the library is not installed, the set can't be loaded, or has no images.
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
        raise InputError(f"hf:{name} can't be loaded: {first}") from error
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
        parts[part] = _part(split, column, label, size, channels, name)
        if names:
            classes = tuple(str(n) for n in names)
    labels = [p.y for p in parts.values() if p.y is not None]
    if labels and not classes:
        classes = tuple(str(i) for i in range(max(int(y.max()) for y in labels) + 1))
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
    split: Any, column: str, label: str | None, size: int | None, channels: int | None, name: str
) -> Part:
    first = split[0][column]
    channels = channels or (1 if first.mode in ("1", "L", "LA") else 3)
    shape = channels, size or first.height, size or first.width
    out = allocate((len(split), *shape))
    labels: list[int] = []
    for i, row in enumerate(split):
        picture = row[column]
        if size is None and (picture.height, picture.width) != shape[1:]:
            raise InputError(
                f"hf:{name} has images of unequal size: the first is {shape[2]}x{shape[1]}, number "
                f"{i} is {picture.width}x{picture.height} (--image-size N makes them N by N)"
            )
        out[i] = fit_picture(picture, channels, size)
        if label is not None:
            labels.append(int(row[label]))
    return Part(torch.from_numpy(out), torch.tensor(labels) if label is not None else None)
