"""zspace sample, fit-sampler, encode, decode, reconstruct, imagine, interpolate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from zspace.cli.base import (
    CHECKPOINT,
    DECODER,
    DEVICE,
    OUT,
    QUIET,
    RUN,
    SEED,
    DrawingCommand,
    check_drawing,
    check_out,
    check_part,
    cli,
    click_option,
    data_options,
    load,
    positive,
    progress,
    quiet_say,
    seeded,
    with_decoder,
    write,
)
from zspace.errors import InputError, unknown

if TYPE_CHECKING:
    import torch

    from zspace.core import LatentModel


@cli.command(cls=DrawingCommand)
@RUN
@click.option("--n", type=int, default=64, show_default=True, help="how many")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="FILE.png (a sheet), FILE.npz, or a new folder of PNG files; convex may do without",
)
@SEED
@click.option(
    "--sampler",
    default="prior",
    show_default=True,
    metavar="NAME",
    help="prior (the model's own), target (GEN's), or one fitted to its training codes: normal, "
    "mixture, kde, convex, simple, medium1, medium2, flow-matching, flow, two-stage, pushforward",
)
@click.option("--label", metavar="NAME", help="of one class, where the sampler knows classes")
@click.option(
    "--generations",
    type=int,
    metavar="N",
    help="convex: combine what was generated, and so on to this generation  [default: 1]",
)
@click.option(
    "--from",
    "origin",
    metavar="latents|images",
    help="convex: what a further "
    "generation combines: the last one's codes, or its images, encoded again  "
    "[default: latents]",
)
@DECODER
@CHECKPOINT
@DEVICE
@QUIET
def sample(
    run: Path,
    n: int,
    out: Path | None,
    seed: int,
    sampler: str,
    label: str | None,
    generations: int | None,
    origin: str | None,
    decoder: str | None,
    checkpoint: str,
    device: str,
    quiet: bool,
    **options: Any,
) -> None:
    """Draw images from a trained model.

    --sampler convex combines the codes of training images of one class, prints how many trials its
    judges took (of a model with a classifier, such as regene), and writes labels and sources, too.
    """
    import torch

    from zspace import api
    from zspace.data.images import class_numbers
    from zspace.functional import blockwise
    from zspace.generation.fit import sampler_of
    from zspace.recipes.catalogue import check_drawn, check_label
    from zspace.storage.run import Run

    positive("n", n)
    check_drawn(sampler)
    check_label(sampler, label)
    if out is not None:
        check_out(out)
    check_drawing(sampler, options)
    for name, value in (("generations", generations), ("from", origin)):
        if sampler != "convex" and value is not None:
            raise InputError(f"--{name} belongs to --sampler convex")
    if sampler != "convex" and out is None:
        raise InputError("--out is missing: FILE.png, FILE.npz or a new folder")
    if origin not in (None, "latents", "images"):
        raise unknown("origin", origin, ["latents", "images"])
    positive("generations", generations or 1, most=100)
    model, where = load(run, checkpoint, device)
    generator = seeded(seed, where)
    classes = api.run_facts(Run(run)).classes
    number = None if label is None else class_numbers([label], classes)[0]
    decoding = with_decoder(model, decoder)
    if sampler == "convex":
        if decoder is not None:
            raise InputError("--decoder is not for --sampler convex, whose judges know one alone")
        _combine(
            run,
            model,
            n,
            number,
            generations or 1,
            origin or "latents",
            generator,
            out,
            classes,
            options,
        )
        return
    with progress(quiet) as report:
        drawn = sampler_of(run, sampler, model, report=report).changed(**options)
    assert out is not None
    with torch.no_grad():
        x = blockwise(decoding.decode, drawn.sample(n, number, generator=generator))
    write(out, x)


def _combine(
    run: Path,
    model: LatentModel,
    n: int,
    label: int | None,
    generations: int,
    origin: Any,
    generator: torch.Generator,
    out: Path | None,
    classes: tuple[str, ...],
    options: dict[str, Any],
) -> None:
    """`zspace sample --sampler convex`: generate, print the trials, write."""
    import torch

    from zspace.data.images import Part
    from zspace.functional import as_float
    from zspace.generation.combine import convex_of, generate, shares, write_labelled

    convex = convex_of(run, model, options)
    counts = {label: n} if label is not None else dict(enumerate(shares(n, len(classes))))
    made = [
        generate(
            model,
            convex,
            count,
            number,
            generations=generations,
            origin=origin,
            generator=generator,
        )
        for number, count in counts.items()
        if count
    ]
    for line in made:
        for number, one in enumerate(line, 1):
            trials = ", ".join(f"{judge} {took}" for judge, took in one.combined.trials.items())
            which = "" if generations == 1 else f", generation {number}"
            click.echo(
                f"class {classes[one.label]}{which}: {len(one.x)} combinations of "
                f"{convex.combine}; trials: {trials or 'all taken, this model has no judges'}"
            )
    if out is None:
        return
    # the generations, each over all classes
    *earlier, last = zip(*made, strict=True)
    x = torch.cat([one.x for one in last])
    if out.suffix == ".png":
        write(out, as_float(x))
        return
    y = torch.cat([torch.full((len(one.x),), one.label) for one in last])
    more = {
        "sources": torch.cat([one.combined.sources for one in last]),
        "weights": torch.cat([one.combined.weights for one in last]),
    }
    for number, generation in enumerate(earlier, 1):
        more[f"sources_{number}"] = torch.cat([one.combined.sources for one in generation])
        if out.suffix == ".npz":
            more[f"images_{number}"] = torch.cat([one.x for one in generation])
    write_labelled(out, {"train": Part(x, y)}, classes, more)
    click.echo(str(out))


class FitCommand(click.Command):
    """A command whose help has the options of every sampler, behind its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from zspace.options import options_of
        from zspace.recipes.catalogue import SAMPLERS

        super().format_options(ctx, formatter)
        for name, kind in SAMPLERS.items():
            made = [click_option(o).get_help_record(ctx) for o in options_of(kind).values()]
            if made:
                with formatter.section(f"Options of --sampler {name}"):
                    formatter.write_dl([record for record in made if record is not None])


