"""`Images`, a data set in three parts, and the choice of parts, classes and subsets."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zspace.core import Progress
from zspace.data.names import some
from zspace.errors import InputError, unknown, whole_number

IN_MEMORY = 4 << 30
"""The size in bytes up to which a part is held in memory; a larger one is memory-mapped."""
PARTS = ("train", "validation", "test")
"""The names of a data set's parts."""


@dataclass(frozen=True)
class Part:
    """A part of a data set: samples, and their labels if there are any.

    Attributes:
        x: uint8 images (N, C, H, W) or float32 vectors (N, D), possibly memory-mapped.
        y: int64 labels (N,), or None.
    """

    x: Tensor
    y: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def counts(self, classes: int) -> Tensor:
        """The numbers of samples of each label (K,), of which an unknown one, -1, is none."""
        assert self.y is not None
        return torch.bincount(self.y[self.y >= 0], minlength=classes)

    def known(self) -> Part:
        """The samples whose label is known: those of label -1 are left out."""
        if self.y is None or bool((self.y >= 0).all()):
            return self
        return self.take((self.y >= 0).nonzero()[:, 0])

    def take(self, rows: Tensor) -> Part:
        """The samples at some indices (M,); a result larger than `IN_MEMORY` is memory-mapped."""
        nbytes = self.x[:1].nbytes * len(rows)
        if nbytes <= IN_MEMORY:
            return Part(self.x[rows], None if self.y is None else self.y[rows])
        x = torch.from_numpy(allocate((len(rows), *self.x.shape[1:]), self.x.numpy().dtype))
        for i in range(0, len(rows), 4096):
            x[i : i + 4096] = self.x[rows[i : i + 4096]]
        return Part(x, None if self.y is None else self.y[rows])


