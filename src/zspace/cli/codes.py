"""The commands `zspace encode`, `decode`, `reconstruct`, `imagine` and `interpolate`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zspace.cli.base import (
    CHECKPOINT,
    DECODER,
    DEVICE,
    OUT,
    QUIET,
    RUN,
    SEED,
    check_part,
    cli,
    data_options,
    load,
    positive,
    progress,
    sampler_of_run,
    seeded,
    tell,
)
from zspace.cli.output import SHOWN, check_inputs, check_out, shown, tell_written, write
from zspace.errors import InputError

if TYPE_CHECKING:
    import torch


@cli.command()
@RUN
@data_options
@click.option(
    "--part",
    default="all",
    show_default=True,
    metavar="train|validation|test|all",
    help="part of the data; all has the data's own order",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="output: FILE.npz")
@CHECKPOINT
@DEVICE
@QUIET
def encode(
    run: Path,
    data: str | None,
    data_dir: str | None,
    part: str,
    out: Path,
    checkpoint: str,
    device: str,
    quiet: bool,
) -> None:
    """Write the codes (N, D) of images, and their labels if there are any, to an .npz file."""
    import numpy as np

    from zspace import api
    from zspace.core import codes
    from zspace.functional.tensors import BLOCK
    from zspace.generation.files import write_npz

    if out.suffix.lower() != ".npz":
        raise InputError(f"--out must be an .npz file, not {out}")
    check_part(part)
    check_inputs(out, run, data, data_dir)
    model, _ = load(run, checkpoint, device, quiet)
    chosen, classes = api.data_for(run, data, data_dir, part, progress(quiet))
    labels = {} if chosen.y is None else {"labels": chosen.y.numpy(), "classes": np.array(classes)}
    write_npz(out, ({"codes": codes(model, block)} for block in chosen.x.split(BLOCK)), labels)
    tell(f"{out}: codes {(len(chosen), model.latent_dim)}", quiet)


@cli.command()
@RUN
@click.argument("codes", type=click.Path(path_type=Path))
@OUT
@CHECKPOINT
@DEVICE
@QUIET
def decode(run: Path, codes: Path, out: Path, checkpoint: str, device: str, quiet: bool) -> None:
    """Decode codes (N, D), given as the array `codes` of an .npz file or as an .npy file."""
    import torch

    from zspace.generation.files import named, read_codes

    check_out(out, single=True)
    check_inputs(out, run, files=[codes])
    model, where = load(run, checkpoint, device, quiet)
    count, first = read_codes(codes, model.latent_dim)
    z = first(shown(out, count, quiet=quiet))
    decode = torch.no_grad()(model.decode)
    write(out, (named(decode(block.to(where))) for block in z), quiet=quiet)


@cli.command()
@RUN
@click.option("--n", type=int, metavar="N", help="number of images  [default: 32 at most]")
@DECODER
@data_options
@OUT
@CHECKPOINT
@DEVICE
@QUIET
def reconstruct(
    run: Path,
    n: int | None,
    decoder: str | None,
    data: str | None,
    data_dir: str | None,
    out: Path,
    checkpoint: str,
    device: str,
    quiet: bool,
) -> None:
    """Show test images above their reconstructions (in an .npz file: both sets)."""
    from zspace.display import pictures, plots
    from zspace.functional import as_float
    from zspace.functional.tensors import BLOCK
    from zspace.generation.files import named

    positive("n", 1 if n is None else n)
    check_out(out)
    check_inputs(out, run, data, data_dir)
    model, where = load(run, checkpoint, device, quiet)
    model = model.with_decoder(decoder)
    stored = _test_images(run, n, 32, data, data_dir, quiet)
    stored = stored[: shown(out, len(stored), 2, quiet=quiet)]
    if out.suffix.lower() == ".png" and stored.ndim == 4:
        x = as_float(stored.to(where))
        plots.save_sheet(out, *pictures.reconstruction_rows(model, x))
        tell_written(out, {"images": x.shape, "originals": x.shape}, quiet=quiet)
    else:
        parts = (as_float(block.to(where)) for block in stored.split(BLOCK))
        blocks = ({**named(model.reconstruct(x)), "originals": x} for x in parts)
        write(out, blocks, quiet=quiet)


def _test_images(
    run: Path, n: int | None, usual: int, data: str | None, data_dir: str | None, quiet: bool
) -> torch.Tensor:
    """The first n test images, in the stored form, of a run's data or of others.

    If n is None, there are `usual` of them at most.
    """
    from zspace import api

    chosen, _ = api.data_for(run, data, data_dir, "test", progress(quiet))
    return chosen.x[: _count(n, usual, len(chosen), f"{len(chosen)} images")]


def _count(n: int | None, usual: int, there: int, what: str) -> int:
    """The number of images to show: n if it is given, else `usual` or as many as there are."""
    if n is not None and n > there:
        raise InputError(f"--n {n}: the test part has {what}")
    return min(usual, there) if n is None else n


@cli.command()
@RUN
@click.option(
    "--images",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE...",
    help="image files  [default: the first test images]",
)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="")
@click.option(
    "--n",
    type=int,
    metavar="N",
    help="number of test images, without --images  [default: 8 at most]",
)
@click.option(
    "--draws", type=int, default=8, show_default=True, help="number of renderings of each image"
)
@DECODER
@data_options
@OUT
@SEED
@CHECKPOINT
@DEVICE
@QUIET
def imagine(
    run: Path,
    images: tuple[Path, ...],
    files: tuple[Path, ...],
    n: int | None,
    draws: int,
    decoder: str | None,
    data: str | None,
    data_dir: str | None,
    out: Path,
    seed: int,
    checkpoint: str,
    device: str,
    quiet: bool,
) -> None:
    """Show images decoded from codes that are drawn from an image's posterior q(z | x).

    Each row has an image and its renderings (in an .npz file: originals, and images, DRAWS of
    each).
    """
    import torch

    from zspace.core import Variational
    from zspace.data.folder import read_pictures
    from zspace.data.levels import Levels
    from zspace.display import plots
    from zspace.functional import as_float
    from zspace.functional.tensors import BLOCK
    from zspace.generation.files import named
    from zspace.storage.run import Run

    positive("n", 1 if n is None else n)
    positive("draws", draws, most=10_000)
    check_out(out)
    check_inputs(out, run, data, data_dir, [*images, *files])
    if files and not images:
        raise InputError(f"{files[0]}: image files come after --images")
    if images and (data is not None or data_dir is not None):
        raise InputError("--images are what is shown: leave out --data and --data-dir")
    if images and n is not None:
        raise InputError("--n is a number of test images: leave it out with --images")
    seeded(seed, torch.device("cpu"))
    model, where = load(run, checkpoint, device, quiet)
    model = model.with_decoder(decoder)
    if not isinstance(model, Variational):
        raise InputError(
            f"the model of {run} has no posterior q(z | x) to draw codes from ('zspace "
            "reconstruct' decodes its codes)"
        )
    existing = Run(run)
    shape = existing.facts.shape
    if len(shape) != 3:
        raise InputError(f"{run} was trained on vectors: there are no images to imagine")
    levels = Levels.of(existing.config.get("value_range"))
    stored = (
        read_pictures([*images, *files], shape, levels)
        if images
        else _test_images(run, n, 8, data, data_dir, quiet)
    )
    for note in levels.notes():
        progress(quiet).say(note)
    stored = stored[: shown(out, len(stored), draws + 1, quiet=quiet)]
    if out.suffix.lower() == ".png":
        x = as_float(stored.to(where))
        imagined = model.imagine(x, draws, seed=seed)
        plots.save_sheet(out, torch.cat([x[:, None], imagined], 1).flatten(0, 1), draws + 1)
        shapes = {"images": imagined.flatten(0, 1).shape, "originals": x.shape}
        tell_written(out, shapes, quiet=quiet)
        return

    decode = torch.no_grad()(model.decode)
    drawn = model.draw_blocks(stored, draws, seed=seed)
    made = (named(decode(codes)) for z in drawn for codes in z.flatten(0, 1).split(BLOCK))
    originals = ({"originals": block} for block in stored.split(BLOCK))
    write(out, chain(made, originals), quiet=quiet)


@cli.command()
@RUN
@click.option(
    "--n", type=int, metavar="N", help="number of pairs of test images  [default: 8 at most]"
)
@click.option("--steps", type=int, default=9, show_default=True, help="number of images in a row")
@click.option(
    "--sampler",
    metavar="NAME",
    help="sampler that draws both ends, in place of test images: prior or one that is fitted to "
    "the training codes",
)
@click.option("--label", metavar="NAME", help="class of the images that a sampler draws")
@data_options
@OUT
@SEED
@CHECKPOINT
@DEVICE
@QUIET
def interpolate(
    run: Path,
    n: int | None,
    steps: int,
    sampler: str | None,
    label: str | None,
    data: str | None,
    data_dir: str | None,
    out: Path,
    seed: int,
    checkpoint: str,
    device: str,
    quiet: bool,
) -> None:
    """Show interpolations between random test images; the first and last image are real.

    With --sampler, both ends are generated. The noise that its codes are made of goes along a great
    circle, where they are a continuous function of it; otherwise codes go along a straight line.
    """
    import torch

    from zspace import api
    from zspace.display import pictures
    from zspace.functional import as_float
    from zspace.functional.tensors import BLOCK
    from zspace.generation.files import named

    positive("n", 1 if n is None else n)
    positive("steps", steps, 2, 1000)
    check_out(out)
    check_inputs(out, run, data, data_dir)
    if sampler is not None:
        if data is not None:
            raise InputError("give --data or --sampler, not both")
        _between(run, sampler, label, n or 8, steps, out, seed, checkpoint, device, data_dir, quiet)
        return
    if label is not None:
        raise InputError("--label belongs to --sampler")
    model, where = load(run, checkpoint, device, quiet)
    chosen, _ = api.data_for(run, data, data_dir, "test", progress(quiet))
    pairs = len(chosen) // 2
    n = _count(n, 8, pairs, f"{len(chosen)} images, enough for {pairs} pairs")
    if n < 1:
        raise InputError("the test part has one image: an interpolation needs two")
    order = torch.randperm(len(chosen), generator=seeded(seed, torch.device("cpu")))
    pairs = torch.stack([order[:n], order[n : 2 * n]])[:, : shown(out, n, steps, quiet=quiet)]

    def rows() -> Iterator[torch.Tensor]:
        for block in pairs.split(max(1, min(BLOCK, SHOWN // steps)), 1):
            a, b = (as_float(chosen.x[own].to(where)) for own in block)
            yield pictures.interpolation_rows(model, a, b, steps)[0]

    write(out, map(named, rows()), quiet=quiet, columns=steps)


def _between(
    run: Path,
    name: str,
    label: str | None,
    n: int,
    steps: int,
    out: Path,
    seed: int,
    checkpoint: str,
    device: str,
    data_dir: str | None,
    quiet: bool,
) -> None:
    """Carry out `zspace interpolate --sampler`."""
    import torch

    from zspace.data.images import class_numbers
    from zspace.functional.tensors import BLOCK
    from zspace.generation.between import codes_between
    from zspace.generation.files import named
    from zspace.generation.fit import check_sampler
    from zspace.recipes.catalogue import check_label
    from zspace.storage.run import Run

    check_sampler(run, name)
    check_label(name, label)
    model, where = load(run, checkpoint, device, quiet)
    number = None if label is None else class_numbers([label], Run(run).facts.classes)[0]
    drawn = sampler_of_run(run, name, model, quiet, data_dir)
    count = shown(out, n, steps, quiet=quiet)
    z = codes_between(drawn, count, steps, number, seeded(seed, where)).flatten(0, 1)
    decode = torch.no_grad()(model.decode)
    write(out, (named(decode(block)) for block in z.split(BLOCK)), quiet=quiet, columns=steps)
