"""The commands `zspace augment`, `gallery` and `export`."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    ConvexCommand,
    DrawingCommand,
    NamedOption,
    check_writable,
    checked_drawing,
    cli,
    completed,
    load,
    positive,
    progress,
    sampler_of_run,
    say,
    seeded,
    tell,
)
from zspace.cli.output import check_inputs, check_out
from zspace.cli.printing import print_tables
from zspace.errors import InputError, unknown

if TYPE_CHECKING:
    from zspace.data.images import Images, Part

PASSES = 10
"""The number of dimensions above which the export of a spline flow takes long."""


@cli.command(cls=ConvexCommand)
@RUN
@click.option("--per-class", type=int, metavar="N", help="number of images of each class")
@click.option(
    "--balance",
    is_flag=True,
    help="write the run's data, with as many generated images as make every class as large as the "
    "largest",
)
@click.option(
    "--originals",
    is_flag=True,
    help="write the run's data, too, with generated images added to the training images",
)
@click.option(
    "--check",
    is_flag=True,
    help="train a classifier with and without the generated images, and test both on the run's "
    "test images; writes augment-check.json and .png into the run",
)
@click.option(
    "--seeds",
    type=int,
    metavar="N",
    help="number of trainings of each kind for --check  [default: 3]",
)
@click.option(
    "--iterations",
    type=int,
    metavar="N",
    help="iterations of each training for --check  [default: 2000, or 200 passes through the "
    "larger set if these are fewer]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="output: FILE.npz, or a new folder that gets a folder for each class  [needed unless "
    "--check]",
)
@SEED
@DATA_DIR
@CHECKPOINT
@DEVICE
@QUIET
def augment(
    run: Path,
    per_class: int | None,
    balance: bool,
    originals: bool,
    check: bool,
    seeds: int | None,
    iterations: int | None,
    out: Path | None,
    seed: int,
    data_dir: str | None,
    checkpoint: str,
    device: str,
    quiet: bool,
    **options: Any,
) -> None:
    """Write a labelled data set of generated images, which --data can read.

    Each image is decoded from a convex combination of the codes of training images of its class.
    If the model has a classifier (regene), the combinations must pass its judges. When all
    combinations of a class are used, others have random weights, unless --weights is given.
    """
    import torch

    from zspace import api
    from zspace.data.images import join
    from zspace.generation.combine import (
        augmented_blocks,
        convex_of,
        labelled,
        missing,
        write_labelled,
    )
    from zspace.nets.classifiers import SMALLEST
    from zspace.storage.run import Run

    if (per_class is None) != balance:
        raise InputError("give either --per-class N or --balance: how many images to generate")
    if out is None and not check:
        raise InputError("--out is missing: FILE.npz, or a new folder (or --check alone)")
    if not check and (seeds is not None or iterations is not None):
        raise InputError("--seeds and --iterations belong to --check")
    for name, number in (("per-class", per_class), ("seeds", seeds), ("iterations", iterations)):
        positive(name, 1 if number is None else number)
    if out is not None:
        check_out(out, sheet=False)
        check_inputs(out, run, data_dir=data_dir)
    drawing = checked_drawing("convex", options)
    model, where = load(run, checkpoint, device, quiet)
    images = api.run_images(Run(run), data_dir=data_dir).tell_range(progress(quiet))
    if images.train.y is None:
        raise InputError(f"{images.name} has no labels: there are no classes to add images to")
    classes = images.classes
    if check and (not images.is_image or len(classes) < 2 or min(images.shape[1:]) < SMALLEST):
        raise InputError(
            "--check trains a classifier: it needs images of two classes or more, and of "
            f"{SMALLEST} pixels or more in height and width"
        )
    convex = convex_of(run, model, drawing, images)
    count = len(classes)
    counts = missing(images.train, count) if balance else [per_class or 0] * count
    made = augmented_blocks(
        model,
        convex,
        counts,
        further="weights" not in drawing,
        generator=seeded(seed, where),
        progress=progress(quiet),
    )
    if check:
        made = [*made]
    if out is not None:
        endings = {"": images.train, "_validation": images.validation, "_test": images.test}
        whole = originals or balance
        originals_of = (
            {e: labelled([part], e) for e, part in endings.items()} if whole else {"": ()}
        )
        write_labelled(out, chain(*originals_of.values(), labelled(made)), classes, [*originals_of])
        more = f", behind {len(images.train)} originals" if whole else ""
        tell(f"{out}: {sum(counts)} generated images of {len(classes)} classes{more}", quiet)
    real = images.train.counts(count).tolist()
    for name, own, new in zip(classes, real, counts, strict=True):
        tell(f"  {name}: {own} real, {new} generated", quiet)
    if check:
        empty = images.train.take(torch.arange(0))
        _check(run, images, join([empty, *made]), seeds or 3, iterations, device, quiet)


def _check(
    run: Path,
    images: Images,
    generated: Part,
    seeds: int,
    iterations: int | None,
    device: str,
    quiet: bool,
) -> None:
    """Say whether generated images help a classifier."""
    from zspace.evaluation.benefit import FILE, benefit, benefit_table, keep_benefit

    with progress(quiet) as follow:
        found = benefit(
            images,
            generated,
            seeds=range(seeds),
            iterations=iterations,
            device=device,
            progress=follow,
        )
    print_tables([benefit_table(found)])
    warning = keep_benefit(run, found)
    if warning is not None:
        say(warning)
    tell(f"{run / FILE}.json and {FILE}.png", quiet)


class GalleryCommand(ConvexCommand):
    """A command whose help lists every kind of picture."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Kinds of pictures"):
            formatter.write_dl([*known.own().pictures.items()])


