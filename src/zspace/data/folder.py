"""Readers of folders of image files, and of CelebA."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from zspace.data.conversion import fit_picture
from zspace.data.images import Part, Raw, allocate
from zspace.errors import InputError, unknown

PART_NAMES = {
    "train": "train",
    "test": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
}

CROPS: dict[str, tuple[float, float, float, float] | None] = {
    "128": (25, 45, 153, 173),
    "140": (19, 39, 159, 179),
    "none": None,
}
"""The crops of CelebA by name: (left, upper, right, lower) in an aligned image of 178x218."""


def read_folder(folder: Path, size: int | None = None, channels: int | None = None) -> Raw:
    """The images of a folder, which is flat or has a sub-folder for each class.

    Such folders may also lie in the sub-folders train/, validation/ (or valid/, val/) and test/.

    Args:
        folder: the folder.
        size: the height and width to scale the images to; None keeps the files' own size, which
            must be the same for all.
        channels: 1 or 3; None takes 1 if every file is grey, else 3.

    Raises:
        InputError: there are no images, a file is broken, sizes differ, or folders and images are
            mixed in another way.
    """
    below = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if below and all(p.name in PART_NAMES for p in below):
        groups = {PART_NAMES[p.name]: _labelled(p) for p in below}
        if len(groups) < len(below) or "train" not in groups:
            names = ", ".join(p.name for p in below)
            raise InputError(f"{folder} holds {names}: expected train, and test or validation once")
    else:
        groups = {"train": _labelled(folder)}
    names = sorted({c for _, c in (f for files in groups.values() for f in files) if c})
    every = [path for files in groups.values() for path, _ in files]
    if not every:
        raise InputError(f"{folder} holds no images (formats: those that Pillow reads)")
    if names and any(not c for files in groups.values() for _, c in files):
        raise InputError(f"the parts of {folder} must all be flat or all have a folder per class")
    shape = _common_shape(every, size, channels)
    parts: dict[str, Part] = {}
    for part, files in groups.items():
        x = _decode([path for path, _ in files], shape, size)
        y = torch.tensor([names.index(c) for _, c in files]) if names and files else None
        parts[part] = Part(x, y)
    return Raw(parts, tuple(names))


def read_folders(folders: Sequence[Path], size: int | None, channels: int | None) -> Raw:
    """The images of several flat folders, each of which is a class of the folder's name.

    Args:
        folders: the folders, with different names.
        size, channels: what `read_folder` takes.

    Raises:
        InputError: a folder holds no images, two have the same name, or a file can't be read.
    """
    files = [(p, f.name) for f in folders for p in _images(f)]
    for f in folders:
        if not any(name == f.name for _, name in files):
            raise InputError(f"{f} holds no images")
    names = [f.name for f in folders]
    if len(set(names)) < len(names):
        raise InputError(f"the folders of two classes have one name: {', '.join(names)}")
    shape = _common_shape([p for p, _ in files], size, channels)
    x = _decode([p for p, _ in files], shape, size)
    y = torch.tensor([names.index(n) for _, n in files])
    return Raw({"train": Part(x, y)}, tuple(names))


def read_pictures(files: Sequence[Path], shape: tuple[int, ...]) -> torch.Tensor:
    """Image files as a uint8 tensor (N, C, H, W) of a given shape (C, H, W).

    If the shape is square, the centred square of each image is scaled to it; otherwise the images
    must have that size.

    Raises:
        InputError: a file is missing, broken, or has another size.
    """
    for path in files:
        if not path.is_file():
            raise InputError(f"{path} is {'no file' if path.exists() else 'missing'}")
    channels, height, width = shape
    if height == width:
        return _decode(files, (channels, height, width), height)
    own = _common_shape(files, None, channels)
    if own != shape:
        raise InputError(
            f"{files[0]} has {own[2]}x{own[1]} pixels, the model is for {width}x{height}"
        )
    return _decode(files, own, None)


def celeba(
    folder: Path,
    size: int | None = None,
    channels: int | None = None,
    crop: str = "128",
    attribute: str | None = None,
) -> Raw:
    """CelebA: img_align_celeba/*.jpg with list_attr_celeba.txt and list_eval_partition.txt.

    Args:
        folder: the folder that holds these.
        size: the height and width to scale the images to; None means 64.
        channels: 1 or 3; None means 3.
        crop: a key of `CROPS`, whose coordinates in the 178x218 original are scaled to the files'
            size; "none" squeezes the whole image into the square.
        attribute: the attribute that is the label, 1 with and 0 without it; None gives no labels.

    Raises:
        InputError: a file is missing or can't be read, or there is no such attribute.
    """
    pictures = folder / "img_align_celeba"
    if not pictures.is_dir():
        raise InputError(f"{folder} has no folder img_align_celeba")
    split = _rows(folder / "list_eval_partition.txt", 0, 2)
    files = {name: pictures / name for name in split}
    there = {p.name for p in pictures.iterdir()}
    missing = [name for name in files if name not in there]
    if missing:
        raise InputError(f"{pictures} has no {missing[0]} ({len(missing)} of {len(files)} missing)")
    labels: dict[str, int] = {}
    classes: tuple[str, ...] = ()
    if attribute is not None:
        path = folder / "list_attr_celeba.txt"
        rows = _rows(path, 2, None)
        names = path.read_text(encoding="utf-8").splitlines()[1].split()
        if attribute not in names:
            raise unknown("attribute", attribute, names)
        column = names.index(attribute)
        for name in files:
            if len(rows.get(name, ())) != len(names):
                raise InputError(f"{path} has no line of {len(names)} attributes for {name}")
            labels[name] = int(rows[name][column] == "1")
        classes = f"no {attribute}", attribute
    shape = channels or 3, size or 64, size or 64
    parts: dict[str, Part] = {}
    for part, number in (("train", "0"), ("validation", "1"), ("test", "2")):
        own = [name for name, row in split.items() if row[0] == number]
        x = _decode([files[n] for n in own], shape, shape[1], CROPS[crop], (178, 218))
        parts[part] = Part(x, torch.tensor([labels[n] for n in own]) if labels else None)
    return Raw(parts, classes)


def _rows(path: Path, skip: int, fields: int | None) -> dict[str, list[str]]:
    """The fields of each line of one of CelebA's tables, by the first field."""
    if not path.is_file():
        raise InputError(f"{path.parent} has no file {path.name}")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[skip:]
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text file") from error
    rows = [line.split() for line in lines if line.strip()]
    for number, row in enumerate(rows, skip + 1):
        if len(row) < 2 or (fields is not None and len(row) != fields):
            raise InputError(f"{path}, line {number}: not a file name and its values")
    if not rows:
        raise InputError(f"{path} is empty")
    return {row[0]: row[1:] for row in rows}


def _images(folder: Path) -> list[Path]:
    """The image files of a folder, recognised by their suffixes and sorted."""
    known = Image.registered_extensions()
    files = (p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    return sorted(p for p in files if p.suffix.lower() in known)


def _labelled(folder: Path) -> list[tuple[Path, str]]:
    """The image files of a folder with the names of their classes, "" if the folder is flat."""
    below = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    flat = _images(folder)
    nested = [(p, sub.name) for sub in below for p in _images(sub)]
    if flat and nested:
        raise InputError(
            f"{folder} holds images beside folders of images: expected a flat folder or one "
            "sub-folder per class"
        )
    return nested or [(p, "") for p in flat]


def _common_shape(
    files: Iterable[Path], size: int | None, channels: int | None
) -> tuple[int, int, int]:
    first: tuple[Path, tuple[int, int]] | None = None
    grey = True
    for path in files:
        with _open(path) as picture:
            mode, shape = picture.mode, picture.size
        grey = grey and mode in ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")
        if first is None:
            first = path, shape
        elif size is None and shape != first[1]:
            raise InputError(
                f"images of unequal size: {first[0]} is {first[1][0]}x{first[1][1]}, {path} is "
                f"{shape[0]}x{shape[1]} (--image-size N makes them N by N)"
            )
    assert first is not None
    return channels or (1 if grey else 3), size or first[1][1], size or first[1][0]


def _open(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # the user chose these images: Pillow only refuses those of twice its limit
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path)
    except Exception as error:  # Pillow's plugins raise errors of many kinds for damaged files
        raise InputError(f"{path} is broken or no image ({error})") from error


def _decode(
    files: Sequence[Path],
    shape: tuple[int, int, int],
    size: int | None,
    box: tuple[float, float, float, float] | None = None,
    box_of: tuple[int, int] | None = None,
) -> torch.Tensor:
    """The image files as a uint8 tensor (N, C, H, W).

    If `box_of` is given, `box` (or all) of each image is taken, in coordinates of an image of that
    size.
    """
    out = allocate((len(files), *shape))
    for i, path in enumerate(files):
        with _open(path) as picture:
            own = box
            if box_of is not None:
                across, down = picture.width / box_of[0], picture.height / box_of[1]
                left, top, right, bottom = box or (0, 0, *box_of)
                own = left * across, top * down, right * across, bottom * down
            try:
                array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = fit_picture(
                    picture, shape[0], size, own
                )
            except InputError as error:
                raise InputError(f"{path} {error}") from error
            except Exception as error:
                raise InputError(f"{path} is broken or truncated ({error})") from error
        out[i] = array
    return torch.from_numpy(out)