@cli.command("fit-sampler", cls=FitCommand, context_settings={"ignore_unknown_options": True})
@RUN
@click.option(
    "--sampler",
    required=True,
    metavar="NAME",
    help="normal, mixture, kde, convex, "
    "simple, medium1, medium2, flow-matching, flow, two-stage, pushforward",
)
@CHECKPOINT
@DEVICE
@click.option(
    "--precision",
    default="32",
    show_default=True,
    metavar="32|bf16",
    help="of a fit by iterations: float32, or bfloat16 where it is safe",
)
@QUIET
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def fit_sampler(
    run: Path,
    sampler: str,
    checkpoint: str,
    device: str,
    precision: Any,
    quiet: bool,
    options: tuple[str, ...],
) -> None:
    """Fit a sampler to a run's training codes and store it in the run.

    flow-matching, flow, two-stage and pushforward learn by iterations: the same command goes on
    with a fit that was stopped and, with more --iterations, with one that is finished. Options of
    the sampler itself, which are listed below, come after those of the command.
    """
    from zspace.generation import fit as fitting
    from zspace.options import options_of
    from zspace.recipes.catalogue import SAMPLERS
    from zspace.training import Precision

    if sampler not in SAMPLERS:
        raise unknown("sampler", sampler, SAMPLERS)
    if precision not in get_args(Precision):
        raise unknown("precision", precision, get_args(Precision))
    known = options_of(SAMPLERS[sampler])
    command = click.Command(sampler, params=[click_option(o) for o in known.values()])
    context = command.make_context(sampler, list(options))
    given = {k: v for k, v in context.params.items() if v is not None}
    with progress(quiet) as report:
        fitting.fit_sampler(
            run,
            sampler,
            given,
            checkpoint=checkpoint,
            device=device,
            precision=precision,
            report=report,
            say=quiet_say(quiet),
        )
    click.echo(f"{run}/samplers/{sampler}.safetensors")


@cli.command()
@RUN
@data_options
@click.option(
    "--part",
    default="all",
    show_default=True,
    help="train, validation, test, or all, in the data's own order",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="FILE.npz")
@CHECKPOINT
@DEVICE
def encode(
    run: Path,
    data: str | None,
    data_dir: str | None,
    part: str,
    out: Path,
    checkpoint: str,
    device: str,
) -> None:
    """Write the codes (N, D) of images to an .npz file: codes, and labels where there are some."""
    import numpy as np

    from zspace import api
    from zspace.core import codes
    from zspace.storage.files import atomic

    if out.suffix != ".npz":
        raise InputError(f"--out must be an .npz file, not {out}")
    check_part(part)
    model, _ = load(run, checkpoint, device)
    chosen, classes = api.data_for(run, data, data_dir, part)
    arrays: dict[str, Any] = {"codes": codes(model, chosen.x).cpu().numpy()}
    if chosen.y is not None:
        arrays |= {"labels": chosen.y.numpy(), "classes": np.array(classes)}
    with atomic(out) as partial:
        np.savez(partial, **arrays)
    click.echo(f"{out}: codes {arrays['codes'].shape}")


@cli.command()
@RUN
@click.argument("codes", type=click.Path(path_type=Path))
@OUT
@CHECKPOINT
@DEVICE
def decode(run: Path, codes: Path, out: Path, checkpoint: str, device: str) -> None:
    """Decode codes (N, D): the array `codes` of an .npz file, or an .npy file."""
    import torch

    from zspace import api
    from zspace.functional import blockwise

    check_out(out)
    model, where = load(run, checkpoint, device)
    z = api.read_codes(codes, model.latent_dim)
    with torch.no_grad():
        x = blockwise(lambda block: model.decode(block.to(where)), z)
    write(out, x)


