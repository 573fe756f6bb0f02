"""The command `zspace tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zspace.cli import known
from zspace.cli.base import (
    DATA_DIR,
    DEVICE,
    QUIET,
    RUN,
    SEED,
    NamedOption,
    cli,
    echo,
    progress,
    tell,
)


@cli.command()
@RUN
@click.option(
    "--sampler",
    required=True,
    metavar="NAME",
    help="sampler whose theta is searched: {names}",
    cls=NamedOption,
    listing=lambda: [*known.own().tunable],
)
@click.option(
    "--trials", type=int, default=1000, show_default=True, help="number of candidates in all"
)
@click.option(
    "--samples",
    type=int,
    default=200,
    show_default=True,
    help="number of images of each class by which a candidate is judged",
)
@click.option(
    "--search",
    metavar="NAME",
    help="way in which candidates are chosen: {names}  "
    "[default: the grid if it has no more points than --trials, else coordinate descent]",
    cls=NamedOption,
    listing=lambda: [*known.own().searches],
)
@click.option(
    "--min-accuracy",
    type=float,
    metavar="X",
    help="least accuracy of every class, with which the smallest cosine is searched  [default: the "
    "smallest cosine + 1 - accuracy is searched]",
)
@click.option(
    "--storage",
    metavar="URL",
    help="address of Optuna's storage, such as sqlite:///FILE, by which processes share a search  "
    "[default: a file of the run]",
)
@QUIET
@SEED
@DATA_DIR
@DEVICE
def tune(run: Path, sampler: str, quiet: bool, **options: Any) -> None:
    """Search the best spread of each class's codes, and store the sampler in the run.

    A candidate is judged by the mean cosine similarity of two images of a class, and by a
    classifier that is trained on reconstructions. The same command resumes a search that was
    interrupted.
    """
    from zspace.display.tables import Table
    from zspace.generation.tuning import tune as search
    from zspace.generation.tuning.search import FRESH

    with progress(quiet) as follow:
        tuned = search(run, sampler, progress=follow, **options)
    rows = [
        [name, f"{cosine:.4f}", f"{accuracy:.4f}"]
        for name, cosine, accuracy in zip(tuned.classes, tuned.cosine, tuned.accuracy, strict=True)
    ]
    rows.append(["mean", str(tuned.mean_cosine), str(tuned.mean_accuracy)])
    lowest = tuned.smallest(0.995)
    of_all = "none" if lowest is None else f"{lowest:.4f}"
    notes = [
        f"{sampler}, found in {tuned.trials} trials: "
        + ", ".join(f"{k} {v}" for k, v in tuned.options.items()),
        f"The figures are of {FRESH:,} images of each class, whose noise the search did not see; "
        f"the classifier has accuracy {tuned.learned} on reconstructed training images and "
        f"{tuned.judge.accuracy} on test images.",
        f"Smallest mean cosine among the trials with a mean accuracy of 0.995: {of_all}.",
    ]
    echo(Table(["class", "mean cosine", "accuracy"], rows, notes=notes).markdown())
    tell(f"{run}/samplers/{sampler}.safetensors", quiet)
