"""Readers of folders of image files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from PIL import Image

from zspace.data.images import Part, Raw, allocate
from zspace.data.labels import Labels
from zspace.data.levels import Levels
from zspace.data.names import class_names, listed, some
from zspace.data.pictures import (
    FORMAT_NAMES,
    FORMATS,
    BrokenError,
    image_in,
    pixels_of,
    read_through,
    shape_of,
)
from zspace.errors import InputError
from zspace.storage.reading import kind_of, opened

SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
"""The suffixes by which image files are recognised."""
Broken = dict[Path, BrokenError]
"""Broken files, each with what is wrong with it."""

PART_NAMES = {
    "train": "train",
    "test": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
}


def read_folder(
    folder: Path,
    size: int | None = None,
    channels: int | None = None,
    levels: Levels | None = None,
    *,
    labels: Labels | None = None,
    skip_broken: bool = False,
) -> Raw:
    """The images of a folder, which is flat or has a sub-folder for each class.

    Such folders may also lie in the sub-folders train/, validation/ (or valid/, val/) and test/. Of
    a file with several images (GIF, TIFF) the first one is read; images are turned upright as their
    EXIF data say. A note tells of files of other formats, and of folders without images.

    Args:
        folder: the folder.
        size: the height and width to scale the images to; None keeps the files' own size, which
            must be the same for all.
        channels: 1 or 3; None takes 1 if every file is grey, else 3.
        levels: the conversion of the values; None keeps 8 bits, or the upper 8 of 16 bits.
        labels: the labels of the images, in place of those that sub-folders give; images without
            one are left out, which a note tells of.
        skip_broken: whether broken files are left out, which a note tells of.

    Raises:
        InputError: there are no images, a file is broken, sizes differ, folders and images are
            mixed in another way, or the labels are of other files.
    """
    below = _folders(folder)
    if below and all(p.name in PART_NAMES for p in below):
        found = {PART_NAMES[p.name]: _labelled(p) for p in below}
        if len(found) < len(below) or "train" not in found:
            names = ", ".join(p.name for p in below)
            raise InputError(f"{folder} holds {names}: expected train, and test or validation once")
    else:
        found = {"train": _labelled(folder)}
    groups = {part: files for part, (files, _) in found.items()}
    left_out = [path for _, paths in found.values() for path in paths]
    names = sorted({c for files in groups.values() for _, c in files if c})
    every = [path for files in groups.values() for path, _ in files]
    if not every:
        raise _no_images(folder, left_out)
    if names and any(not c for files in groups.values() for _, c in files):
        raise InputError(f"the parts of {folder} must all be flat or all have a folder per class")
    broken: Broken | None = {} if skip_broken else None
    shape = _common_shape(every, size, channels, broken)
    numbers = {name: i for i, name in enumerate(names)}
    notes = _left_out(folder, left_out)
    if labels is None:
        classes = class_names(names, str(folder))
        of = {path: numbers[c] for files in groups.values() for path, c in files if names}
    else:
        classes = labels.names()
        own, without = labels.of_files(folder, every)
        of = dict(zip(every, own, strict=True))
        if without:
            known = some([str(path.relative_to(folder)) for path in without])
            count = f"{len(without)} of {len(every)} images"
            notes += (f"{labels.path} has no label for {count}, which are left out: {known}",)
    parts: dict[str, Part] = {}
    for part, files in groups.items():
        paths = [path for path, _ in files if of.get(path, 0) >= 0]
        x, kept = decoded(paths, shape, size, levels or Levels(), broken=broken)
        y = torch.tensor([of[path] for path in kept]) if of and kept else None
        parts[part] = Part(x, y)
    return Raw(parts, classes, (*notes, *_skipped(broken)))


def read_folders(
    folders: Sequence[Path],
    size: int | None,
    channels: int | None,
    levels: Levels | None = None,
    *,
    skip_broken: bool = False,
) -> Raw:
    """The images of several flat folders, each of which is a class of the folder's name.

    The further arguments are those of `read_folder`.

    Raises:
        InputError: a folder holds no images, two have the same name, or a file can't be read.
    """
    files: list[Path] = []
    labels: list[int] = []
    notes: list[str] = []
    for label, folder in enumerate(folders):
        own, left_out = _images(folder)
        left_out += _folders(folder)
        if not own:
            raise _no_images(folder, left_out)
        files += own
        labels += [label] * len(own)
        notes += _left_out(folder, left_out)
    # the absolute path names the folders . and .. as well
    names = [os.path.basename(os.path.abspath(f)) or str(f) for f in folders]
    classes = class_names(names, ",".join(map(str, folders)))
    broken: Broken | None = {} if skip_broken else None
    shape = _common_shape(files, size, channels, broken)
    x, kept = decoded(files, shape, size, levels or Levels(), broken=broken)
    of = dict(zip(files, labels, strict=True))
    y = torch.tensor([of[path] for path in kept])
    return Raw({"train": Part(x, y)}, classes, (*notes, *_skipped(broken)))


def read_pictures(
    files: Sequence[Path], shape: tuple[int, ...], levels: Levels | None = None
) -> torch.Tensor:
    """Image files as a uint8 tensor (N, C, H, W) of a given shape (C, H, W).

    If the shape is square, the centred square of each image is scaled to it; otherwise the images
    must have that size.

    Args:
        files: the files.
        shape: the shape of an image.
        levels: what `read_folder` takes.

    Raises:
        InputError: a file is missing, broken, or has another size.
    """
    for path in files:
        if kind_of(path) != "file":
            raise InputError(f"{path} is {'no file' if kind_of(path) else 'missing'}")
    channels, height, width = shape
    levels = levels or Levels()
    if height == width:
        return decoded(files, (channels, height, width), height, levels)[0]
    own = _common_shape(files, None, channels)
    if own != shape:
        raise InputError(
            f"{files[0]} has {own[2]}x{own[1]} pixels, the model is for {width}x{height}"
        )
    return decoded(files, own, None, levels)[0]


def _folders(folder: Path) -> list[Path]:
    return [p for p in listed(folder) if p.is_dir()]


def _images(folder: Path) -> tuple[list[Path], list[Path]]:
    """The image files of a folder, recognised by their suffixes, and its other files, sorted."""
    images: list[Path] = []
    others: list[Path] = []
    for path in listed(folder):
        if path.suffix.lower() not in SUFFIXES:
            if not path.is_dir():
                others.append(path)
        elif kind_of(path) == "file":
            images.append(path)
        elif path.is_symlink():
            raise InputError(f"{path} is a link to a file that is missing")
    return images, others


def _labelled(folder: Path) -> tuple[list[tuple[Path, str]], list[Path]]:
    """The images of a folder with their classes ("" if it is flat), and what is left out."""
    flat, left_out = _images(folder)
    files = [(path, "") for path in flat]
    nested: list[tuple[Path, str]] = []
    for sub in _folders(folder):
        own, others = _images(sub)
        nested += [(path, sub.name) for path in own]
        left_out += [*others, *_folders(sub)] if own else [sub]
    if flat and nested:
        raise InputError(
            f"{folder} holds images beside folders of images: expected a flat folder or one "
            "sub-folder per class"
        )
    return nested or files, left_out


def _no_images(folder: Path, left_out: Sequence[Path]) -> InputError:
    found = f"; it holds {some([p.name for p in left_out])}" if left_out else ""
    return InputError(f"{folder} holds no images (formats: {FORMAT_NAMES}){found}")


def _left_out(folder: Path, paths: Sequence[Path]) -> tuple[str, ...]:
    if not paths:
        return ()
    names = some([str(p.relative_to(folder)) for p in paths])
    return (f"{folder}: left out, since they are or hold no images ({FORMAT_NAMES}): {names}",)


def _skipped(broken: Broken | None) -> tuple[str, ...]:
    if not broken:
        return ()
    files = "1 broken file is" if len(broken) == 1 else f"{len(broken)} broken files are"
    return (f"{files} left out: {some([path.name for path in broken])}",)


def _for_each(
    files: Iterable[Path], use: Callable[[Path, Image.Image], None], broken: Broken | None = None
) -> None:
    """Open and use each image file; those that are refused are told of together.

    Broken files are added to `broken`, unless it is None, and are left out from then on.
    """
    refused: list[InputError] = []
    for path in files:
        if broken and path in broken:
            continue
        try:
            with opened(path) as file, image_in(file, str(path)) as picture:
                use(path, picture)
        except BrokenError as error:
            if broken is None:
                refused.append(error)
            else:
                broken[path] = error
        except InputError as error:
            refused.append(error)
    if not refused:
        return
    others = len(refused) - 1
    hint = " (--skip-broken leaves out broken files)" if isinstance(refused[0], BrokenError) else ""
    more = "1 more file is refused" if others == 1 else f"{others} more files are refused"
    raise InputError(f"{refused[0]}{f'; {more}' if others else ''}{hint}") from refused[0]


def _common_shape(
    files: Iterable[Path], size: int | None, channels: int | None, broken: Broken | None = None
) -> tuple[int, int, int]:
    first: tuple[Path, tuple[int, int]] | None = None
    grey = True

    def look(path: Path, picture: Image.Image) -> None:
        nonlocal first, grey
        if broken is not None:  # one that is left out has no say
            read_through(picture, str(path))
        own, *shape = shape_of(picture, str(path))
        grey = grey and own == 1
        if first is None:
            first = path, (shape[0], shape[1])
        elif size is None and (shape[0], shape[1]) != first[1]:
            raise InputError(
                f"images of unequal size: {first[0]} is {first[1][1]}x{first[1][0]}, {path} is "
                f"{shape[1]}x{shape[0]} (--image-size N makes them N by N)"
            )

    _for_each(files, look, broken)
    if first is None:
        assert broken
        raise InputError(f"every image file is broken: {next(iter(broken.values()))}")
    return channels or (1 if grey else 3), size or first[1][0], size or first[1][1]


def decoded(
    files: Sequence[Path],
    shape: tuple[int, int, int],
    size: int | None,
    levels: Levels,
    box: tuple[float, float, float, float] | None = None,
    box_of: tuple[int, int] | None = None,
    broken: Broken | None = None,
) -> tuple[torch.Tensor, list[Path]]:
    """The image files as a uint8 tensor (N, C, H, W), and those that were not broken.

    If `box_of` is given, `box` (or all) of each image is taken, in coordinates of an image of that
    size.
    """
    out = allocate((len(files), *shape))
    kept: list[Path] = []

    def fill(path: Path, picture: Image.Image) -> None:
        out[len(kept)] = pixels_of(picture, str(path), shape[0], size, levels, box, box_of)
        kept.append(path)

    _for_each(files, fill, broken)
    return torch.from_numpy(out)[: len(kept)], kept