@cli.command(cls=GalleryCommand)
@RUN
@click.argument("kind", shell_complete=completed(lambda: known.own().pictures))
@click.option(
    "--label", metavar="NAMES", help="classes to show, separated by commas  [default: all]"
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="output: FILE.png")
@SEED
@DATA_DIR
@CHECKPOINT
@DEVICE
@QUIET
def gallery(
    run: Path,
    kind: str,
    label: str | None,
    out: Path,
    seed: int,
    data_dir: str | None,
    checkpoint: str,
    device: str,
    quiet: bool,
    **options: Any,
) -> None:
    """Draw a picture of latents and their convex combinations, whose KINDs are listed below."""
    from zspace import api
    from zspace.data.images import class_numbers
    from zspace.generation.combine import convex_of
    from zspace.generation.gallery import SHEETS, Gallery, vgg16_features
    from zspace.generation.maps import MAPS, some_codes
    from zspace.options import comma_names
    from zspace.storage.run import Run

    if kind not in SHEETS and kind not in MAPS:
        raise unknown("picture", kind, [*SHEETS, *MAPS])
    if out.suffix.lower() != ".png":
        raise InputError(f"--out must be a .png file, not {out}")
    if kind in MAPS and (label is not None or options):
        raise InputError(
            f"{kind} shows the codes of all classes, none of them combined: leave out --label and "
            "options of combining"
        )
    check_writable(out)
    check_inputs(out, run, data_dir=data_dir)
    model, where = load(run, checkpoint, device, quiet)
    images = api.run_images(Run(run), data_dir=data_dir).tell_range(progress(quiet))
    if images.train.y is None:
        raise InputError(f"{images.name} has no labels: there are no classes to show")
    names = [label] if label in images.classes else comma_names("--label", label)
    labels = (
        list(range(len(images.classes))) if names is None else class_numbers(names, images.classes)
    )
    if kind in MAPS:
        MAPS[kind][0](out, {run.name: some_codes(model, images.train)}, images.classes)
    elif not images.is_image:
        raise InputError(f"{images.name} holds vectors: there are no images to show")
    else:
        of = Gallery(
            model,
            convex_of(run, model, checked_drawing("convex", options), images),
            images.train,
            images.classes,
            seeded(seed, where),
            vgg16_features(device),
        )
        SHEETS[kind][0](of, labels).save(out)
    tell(out, quiet)


