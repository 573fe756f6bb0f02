"""The commands `zspace sample` and `zspace fit-sampler`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from zspace.cli import known
from zspace.cli.base import (
    CHECKPOINT,
    DATA_DIR,
    DECODER,
    DEVICE,
    QUIET,
    RUN,
    SEED,
    DrawingCommand,
    NamedOption,
    checked_drawing,
    cli,
    click_option,
    echo,
    load,
    positive,
    progress,
    sampler_of_run,
    seeded,
    tell,
)
from zspace.cli.output import check_inputs, check_out, shown, write
from zspace.errors import InputError, unknown

if TYPE_CHECKING:
    import torch

    from zspace.core import LatentModel
    from zspace.generation.files import Block


@cli.command(cls=DrawingCommand)
@RUN
@click.option("--n", type=int, default=64, show_default=True, help="number of images")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="output: FILE.png (a sheet), FILE.npz, FILE.npy, or a new folder of PNG files (convex: "
    "optional)",
)
@SEED
@click.option(
    "--sampler",
    metavar="NAME",
    help="sampler of the codes: prior (the model's own), target (GEN's), or one that is fitted to "
    "the training codes: {names}  [default: prior, the run's only one, or the usual one of a model "
    "of the zoo]",
    cls=NamedOption,
    listing=known.sampler_names,
)
@click.option(
    "--label",
    metavar="NAMES",
    help="class of the images, if the prior knows classes, or for the samplers {names}; several, "
    "separated by commas, or all of them (all) share the images, row by row on a sheet  [default: "
    "mixed classes]",
    cls=NamedOption,
    listing=known.samplers_with("by_label"),
    shell_complete=lambda *_: [],
)
@click.option(
    "--generations",
    type=int,
    metavar="N",
    help="convex: number of generations, each combined from the one before it  [default: 1]",
)
@click.option(
    "--from",
    "origin",
    metavar="latents|images",
    help="convex: source of further generations: the last one's codes, or its images, encoded "
    "again  [default: latents]",
)
@DATA_DIR
@DECODER
@CHECKPOINT
@DEVICE
@QUIET
def sample(
    run: Path,
    n: int,
    out: Path | None,
    seed: int,
    sampler: str | None,
    label: str | None,
    generations: int | None,
    origin: str | None,
    data_dir: str | None,
    decoder: str | None,
    checkpoint: str,
    device: str,
    quiet: bool,
    **options: Any,
) -> None:
    """Draw images from a trained model.

    --sampler convex combines the codes of training images of one class. It prints the number of
    trials until enough combinations passed the judges of a model with a classifier, such as regene,
    and also writes labels and sources.
    """
    import torch

    from zspace.data.images import class_numbers
    from zspace.generation.combine import shares
    from zspace.generation.drawing import code_blocks
    from zspace.generation.files import named
    from zspace.generation.fit import check_sampler, usual_of
    from zspace.options import comma_names
    from zspace.recipes.catalogue import OWN, check_drawing, check_label
    from zspace.storage.run import Run

    positive("n", n)
    loaded = None
    if sampler is None:
        loaded = load(run, checkpoint, device, quiet)
        sampler = usual_of(run, loaded[0])
    check_sampler(run, sampler)
    check_label(sampler, label)
    if out is not None:
        check_out(out, single=sampler != "convex")
        check_inputs(out, run, data_dir=data_dir)
    if options and sampler in OWN:  # a model's own sampler may have options, too
        loaded = loaded or load(run, checkpoint, device, quiet)
    options = checked_drawing(sampler, options, None if loaded is None else loaded[0])
    for name, value in (("generations", generations), ("from", origin)):
        if sampler != "convex" and value is not None:
            raise InputError(f"--{name} belongs to --sampler convex")
    if sampler != "convex" and out is None:
        raise InputError("--out is missing: FILE.png, FILE.npz or a new folder")
    if origin not in (None, "latents", "images"):
        raise unknown("origin", origin, ["latents", "images"])
    generations = 1 if generations is None else generations
    positive("generations", generations, most=100)
    model, where = loaded or load(run, checkpoint, device, quiet)
    generator = seeded(seed, where)
    classes = Run(run).facts.classes
    numbers = None
    every = label == "all" and "all" not in classes
    if label is not None:
        numbers = class_numbers(classes if every else comma_names("--label", label) or (), classes)
    if out is not None and out.suffix.lower() == ".npy" and numbers and len(numbers) > 1:
        raise InputError(
            f"--out {out} holds one array, and {len(numbers)} labels make a second: take FILE.npz "
            "or a folder"
        )
    decoding = model.with_decoder(decoder)
    if sampler == "convex":
        if decoder is not None:
            raise InputError("--decoder is not for --sampler convex, whose judges know one alone")
        _combine(
            run,
            model,
            n,
            None if every else numbers,
            generations,
            origin or "latents",
            generator,
            out,
            classes,
            options,
            data_dir,
            quiet,
        )
        return
    drawn = sampler_of_run(run, sampler, model, quiet, data_dir)
    check_drawing(drawn, options)
    drawn = drawn.changed(**options)
    assert out is not None
    decode = torch.no_grad()(decoding.decode)
    if every and numbers and drawn.labels:
        numbers = [number for number in numbers if number in drawn.learned()]
    wanted = [None] if numbers is None else numbers
    n = shown(out, n, quiet=quiet)
    if out.suffix.lower() == ".png" and n > len(wanted):
        n -= n % len(wanted)  # rows of one length
    counts = shares(n, len(wanted))

    def blocks() -> Iterator[Block]:
        done = 0
        with progress(quiet) as follow:
            drawing = follow.about("drawing")
            drawing(done, n)
            for number, count in zip(wanted, counts, strict=True):
                for z in code_blocks(drawn, sampler, count, number, generator):
                    own: Block = {}
                    if number is not None and len(wanted) > 1:
                        own = {"labels": torch.full((len(z),), number)}
                    yield {**named(decode(z)), **own}
                    done += len(z)
                    drawing(done, n)

    several = len(wanted) > 1
    write(
        out,
        blocks(),
        quiet=quiet,
        columns=counts[0] if several else None,
        classes=classes if several else None,
    )


def _combine(
    run: Path,
    model: LatentModel,
    n: int,
    labels: list[int] | None,
    generations: int,
    origin: Any,
    generator: torch.Generator,
    out: Path | None,
    classes: tuple[str, ...],
    options: dict[str, Any],
    data_dir: str | None,
    quiet: bool,
) -> None:
    """Carry out `zspace sample --sampler convex`: generate, write, print the trials."""
    import torch

    from zspace.data.images import Part
    from zspace.generation.combine import (
        convex_of,
        generation_blocks,
        labelled,
        shares,
        write_labelled,
    )

    convex = convex_of(run, model, options, data_dir=data_dir)
    if out is not None:
        n = shown(out, n, quiet=quiet)
    wanted = convex.learned() if labels is None else labels
    if not wanted:
        raise InputError(f"no class has {convex.combine} images to combine (--combine)")
    counts = dict.fromkeys(wanted, 0)
    for own, count in zip(wanted, shares(n, len(wanted)), strict=True):
        counts[own] += count  # a label may be given twice
    trials: dict[tuple[int, int], Mapping[str, int]] = {}

    def blocks() -> Iterator[Block]:
        for own, count in counts.items():
            made = generation_blocks(
                model,
                convex,
                count,
                own,
                generations=generations,
                origin=origin,
                generator=generator,
            )
            for number, one in made if count else ():
                x, combined = one.x, one.combined
                trials[own, number] = combined.trials
                if number == generations:
                    (block,) = labelled([Part(x, torch.full((len(x),), own))])
                    yield {**block, "sources": combined.sources, "weights": combined.weights}
                else:
                    whole = {f"images_{number}": x} if out and out.suffix.lower() == ".npz" else {}
                    yield {f"sources_{number}": combined.sources, **whole}

    if out is None:
        for _ in blocks():
            pass
    elif out.suffix.lower() == ".png":
        write(out, blocks(), quiet=True)
    else:
        write_labelled(out, blocks(), classes)
    for (own, number), took in trials.items():
        named = ", ".join(f"{judge} {count}" for judge, count in took.items())
        which = "" if generations == 1 else f", generation {number}"
        echo(
            f"class {classes[own]}{which}: {counts[own]} combinations of {convex.combine}; "
            f"trials: {named or 'all taken, this model has no judges'}"
        )
    if out is not None:
        tell(out, quiet)


class FitCommand(click.Command):
    """A command whose help also lists the options of every sampler."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        for name, held in known.samplers().items():
            made = [click_option(o).get_help_record(ctx) for o in held.options.values()]
            if made:
                with formatter.section(f"Options of --sampler {name}"):
                    formatter.write_dl([record for record in made if record is not None])
        if faulty := known.sampler_faults():
            with formatter.section("Samplers of other packages that can't be used"):
                formatter.write_dl(list(faulty.items()))


