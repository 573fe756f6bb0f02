"""The outputs of commands that write images: a sheet, an .npz file or a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zspace.cli.base import say, tell
from zspace.errors import InputError

if TYPE_CHECKING:
    from zspace.generation.files import Block

SHOWN = 10_000
"""The largest number of images on a sheet, and of points in a scatter plot."""


def check_out(out: Path, *, sheet: bool = True, single: bool = False) -> None:
    """Check an output for images, before anything is computed.

    Args:
        out: FILE.png, FILE.npz, FILE.npy, or a folder that is new or empty.
        sheet: whether FILE.png is allowed.
        single: whether FILE.npy is allowed, which holds one array.

    Raises:
        InputError: the output is another, or exists already.
    """
    suffixes = [*([".png"] if sheet else []), ".npz", *([".npy"] if single else [])]
    if out.suffix.lower() not in (*suffixes, ""):
        kinds = ", ".join(f"FILE{suffix}" for suffix in suffixes)
        raise InputError(f"--out must be {kinds} or a folder, not {out}")
    if out.suffix and out.is_dir():
        raise InputError(f"--out {out} is a folder")
    if not out.suffix and taken(out):
        raise InputError(f"--out {out} exists and is no empty folder")


def taken(out: Path) -> bool:
    """Whether an output's folder is there already, and is no empty folder."""
    return os.path.lexists(out) and (not out.is_dir() or any(out.iterdir()))


def check_inputs(
    out: Path,
    run: Path,
    data: str | None = None,
    data_dir: str | None = None,
    files: Iterable[Path] = (),
) -> None:
    """Check that an output replaces nothing that a command reads, and does not become part of it.

    Args:
        out: the output.
        run: the run, whose own data are read unless others are given.
        data, data_dir: the options that name other data, or where the run's own are now.
        files: further files that are read.

    Raises:
        InputError: it would, or the folder is no run.
    """
    from zspace.data.given import check_apart, moved
    from zspace.storage.run import Run

    config = Run(run).config
    now = moved(config, data_dir if data is None else None)
    held = [settings.get(name) for settings in (config, now) for name in ("data", "labels")]
    check_apart(out, [*held, data, *files])


def shown(out: Path, n: int, each: int = 1, *, quiet: bool, hint: str | None = None) -> int:
    """How many of n samples go to an output, which are all of them unless it is a sheet.

    A sentence says so if there are fewer.

    Args:
        out: the output.
        n: the number of samples that are asked for.
        each: the number of images on the sheet for each of them.
        quiet: whether to print nothing.
        hint: how to get all of them.
    """
    most = max(1, SHOWN // each)
    if out.suffix.lower() != ".png" or n <= most:
        return n
    if not quiet:
        hint = hint or "an .npz file or a new folder as --out gets all"
        limit = f"a sheet has {SHOWN:,} images at most"
        say(f"{out}: {most:,} of {n:,} are shown, since {limit} ({hint})")
    return most


def write(
    out: Path,
    blocks: Iterable[Block],
    *,
    quiet: bool = False,
    columns: int | None = None,
    classes: Sequence[str] | None = None,
) -> None:
    """Write images or vectors to a sheet, an .npz file or a folder.

    Args:
        out: FILE.png, FILE.npz, FILE.npy, or a folder that is new or empty.
        blocks: images, floats in [0, 1] or uint8, or vectors (N, D), under the names images and
            vectors (or data). Arrays of other names go to an .npz file alone.
        quiet: whether to print nothing.
        columns: the number of images in a row of a sheet; None makes it about square.
        classes: the names of the labels, if the blocks have some; a folder has one for each.

    Raises:
        InputError: vectors can't go to a folder.
    """
    import torch

    from zspace.display import plots
    from zspace.functional import as_stored
    from zspace.generation.files import DATA, IMAGES, VECTORS, write_folder, write_npz

    shapes: dict[str, tuple[int, ...]] = {}

    def counted() -> Iterator[Block]:
        for block in blocks:
            for name, x in block.items():
                before = shapes.get(name, (0,))[0]
                shapes[name] = before + len(x), *x.shape[1:]
            yield block

    if out.suffix.lower() in (".npz", ".npy"):
        write_npz(out, counted())
    elif out.suffix.lower() == ".png":
        held = [
            (as_stored(x) if x.is_floating_point() else x).cpu()
            for block in counted()
            for name, x in block.items()
            if name in (IMAGES, VECTORS, DATA)
        ]
        x = torch.cat(held)
        if x.ndim == 4:
            plots.save_sheet(out, x, columns)
        else:
            plots.scatters(out, {"": x})
    else:
        write_folder(out, counted(), classes)
    tell_written(out, shapes, quiet=quiet)


def tell_written(out: Path, shapes: Mapping[str, Sequence[int]], *, quiet: bool) -> None:
    """Print an output and the shapes of the arrays that were written to it, by their names."""
    written = ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items())
    tell(f"{out}: {written}", quiet)