class ExportCommand(DrawingCommand):
    """A command with the options for drawing codes from samplers that can be exported."""

    def kinds(self) -> list[str]:
        return known.samplers_with("exportable")()


@cli.command(cls=ExportCommand)
@RUN
@click.option(
    "--sampler",
    metavar="NAME",
    help="sampler of the codes: prior (the model's own), target (GEN's), or one that is fitted to "
    "the training codes: {names}  [default: prior, the run's only one, or the usual one of a model "
    "of the zoo]",
    cls=NamedOption,
    listing=known.samplers_with("exportable"),
)
@click.option(
    "--format", "form", default="onnx", show_default=True, metavar="onnx", help="format of the file"
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="output: FILE.onnx  [default: RUN/SAMPLER.onnx]"
)
@DECODER
@CHECKPOINT
@QUIET
def export(
    run: Path,
    sampler: str | None,
    form: str,
    out: Path | None,
    decoder: str | None,
    checkpoint: str,
    quiet: bool,
    **options: Any,
) -> None:
    """Write a generator that maps noise (and labels) to images as one file for other programs.

    Its inputs are noise, float32 (N, K), to be drawn from N(0, I), and label, int64 (N,), from 0,
    if the sampler knows labels. It is compared with PyTorch before it is written. flow-matching
    uses the Heun steps of --steps.
    """
    from zspace.generation.export import export as write_generator
    from zspace.generation.export import packages
    from zspace.generation.fit import check_sampler, usual_of
    from zspace.recipes.catalogue import OWN, check_drawing, drawing_options, find, listed, which
    from zspace.samplers import LearnedFlow
    from zspace.storage.run import Run

    if form != "onnx":
        raise unknown("format", form, ["onnx"])
    loaded = None
    if sampler is None:
        loaded, _ = load(run, checkpoint, "cpu", quiet)
        sampler = usual_of(run, loaded)
    check_sampler(run, sampler)
    options = checked_drawing(sampler, options)
    if options.get("solver") == "adaptive":
        raise InputError(
            "--solver adaptive can't be exported: a file has a fixed number of --steps"
        )
    out = run / f"{sampler}.onnx" if out is None else out
    if out.suffix.lower() != ".onnx":
        raise InputError(f"--out must be an .onnx file, not {out}")
    check_writable(out)
    if sampler not in OWN and not find(sampler).exportable:
        others = listed(which(lambda kind: kind.exportable))
        raise InputError(
            f"the sampler {sampler} can't be exported, since it does not make its codes of noise "
            f"alone: choose --sampler {others}"
        )
    packages()  # before a sampler is fitted, which takes longer
    model = loaded or load(run, checkpoint, "cpu", quiet)[0]
    decoding = model.with_decoder(decoder)
    drawn = sampler_of_run(run, sampler, model, quiet)
    if isinstance(drawn, LearnedFlow) and model.latent_dim > PASSES and not quiet:
        say(
            f"a spline flow takes a pass for each of its {model.latent_dim} dimensions: writing "
            "them takes minutes"
        )
    if "solver" in drawing_options(sampler):
        options["solver"] = "heun"
    check_drawing(drawn, options)
    classes = Run(run).facts.classes
    made = write_generator(decoding, drawn.changed(**options), out, classes=classes)
    inputs = f"noise (N, {made.noise_dim})"
    if made.labels:
        names = ", ".join(f"{i} = {name}" for i, name in made.labels.items() if name != str(i))
        inputs += f", label (N,) of {min(made.labels)} to {max(made.labels)}"
        inputs += f" ({names})" if names else ""
    tell(f"{out}, by {sampler}: {inputs}; images within {made.difference:.1e} of PyTorch's", quiet)
