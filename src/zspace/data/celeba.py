"""CelebA: faces with attributes, in the original files of its authors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from zspace.data.folder import decoded
from zspace.data.images import Part, Raw
from zspace.data.levels import Levels
from zspace.data.names import listed
from zspace.errors import InputError, unknown
from zspace.options import comma_names
from zspace.storage.reading import kind_of, whole

LONGEST_TABLE = 1 << 28
"""The size in bytes of one of the tables, at most; the largest has 26 million."""

MOST_ATTRIBUTES = 8
"""The number of attributes whose combinations can be labels."""

CROPS: dict[str, tuple[float, float, float, float] | None] = {
    "128": (25, 45, 153, 173),
    "140": (19, 39, 159, 179),
    "none": None,
}
"""The crops of CelebA by name: (left, upper, right, lower) in an aligned image of 178x218."""


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
        attribute: the attribute that is the label, 1 with and 0 without it; or several, separated
            by commas, whose combinations are the labels; None gives no labels.

    Raises:
        InputError: a file is missing or can't be read, or there is no such attribute.
    """
    pictures = folder / "img_align_celeba"
    if kind_of(pictures) != "folder":
        raise InputError(f"{folder} has no folder img_align_celeba")
    _, split = _rows(folder / "list_eval_partition.txt", 0, 2)
    strange = [n for n, row in split.items() if row[0] not in ("0", "1", "2")]
    if strange:
        raise InputError(
            f"{folder}/list_eval_partition.txt puts {strange[0]} into part {split[strange[0]][0]}: "
            "expected 0, 1 or 2"
        )
    files = {name: pictures / name for name in split}
    there = {p.name for p in listed(pictures)}
    missing = [name for name in files if name not in there]
    if missing:
        raise InputError(f"{pictures} has no {missing[0]} ({len(missing)} of {len(files)} missing)")
    labels: dict[str, int] = {}
    classes: tuple[str, ...] = ()
    if attribute is not None:
        labels, classes = _labels(folder / "list_attr_celeba.txt", [*files], attribute)
    shape = channels or 3, size or 64, size or 64
    parts: dict[str, Part] = {}
    for part, number in (("train", "0"), ("validation", "1"), ("test", "2")):
        own = [name for name, row in split.items() if row[0] == number]
        where = CROPS[crop], (178, 218)
        x, _ = decoded([files[n] for n in own], shape, shape[1], Levels(), *where)
        parts[part] = Part(x, torch.tensor([labels[n] for n in own]) if labels else None)
    return Raw(parts, classes)


def _rows(path: Path, skip: int, fields: int | None) -> tuple[list[str], dict[str, list[str]]]:
    """The first lines of one of CelebA's tables, and the fields of each other by the first."""
    if kind_of(path) != "file":
        raise InputError(f"{path.parent} has no file {path.name}")
    try:
        lines = whole(path, LONGEST_TABLE, "CelebA's tables").decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text file") from error
    rows = [line.split() for line in lines[skip:] if line.strip()]
    for number, row in enumerate(rows, skip + 1):
        if len(row) < 2 or (fields is not None and len(row) != fields):
            raise InputError(f"{path}, line {number}: not a file name and its values")
    if not rows:
        raise InputError(f"{path} is empty")
    return lines[:skip], {row[0]: row[1:] for row in rows}


def _labels(
    path: Path, files: Sequence[str], attribute: str
) -> tuple[dict[str, int], tuple[str, ...]]:
    """The label of each file, and the names of the labels, by attributes that commas separate.

    A combination is named by the attributes that it has, such as "Male+Smiling"; one that no file
    has is no label.
    """
    chosen = comma_names("--label-attribute", attribute) or []
    if len(set(chosen)) < len(chosen) or len(chosen) > MOST_ATTRIBUTES:
        raise InputError(
            f"--label-attribute takes up to {MOST_ATTRIBUTES} different attributes, not {attribute}"
        )
    head, rows = _rows(path, 2, None)
    names = head[1].split()
    for name in chosen:
        if name not in names:
            raise unknown("attribute", name, names)
    columns = [names.index(name) for name in chosen]
    found: dict[str, tuple[bool, ...]] = {}
    for name in files:
        if len(rows.get(name, ())) != len(names):
            raise InputError(f"{path} has no line of {len(names)} attributes for {name}")
        values = [rows[name][column] for column in columns]
        strange = [a for a, value in zip(chosen, values, strict=True) if value not in ("1", "-1")]
        if strange:
            raise InputError(f"{path} has neither 1 nor -1 as the {strange[0]} of {name}")
        found[name] = tuple(value == "1" for value in values)
    kinds: list[tuple[bool, ...]]
    kinds = sorted({*found.values()}) if len(chosen) > 1 else [(False,), (True,)]
    none = f"no {' or '.join(chosen)}"
    classes = tuple(
        "+".join(a for a, has in zip(chosen, kind, strict=True) if has) or none for kind in kinds
    )
    return {name: kinds.index(kind) for name, kind in found.items()}, classes