@cli.command()
@RUN
@click.option("--n", type=int, default=32, show_default=True, help="how many images")
@DECODER
@data_options
@OUT
@CHECKPOINT
@DEVICE
def reconstruct(
    run: Path,
    n: int,
    decoder: str | None,
    data: str | None,
    data_dir: str | None,
    out: Path,
    checkpoint: str,
    device: str,
) -> None:
    """Test images above their reconstructions (in .npz: originals and reconstructions)."""
    from zspace.display import pictures, plots
    from zspace.functional import as_float

    positive("n", n)
    check_out(out)
    model, where = load(run, checkpoint, device)
    model = with_decoder(model, decoder)
    x = as_float(_test_images(run, n, data, data_dir).to(where))
    if out.suffix == ".png" and x.ndim == 4:
        plots.save_sheet(out, *pictures.reconstruction_rows(model, x))
        click.echo(str(out))
    else:
        write(out, model.reconstruct(x), {"originals": x})


def _test_images(run: Path, n: int, data: str | None, data_dir: str | None) -> torch.Tensor:
    """The first n test images of a run's data or of others, as stored."""
    from zspace import api

    chosen, _ = api.data_for(run, data, data_dir, "test")
    if n > len(chosen):
        raise InputError(f"--n {n}: the test part has {len(chosen)} images")
    return chosen.x[:n]


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
@click.option("--n", type=int, default=8, show_default=True, help="test images, without --images")
@click.option("--draws", type=int, default=8, show_default=True, help="renderings of an image")
@DECODER
@data_options
@OUT
@SEED
@CHECKPOINT
@DEVICE
def imagine(
    run: Path,
    images: tuple[Path, ...],
    files: tuple[Path, ...],
    n: int,
    draws: int,
    decoder: str | None,
    data: str | None,
    data_dir: str | None,
    out: Path,
    seed: int,
    checkpoint: str,
    device: str,
) -> None:
    """What an encoder knows of an image: it, and what codes drawn from its q(z | x) are decoded to.

    A row for each image (in .npz: originals, and images, DRAWS of each).
    """
    import torch

    from zspace import api
    from zspace.core import Variational
    from zspace.data.folder import read_pictures
    from zspace.display import plots
    from zspace.functional import as_float
    from zspace.storage.run import Run

    positive("n", n)
    positive("draws", draws, most=10_000)
    check_out(out)
    if files and not images:
        raise InputError(f"{files[0]}: image files come after --images")
    if images and (data is not None or data_dir is not None):
        raise InputError("--images are what is shown: leave out --data and --data-dir")
    seeded(seed, torch.device("cpu"))
    model, where = load(run, checkpoint, device)
    model = with_decoder(model, decoder)
    if not isinstance(model, Variational):
        raise InputError(
            f"the model of {run} has no posterior q(z | x) to draw codes from ('zspace "
            "reconstruct' decodes its codes)"
        )
    shape = api.run_facts(Run(run)).shape
    if len(shape) != 3:
        raise InputError(f"{run} was trained on vectors: there are no images to imagine")
    stored = (
        read_pictures([*images, *files], shape) if images else _test_images(run, n, data, data_dir)
    )
    x = as_float(stored.to(where))
    imagined = model.imagine(x, draws, seed=seed)
    if out.suffix == ".png":
        plots.save_sheet(out, torch.cat([x[:, None], imagined], 1).flatten(0, 1), draws + 1)
        click.echo(str(out))
    else:
        write(out, imagined.flatten(0, 1), {"originals": x})


@cli.command()
@RUN
@click.option("--n", type=int, default=8, show_default=True, help="how many pairs of test images")
@click.option("--steps", type=int, default=9, show_default=True, help="images of a row")
@data_options
@OUT
@SEED
@CHECKPOINT
@DEVICE
def interpolate(
    run: Path,
    n: int,
    steps: int,
    data: str | None,
    data_dir: str | None,
    out: Path,
    seed: int,
    checkpoint: str,
    device: str,
) -> None:
    """Rows between two random test images: the first and last are real, the others decoded."""
    import torch

    from zspace import api
    from zspace.display import pictures, plots
    from zspace.functional import as_float

    positive("n", n)
    positive("steps", steps, 2, 1000)
    check_out(out)
    model, where = load(run, checkpoint, device)
    chosen, _ = api.data_for(run, data, data_dir, "test")
    if 2 * n > len(chosen):
        raise InputError(
            f"--n {n}: the test part has {len(chosen)} images, enough for {len(chosen) // 2} pairs"
        )
    rows = torch.randperm(len(chosen), generator=seeded(seed, torch.device("cpu")))[: 2 * n]
    x = as_float(chosen.x[rows].to(where))
    shown, columns = pictures.interpolation_rows(model, x[:n], x[n:], steps)
    if out.suffix == ".png" and x.ndim == 4:
        plots.save_sheet(out, shown, columns)
        click.echo(str(out))
    else:
        write(out, shown)
