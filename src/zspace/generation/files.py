"""Files of images, vectors and codes, which are written and read in blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zspace.data.conversion import to_float32
from zspace.errors import InputError
from zspace.functional.sheets import to_uint8
from zspace.functional.tensors import BLOCK, check_finite
from zspace.storage.arrays import Array, Stored, growing
from zspace.storage.files import atomic

Block = Mapping[str, Tensor]
"""Rows of arrays by name: images (N, C, H, W), floats in [0, 1] or uint8, or anything else."""

IMAGES, VECTORS, DATA, LABELS = "images", "vectors", "data", "labels"
"""The names of arrays; vectors with labels are called data, as `--data` reads them."""


def named(x: Tensor) -> Block:
    """Images (N, C, H, W) under the name images, or vectors (N, D) under the name vectors."""
    return {IMAGES if x.ndim == 4 else VECTORS: x}


def as_array(x: Tensor) -> Array:
    """The rows of an array as a file holds them, images as uint8 (N, H, W) or (N, H, W, 3)."""
    return to_uint8(x) if x.ndim == 4 else x.detach().cpu().numpy()


def write_npz(out: Path, blocks: Iterable[Block], more: Mapping[str, Array] | None = None) -> None:
    """Write arrays to an .npz file.

    Args:
        out: the file.
        blocks: the arrays' rows; not every block needs rows of every array.
        more: whole arrays by name.

    Raises:
        InputError: rows hold NaN or infinite numbers.
    """
    with growing(out) as add:
        for block in blocks:
            for name, rows in block.items():
                add(name, as_array(check_finite(rows, name)))
        for name, array in (more or {}).items():
            add(name, array)


def write_folder(
    out: Path,
    blocks: Iterable[Block],
    classes: Sequence[str] | None = None,
    parts: Sequence[str] = ("",),
) -> None:
    """Write images to a folder of PNG files, which are numbered in each part.

    Args:
        out: the folder, which is new or empty.
        blocks: the images and, perhaps, their labels. If there are classes, other arrays become
            NAME.csv, a line for each row; they are left out otherwise.
        classes: the names of the labels, each of which gets a folder unless it has no image; None
            makes a flat folder.
        parts: the endings of the arrays' names, one for each part of a data set. If there are
            several, each gets a folder; the one with no ending is the training part.

    Raises:
        InputError: vectors can't go to a folder, or the classes can't name folders.
    """
    folders = [] if classes is None else _folder_names(classes)
    with atomic(out) as partial:
        partial.mkdir()
        roots = {e: partial / (e[1:] or "train") if len(parts) > 1 else partial for e in parts}
        for root in roots.values():
            for folder in folders:
                (root / folder).mkdir(parents=True)
        written: Counter[str] = Counter()
        for block in blocks:
            if VECTORS in block or DATA in block:
                raise InputError("vectors go to an .npz file, not to a folder of images")
            left = dict(block)
            for ending, root in roots.items():
                x, y = left.pop(IMAGES + ending, None), left.pop(LABELS + ending, None)
                if x is None:
                    continue
                known = [] if y is None or not folders else y.tolist()
                if min(known, default=0) < 0:
                    raise InputError(
                        f"{known.count(-1)} of these images have no known label, and so no folder: "
                        "write an .npz file"
                    )
                owners = [folders[k] for k in known] or [""] * len(x)
                for image, owner in zip(to_uint8(x), owners, strict=True):
                    path = root / owner / f"{written[ending]:06d}.png"
                    Image.fromarray(image).save(path)
                    written[ending] += 1
            for name, rows in left.items() if folders else ():
                lines = (",".join(map(str, np.atleast_1d(row))) for row in rows.cpu().numpy())
                with (partial / f"{name}.csv").open("a", encoding="utf-8") as file:
                    file.writelines(f"{line}\n" for line in lines)
        for folder in folders:
            own = [root / folder for root in roots.values()]
            if not any(any(path.iterdir()) for path in own):
                for path in own:
                    path.rmdir()
        if out.exists():
            out.rmdir()


def _folder_names(classes: Sequence[str]) -> list[str]:
    """The names of the classes' folders, without slashes and leading dots."""
    names = [c.replace("/", "-").replace("\\", "-").lstrip(".") or "-" for c in classes]
    taken = {"train", "test", "validation", "valid", "val"}
    if len(set(names)) < len(names) or all(name in taken for name in names):
        raise InputError(f"the classes {', '.join(classes)} can't name folders: write an .npz file")
    return names


def read_codes(path: str | Path, dim: int) -> tuple[int, Callable[[int], Iterator[Tensor]]]:
    """The number of codes in a NumPy file, and a function that reads the first n, float32.

    It gives them in blocks of at most 256, (N, dim).

    Args:
        path: an .npy file, or an .npz file with an array named codes or a single array.
        dim: the size of a code.

    Raises:
        InputError: the file is missing, truncated, or holds no such array; or, when that block is
            read, its numbers are NaN or infinite.
    """
    stored = Stored(Path(path), "codes")
    shape, kind = stored.shape, stored.dtype
    if kind.kind not in "uif" or len(shape) != 2 or not shape[0]:
        raise InputError(f"{path} holds {kind} of shape {shape}: expected (N, {dim})")
    if shape[1] != dim:
        raise InputError(f"{path} has codes of size {shape[1]}, the model's have {dim}")

    def first(n: int) -> Iterator[Tensor]:
        for block in stored.blocks(BLOCK, n):
            if not np.isfinite(block).all():
                raise InputError(f"{path} holds NaN or infinite numbers")
            yield torch.from_numpy(to_float32(block, str(path)))

    return shape[0], first