@dataclass(frozen=True)
class Raw:
    """A data set as a reader finds it, before it is split.

    Attributes:
        parts: the parts by name, "train" among them.
        classes: the names of the labels, by number; empty without labels.
        notes: what the user should know about the data.
        range_notes: those among them that are about the range of the values.
    """

    parts: Mapping[str, Part]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    range_notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Images:
    """A data set in three parts: uint8 images, or float32 vectors, which are never rescaled.

    Attributes:
        name: the name that the user gave.
        train, validation, test: the parts, which are disjoint.
        classes: the names of the labels, by number; empty without labels.
        notes: what the user should know about the data, such as a part that was split off.
        range_notes: those among them that are about the range of the values.
    """

    name: str
    train: Part
    validation: Part
    test: Part
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    range_notes: tuple[str, ...] = ()

    def tell_range(self, progress: Progress) -> Self:
        """Pass on what the user should know about the range of the values; returns the data."""
        for note in self.range_notes:
            progress.say(note)
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample, (C, H, W) or (D,)."""
        return tuple(self.train.x.shape[1:])

    @property
    def is_image(self) -> bool:
        """Whether the samples are images rather than vectors."""
        return len(self.shape) == 3

    def _repr_png_(self) -> bytes | None:
        """The first thirty-two training images, which a notebook shows; None for vectors."""
        from zspace.functional.sheets import png, sheet

        return png(sheet(self.train.x[:32], 8)) if self.is_image else None


def allocate(shape: tuple[int, ...], dtype: Any = np.uint8) -> npt.NDArray[Any]:
    """An uninitialised array, in memory or, if larger than `IN_MEMORY`, in a temporary file.

    The file is removed when the process ends.
    """
    if int(np.prod(shape)) * np.dtype(dtype).itemsize <= IN_MEMORY:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="zspace-") as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def split(raw: Raw, name: str, validation: float | None = None) -> Images:
    """The three parts of a data set; one that is missing or empty is split off the training part.

    A missing test part is a fifth of the training part, and a missing validation part a share of
    what is left; of every label it has the same share. The choice of samples is always the same,
    and a note tells of it.

    Args:
        raw: what a reader found.
        name: the data set's name.
        validation: the share of the training part for a missing validation part, in [0, 1); None
            is a tenth. With 0, that part stays empty.

    Raises:
        InputError: there are no training images, or too few to split off a part.
    """
    parts = {k: p for k, p in raw.parts.items() if len(p)}
    notes = list(raw.notes)
    if "train" not in parts:
        raise InputError(f"{name} has no training images")
    given = len(parts["train"])
    for part, share in (("test", 0.2), ("validation", 0.1 if validation is None else validation)):
        if part in parts:
            continue
        train = parts["train"]
        if not share:
            parts[part] = train.take(torch.arange(0))
            continue
        # the share as a fraction: 0.1 * 1797 must not lose a sample to rounding
        count = int(len(train) * Fraction(str(share)))
        if not count:
            rest = "" if len(train) == given else f", {len(train)} without its test part"
            hint = "" if part == "test" else " (--validation 0 does without one)"
            raise InputError(
                f"{name} has {given} training images{rest}: too few to split a {part} part off"
                f"{hint}"
            )
        generator = torch.Generator().manual_seed({"test": 1, "validation": 2}[part])
        order = torch.randperm(len(train), generator=generator)
        if train.y is not None:
            order = _evenly(order, train.y, count)
        parts[part] = train.take(order[:count].sort().values)
        parts["train"] = train.take(order[count:].sort().values)
        notes.append(f"{name} has no {part} part: {count} of {len(train)} were split off train")
        y, own = train.y, parts[part].y
        if y is not None and own is not None:
            lost = sorted({*y.tolist()} - {*own.tolist(), -1})
            if lost and raw.classes:
                notes.append(
                    f"the {part} part has no image of {some([raw.classes[k] for k in lost])}"
                )
    return Images(
        name,
        parts["train"],
        parts["validation"],
        parts["test"],
        raw.classes,
        tuple(notes),
        raw.range_notes,
    )


def _evenly(order: Tensor, y: Tensor, count: int) -> Tensor:
    """An order of samples whose first `count` have every label by its share.

    Each label has its share rounded down, and those with the largest remainders have one more.
    """
    y = y[order]
    _, sizes = y.unique(return_counts=True)
    exact = sizes.double() * count / len(y)
    taken = exact.long()
    more = (exact - taken).argsort(descending=True, stable=True)[: count - int(taken.sum())]
    taken[more] += 1
    by_label = y.argsort(stable=True)
    place = torch.arange(len(y)) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    first = torch.zeros(len(y), dtype=torch.bool)
    first[by_label[place < taken.repeat_interleave(sizes)]] = True
    return torch.cat([order[first], order[~first]])


def select(
    images: Images,
    classes: Sequence[str] | None = None,
    train_size: int | None = None,
    train_per_class: int | None = None,
) -> Images:
    """A subset of a data set: some classes in every part, and some of the training samples.

    The choice of training samples is always the same.

    Args:
        images: the data set.
        classes: the names (or else the numbers) of the labels to keep, which are numbered in this
            order; None keeps all.
        train_size: the number of training samples to keep; None keeps all.
        train_per_class: the number of training samples to keep of each class; None keeps all.

    Raises:
        InputError: there are no labels, no such class, or not so many samples.
    """
    if (classes or train_per_class) and images.train.y is None:
        raise InputError(f"{images.name} has no labels: leave out --classes and --train-per-class")
    if classes:
        parts: dict[str, Part] = {}
        names = images.classes
        for part in PARTS:
            whole: Part = getattr(images, part)
            if not len(whole):  # --validation 0
                parts[part] = whole
                continue
            parts[part], names = choose_classes(whole, images.classes, classes)
            if not len(parts[part]):
                raise InputError(f"the {part} part of {images.name} has no image of these classes")
        images = replace(images, **parts, classes=names)
    train = images.train
    others = (
        f"({len(images.validation)} others are for validation, {len(images.test)} for the test)"
    )
    generator = torch.Generator().manual_seed(3)
    if train_per_class:
        assert train.y is not None
        rows: list[Tensor] = []
        for label, name in enumerate(images.classes):
            own = (train.y == label).nonzero()[:, 0]
            if len(own) < train_per_class:
                raise InputError(
                    f"--train-per-class {train_per_class}: class {name} of {images.name} has "
                    f"{len(own)} training images, without those of the other parts"
                )
            rows.append(own[torch.randperm(len(own), generator=generator)[:train_per_class]])
        train = train.take(torch.cat(rows).sort().values)
    if train_size:
        if train_size > len(train):
            raise InputError(
                f"--train-size {train_size}: {images.name} has {len(train)} training images "
                f"{others}"
            )
        order = torch.randperm(len(train), generator=generator)[:train_size]
        train = train.take(order.sort().values)
    return replace(images, train=train)


def withhold(part: Part, classes: Sequence[str], keep: int) -> Tensor:
    """The labels (N,) of a part with all but `keep` of them replaced by -1.

    The choice is always the same, and balanced: the same number of each class, as far as a class
    has so many samples.

    Args:
        part: a part with labels, at least one of each class.
        classes: the names of the labels.
        keep: the number of labels to keep, from the number of classes to that of samples.

    Raises:
        InputError: there are no labels, a class is empty, or `keep` is out of range.
    """
    if part.y is None:
        raise InputError("--labelled needs data with labels")
    counts = part.counts(len(classes))
    known = int(counts.sum())
    if not len(classes) <= keep <= known:
        raise InputError(
            f"--labelled {keep}: expected one for each of the {len(classes)} classes at least, and "
            f"{known} training images at most"
        )
    if not bool(counts.all()):
        empty = classes[int(counts.argmin())]
        raise InputError(f"class {empty} has no training image: --classes can leave it out")
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(4))
    order = order[part.y[order] >= 0]
    # the rank of each sample within its own class, in that order
    own = torch.nn.functional.one_hot(part.y[order]).cumsum(0).gather(1, part.y[order][:, None])
    chosen = order[own[:, 0].argsort(stable=True)[:keep]]
    y = torch.full_like(part.y, -1)
    y[chosen] = part.y[chosen]
    return y


def _class_number(name: str, classes: Sequence[str]) -> int:
    if name in classes:
        return classes.index(name)
    number = whole_number(name)
    # if names are numbers themselves, a number is always meant as a name
    named = any(whole_number(known) is not None for known in classes)
    if number is not None and number < len(classes) and not named:
        return number
    raise unknown("class", name, classes)


def class_numbers(chosen: Sequence[str], classes: Sequence[str]) -> list[int]:
    """The numbers of classes that are given by name, or else by number.

    Raises:
        InputError: there is no such class, or there are no classes.
    """
    if not classes:
        raise InputError("the data have no labels: leave out the option that names one")
    return [_class_number(name, classes) for name in chosen]


def choose_classes(
    part: Part, classes: Sequence[str], chosen: Sequence[str]
) -> tuple[Part, tuple[str, ...]]:
    """The samples of the chosen classes, renumbered in that order, and the names of the classes.

    Args:
        part: a part with labels.
        classes: the names of its labels.
        chosen: the names, or else the numbers, of the classes to keep.

    Raises:
        InputError: there are no labels, no such class, or a class is chosen twice.
    """
    if part.y is None:
        raise InputError("data without labels have no --classes")
    numbers = class_numbers(chosen, classes)
    if len(set(numbers)) < len(numbers):
        raise InputError(f"--classes names a class twice: {','.join(chosen)}")
    new = torch.full((max(int(part.y.max()) + 1, max(numbers) + 1),), -1)
    new[torch.tensor(numbers)] = torch.arange(len(numbers))
    rows = ((part.y >= 0) & (new[part.y] >= 0)).nonzero()[:, 0]
    return Part(part.take(rows).x, new[part.y[rows]]), tuple(classes[n] for n in numbers)


def join(parts: Sequence[Part]) -> Part:
    """The concatenation of several parts, without labels if one of them has none."""
    if len(parts) == 1:
        return parts[0]
    labels = [p.y for p in parts if p.y is not None]
    y = torch.cat(labels) if len(labels) == len(parts) else None
    x = torch.from_numpy(
        allocate((sum(map(len, parts)), *parts[0].x.shape[1:]), parts[0].x.numpy().dtype)
    )
    start = 0
    for part in parts:
        x[start : start + len(part)] = part.x
        start += len(part)
    return Part(x, y)


def choose_rows(total: int, count: int, seed: int) -> Tensor:
    """A random choice of samples, in random order, since data are often sorted by class.

    If all samples are chosen, the order is the same for every seed, so that the cache can be used.

    Args:
        total: the number of samples.
        count: the number of samples to choose, at most.
        seed: the seed of the choice.

    Returns their indices, (count,).
    """
    generator = torch.Generator().manual_seed(seed if count < total else 0)
    return torch.randperm(total, generator=generator)[:count]