@cli.command("fit-sampler", cls=FitCommand, context_settings={"ignore_unknown_options": True})
@RUN
@click.option(
    "--sampler",
    required=True,
    metavar="NAME",
    help="sampler to fit: {names}",
    cls=NamedOption,
    listing=known.sampler_names,
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="folder of the run that is made of codes alone  [default: the file without its suffix]",
)
@DATA_DIR
@CHECKPOINT
@DEVICE
@click.option(
    "--precision",
    default="32",
    show_default=True,
    metavar="32|bf16|auto",
    help="precision of training by iterations: float32 (on CUDA, TF32 in products), bf16 unless "
    "slower, or the faster",
)
@QUIET
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def fit_sampler(
    run: Path,
    sampler: str,
    out: Path | None,
    data_dir: str | None,
    checkpoint: str,
    device: str,
    precision: Any,
    quiet: bool,
    options: tuple[str, ...],
) -> None:
    """Fit a sampler to a run's training codes and store it in the run.

    In place of a run, a file of codes (N, D) may be given, .npy, or .npz with labels: a run is made
    of it, whose images are the codes themselves.

    Some samplers are trained by iterations: the same command resumes a fit that was interrupted
    and, with more --iterations, continues a finished one. The sampler's own options, which are
    listed below, come after those of the command.
    """
    from zspace.generation import fit as fitting
    from zspace.options import options_of
    from zspace.recipes.catalogue import find, fit_options, listed
    from zspace.training import Precision, find_device

    kind = find(sampler)
    if precision not in get_args(Precision):
        raise unknown("precision", precision, get_args(Precision))
    own = options_of(kind)
    params: list[click.Parameter] = [click_option(o) for o in own.values()]
    command = click.Command(sampler, params=params, add_help_option=False)
    try:
        context = command.make_context(sampler, list(options))
    except click.NoSuchOption as error:
        name = error.option_name.lstrip("-").replace("-", "_")
        others = [other for other, one in known.samplers().items() if name in one.options]
        if not others:
            raise
        raise InputError(f"{error.option_name} belongs to --sampler {listed(others)}") from error
    given = {k: v for k, v in context.params.items() if v is not None}
    file = run.suffix.lower() in (".npy", ".npz") and not run.is_dir()
    if out is not None and not file:
        raise InputError("--out belongs to a file of codes, .npy or .npz, in place of a run")
    with progress(quiet) as follow:
        if file:
            from zspace.wrapping import run_of_codes

            fit_options(sampler, given, precision)
            find_device(device)
            run = run_of_codes(run, out or run.with_suffix(""), follow)
        fitting.fit_sampler(
            run,
            sampler,
            given,
            checkpoint=checkpoint,
            device=device,
            precision=precision,
            data_dir=data_dir,
            progress=follow,
        )
    tell(f"{run}/samplers/{sampler}.safetensors", quiet)
