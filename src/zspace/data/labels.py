"""Labels that lie in a file of their own: a table of file names and labels, or an array."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from zspace.core.given import MOST_CLASSES
from zspace.data.names import class_names, some
from zspace.data.npy import read_numpy
from zspace.errors import InputError
from zspace.storage.reading import kind_of, whole

LONGEST = 1 << 26
"""The size in bytes of a table, at most."""
FILE = ("file", "filename", "file_name", "image", "image_id", "path", "name", "id")
LABEL = ("label", "class", "target", "y", "category")
"""The names by which the columns of a table are recognised, in lower case."""


@dataclass(frozen=True)
class Labels:
    """Labels as they stand in a file, in its order.

    Attributes:
        path: the file.
        labels: the labels as texts.
        files: the names of the files that they belong to; empty if it names none.
    """

    path: Path
    labels: Sequence[str]
    files: Sequence[str] = ()

    @cached_property
    def classes(self) -> list[str]:
        """The different labels: whole numbers by their size, texts in alphabetical order."""
        names = set(self.labels)
        if all(name.isascii() and name.isdecimal() and len(name) < 19 for name in names):
            return sorted(names, key=lambda name: (int(name), name))
        return sorted(names)

    def names(self) -> tuple[str, ...]:
        """The printable names of the classes.

        Raises:
            InputError: there are too many, or two look the same.
        """
        if len(self.classes) > MOST_CLASSES:
            raise InputError(
                f"{self.path} has {len(self.classes)} different labels, at most {MOST_CLASSES:,} "
                "are read: is this its column of labels?"
            )
        return class_names(self.classes, str(self.path))

    def of_rows(self, count: int) -> list[int]:
        """The numbers of the labels of `count` samples, which are those of the file in its order.

        Raises:
            InputError: the file has another number of labels.
        """
        if len(self.labels) != count:
            raise InputError(f"{self.path} has {len(self.labels)} labels for {count} samples")
        numbers = {name: i for i, name in enumerate(self.classes)}
        return [numbers[label] for label in self.labels]

    def of_files(self, folder: Path, files: Sequence[Path]) -> tuple[list[int], list[Path]]:
        """The numbers of the labels of files in a folder, -1 for a file that has none.

        A file is found by its path in the folder or, if no other has the same, by its name, or its
        name without the suffix.

        Returns the numbers, and the files that have no label.
        Raises:
            InputError: the table names no files, a file twice with two labels, several files by one
                name, or none of these.
        """
        if not self.files:
            raise InputError(
                f"{self.path} names no files: expected a table of two columns, file and label"
            )
        numbers = {name: i for i, name in enumerate(self.classes)}
        known: dict[str, int] = {}
        for name, label in zip(self.files, self.labels, strict=True):
            if known.setdefault(name, numbers[label]) != numbers[label]:
                raise InputError(f"{self.path} has two labels for {name}")
        found: list[int] = []
        owners: dict[str, Path] = {}
        for path in files:
            whole = path.relative_to(folder).as_posix()
            beside = os.path.relpath(path, self.path.parent)  # by the place of the table
            used = next((n for n in (whole, beside, path.name, path.stem) if n in known), None)
            other = path if used in (None, whole, beside) else owners.setdefault(str(used), path)
            if other != path:
                raise InputError(
                    f"{self.path} has one label for {used}, which {other.relative_to(folder)} and "
                    f"{whole} may be: give paths in the folder"
                )
            found.append(-1 if used is None else known[used])
        if files and max(found) < 0:
            raise InputError(
                f"{self.path} names {some(list(known))}: none of the images of {folder}, such as "
                f"{files[0].relative_to(folder)}"
            )
        return found, [path for path, label in zip(files, found, strict=True) if label < 0]


def read_labels(path: Path) -> Labels:
    """The labels of a file.

    A table (.csv, .tsv or .txt, in UTF-8) has a line for each label. If it has two columns or more,
    those of the file's name and of the label are found by their headings (`FILE`, `LABEL`), or are
    the first two. A .npy file has the labels (N,) of samples in their order.

    Raises:
        InputError: the file is missing, is too large or damaged, or holds no labels.
    """
    if kind_of(path) != "file":
        raise InputError(f"--labels {path} is {'no file' if kind_of(path) else 'missing'}")
    if path.suffix.lower() == ".npy":
        return Labels(path, _of_array(path))
    try:
        text = whole(path, LONGEST, "tables of labels").decode("utf-8-sig")
        first = text.partition("\n")[0]
        mark = max(",\t;", key=first.count)
        lines = io.StringIO(text, newline="")
        rows = [row for row in csv.reader(lines, delimiter=mark, strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"--labels {path} is no table of text in UTF-8") from error
    heads = [cell.strip().lower() for cell in rows[0]] if rows else []
    label = next((heads.index(name) for name in LABEL if name in heads), None)
    file = next((heads.index(name) for name in FILE if name in heads), None)
    # a first row that could be a heading is one, unless it is a label of other rows
    if label is not None and rows[0][label] not in {row[label] for row in rows[1:] if row[label:]}:
        rows = rows[1:]
        file = next((i for i in range(len(heads)) if i != label), None) if file is None else file
    elif len(heads) > 2:
        raise InputError(
            f"--labels {path} has {len(heads)} columns, none of which is called label: expected "
            "the columns file and label"
        )
    elif len(heads) > 1:
        file, label = 0, 1
        rows = rows[1:] if heads[0] in FILE else rows
    else:
        file, label = None, 0
    if not rows:
        raise InputError(f"--labels {path} holds no labels")
    most = max(label, file or 0)
    for number, row in enumerate(rows, 1):
        if len(row) <= most or not row[label].strip():
            raise InputError(f"--labels {path}: row {number} has no label: {some(row)}")
    if any(_broken_number(row[label]) for row in rows):
        raise InputError(f"--labels {path} has numbers that are not whole: labels are classes")
    files = [] if file is None else [row[file].strip() for row in rows]
    return Labels(path, [row[label].strip() for row in rows], files)


def _broken_number(text: str) -> bool:
    """Whether a text is a number that is not whole."""
    try:
        return not float(text).is_integer()
    except (ValueError, OverflowError):
        return False


def _of_array(path: Path) -> list[str]:
    array = next(iter(read_numpy(path, lambda names: names[:1]).values()))
    if array.ndim != 1 or array.dtype.kind not in "uibfU":
        raise InputError(
            f"--labels {path} has dtype {array.dtype} and shape {array.shape}: expected labels (N,)"
        )
    if array.dtype.kind != "U":
        within = np.isfinite(array) & (array >= 0) & (array < MOST_CLASSES)
        if not within.all() or not (array == np.rint(array)).all():
            raise InputError(
                f"--labels {path} must hold whole numbers from 0 to {MOST_CLASSES - 1:,}, or texts"
            )
        array = array.astype(np.int64)
    return [str(label) for label in array]
