"""zspace evaluate, compare, diagnose, report, neighbours."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zspace.cli.base import (
    CHECKPOINT,
    DEVICE,
    QUIET,
    RUN,
    SEED,
    NamedOption,
    check_writable,
    cli,
    positive,
    progress,
    samplers,
    say,
)
from zspace.errors import InputError, unknown
from zspace.options import comma_names

if TYPE_CHECKING:
    from zspace.evaluation.measurement import Measurement
from zspace.cli.printing import print_tables


def features_listed() -> list[str]:
    """The names of the features."""
    from zspace.features import FEATURES

    return [*FEATURES]


N = click.option(
    "--n",
    type=int,
    metavar="N",
    help="test images, and generated ones  [default: the smaller of 10,000 and the test set]",
)
FEATURES = click.option(
    "--features",
    metavar="NAME",
    help="what images are compared by: {names}  [default: classifier where the data have labels, "
    "else pixels]",
    cls=NamedOption,
    listing=features_listed,
)
DATA_DIR = click.option("--data-dir", metavar="TEXT", help="where the run's data lie now")
SAMPLER = click.option(
    "--sampler", metavar="NAME", help="prior, or the name of a sampler  [default: the run's first]"
)


def _measurement_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (QUIET, DEVICE, CHECKPOINT, DATA_DIR, SEED, N, FEATURES):
        command = option(command)
    return command


def _first_sampler(measurement: Measurement, name: str | None) -> str:
    from zspace.evaluation.measurement import own_samplers
    from zspace.generation.fit import check_sampler

    if name is not None:
        check_sampler(measurement.run.folder, name)
    return name or own_samplers(measurement)[0]


@cli.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--metrics", metavar="NAMES", help="with commas between; 'list' names them all")
@click.option(
    "--samplers",
    metavar="NAMES",
    help="with commas between them: prior, target, {names}  [default: the model's own, and those "
    "that the run holds]",
    cls=NamedOption,
    listing=samplers,
)
@_measurement_options
def evaluate(run: Path | None, metrics: str | None, samplers: str | None, **options: Any) -> None:
    """Measure a run: reconstructions, generations by each sampler, codes.

    Prints a table and writes evaluation.json into the run, each figure with its standard error.
    """
    from zspace.evaluation.compare import evaluation_table
    from zspace.evaluation.evaluate import evaluate as measure
    from zspace.evaluation.metrics import METRICS
    from zspace.evaluation.results import write_evaluation

    if metrics == "list":
        for name, metric in METRICS.items():
            click.echo(f"{name:10} {metric.about}")
        return
    if run is None:
        raise InputError("the run's folder is missing: zspace evaluate RUN")
    with progress(options.pop("quiet")) as follow:
        result = measure(
            run,
            metrics=comma_names("--metrics", metrics),
            samplers=comma_names("--samplers", samplers),
            progress=follow,
            **options,
        )
    path = write_evaluation(run, result)
    print_tables(evaluation_table(result))
    for note in result["notes"]:
        say(note)
    click.echo(
        f"{path}: {result['data']}, features {result['features']}, n = {result['n']} against as "
        f"many test images, seed {result['seed']}, {result['seconds']:.0f} s"
    )


@cli.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--sort", metavar="FIGURE", help="order rows by it, best first")
@click.option("--columns", metavar="FIGURES", help="only these, with commas between")
@click.option("--over-seeds", is_flag=True, help="the mean over runs that differ by seed alone")
@click.option("--out", type=click.Path(path_type=Path), help="FILE.md, FILE.csv or FILE.html")
@FEATURES
@N
@DEVICE
@QUIET
def compare(
    runs: tuple[Path, ...],
    sort: str | None,
    columns: str | None,
    over_seeds: bool,
    out: Path | None,
    features: str | None,
    n: int | None,
    device: str,
    quiet: bool,
) -> None:
    """Several runs and their samplers side by side.

    Runs that have no evaluation, or one of other weights, features or n than asked for, are
    evaluated first.
    """
    from zspace.display.tables import check_table_file, write_tables
    from zspace.evaluation.compare import compare as side_by_side
    from zspace.evaluation.compare import over_seeds as merge
    from zspace.evaluation.evaluate import evaluate as measure
    from zspace.evaluation.results import current_evaluation, write_evaluation
    from zspace.storage.run import Run

    if out is not None:
        check_table_file(out)
        check_writable(out)
    if len({run.resolve() for run in runs}) < len(runs):
        raise InputError("a run is named twice")
    for run in runs:  # all of them, before the first is evaluated
        Run(run)
    held = [current_evaluation(run, features=features, n=n) for run in runs]
    for i, (run, evaluation) in enumerate(zip(runs, held, strict=True)):
        if evaluation is None:
            if not quiet:
                say(f"evaluating {run}")
            with progress(quiet) as follow:
                held[i] = measure(run, features=features, n=n, device=device, progress=follow)
            write_evaluation(run, held[i] or {})
    evaluations: list[Any] = [e for e in held if e is not None]
    if over_seeds:
        evaluations = merge(evaluations)
    tables = side_by_side(evaluations, sort=sort, columns=comma_names("--columns", columns))
    print_tables(tables)
    if out is not None:
        write_tables(out, "Comparison", tables)
        click.echo(str(out))


@cli.command()
@RUN
@SAMPLER
@_measurement_options
def diagnose(run: Path, sampler: str | None, **options: Any) -> None:
    """What is wrong with a latent space, in words and numbers.

    Looks for codes that the prior misses, dead dimensions, copies of training images, lost
    classes, lost variety, and blur. Writes diagnosis.json into the run.
    """
    from zspace.evaluation.diagnose import diagnose as look
    from zspace.evaluation.measurement import generated, measure_run
    from zspace.storage.files import write_text

    with progress(options.pop("quiet")) as follow:
        measurement = measure_run(run, progress=follow, **options)
        name = _first_sampler(measurement, sampler)
        findings = look(measurement, generated(measurement, name))
    write_text(run / "diagnosis.json", json.dumps([asdict(f) for f in findings], indent=1) + "\n")
    for finding in findings:
        click.echo(str(finding))
    faults = sum(f.fault for f in findings)
    click.echo(
        f"{faults} of {len(findings)} looked wrong (sampler {name}, n = {len(measurement.test)}, "
        f"features {measurement.extractor.name}): {run / 'diagnosis.json'}"
    )


@cli.command()
@RUN
@click.option("--out", type=click.Path(path_type=Path), help="FILE.html  [default: in the run]")
@click.option("--map", "kind", default="tsne", show_default=True, help="of the codes: tsne or pca")
@FEATURES
@N
@click.option("--seed", type=int, metavar="N", help="[default: that of the run's evaluation, or 0]")
@DATA_DIR
@CHECKPOINT
@DEVICE
@QUIET
def report(run: Path, out: Path | None, kind: str, **options: Any) -> None:
    """One HTML file that tells all of a run, pictures included, and needs no network.

    It shows the run's evaluation where there is a whole one, and makes one where there is none.
    """
    from zspace.evaluation.diagnose import diagnose as look
    from zspace.evaluation.evaluate import measure
    from zspace.evaluation.measurement import generated, measure_run
    from zspace.evaluation.report import report as compose
    from zspace.evaluation.results import current_evaluation, write_evaluation
    from zspace.storage.files import write_text

    if kind not in ("tsne", "pca"):
        raise unknown("map", kind, ["tsne", "pca"])
    path = out or run / "report.html"
    if path.suffix != ".html":
        raise InputError(f"--out must be an .html file, not {path}")
    check_writable(path)
    quiet = options.pop("quiet")
    asked = {key: options[key] for key in ("features", "n", "seed", "checkpoint")}
    evaluation = current_evaluation(run, **asked)
    # one page, one measurement: what is not asked for is as it was
    for key, stored in (("features", "features_asked"), ("n", "n"), ("seed", "seed")):
        if options[key] is None and evaluation is not None:
            options[key] = evaluation[stored]
    options["seed"] = options["seed"] or 0
    with progress(quiet) as follow:
        measurement = measure_run(run, progress=follow, **options)
        if evaluation is None:
            evaluation = measure(measurement)
            write_evaluation(run, evaluation)
        findings = look(measurement, generated(measurement, _first_sampler(measurement, None)))
        text = compose(measurement, evaluation, findings, kind=kind)
    write_text(path, text)
    click.echo(str(path))


@cli.command()
@RUN
@SAMPLER
@click.option("--count", type=int, default=10, show_default=True, help="generated images")
@click.option("--k", type=int, default=7, show_default=True, help="training images for each")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="FILE.png")
@FEATURES
@SEED
@DATA_DIR
@CHECKPOINT
@DEVICE
@QUIET
def neighbours(
    run: Path, sampler: str | None, count: int, k: int, out: Path, **options: Any
) -> None:
    """Generated images with their nearest training images, by pixels and by features.

    Each row: a generated image, the nearest by pixels; the image again, the nearest by features.
    """
    from zspace.display import plots
    from zspace.evaluation.measurement import measure_run
    from zspace.evaluation.neighbours import neighbours as find

    positive("count", count, most=10_000)
    positive("k", k, most=1000)
    if out.suffix != ".png":
        raise InputError(f"--out must be a .png file, not {out}")
    check_writable(out)
    with progress(options.pop("quiet")) as follow:
        measurement = measure_run(run, progress=follow, **options)
        if not measurement.images.is_image:
            raise InputError(
                f"{measurement.images.name} holds vectors: there are no images to show"
            )
        found = find(measurement, _first_sampler(measurement, sampler), count, k)
    plots.save_sheet(out, *found.rows(measurement.images.train.x))
    pixel, feature = (
        float(d[:, 0].mean()) for d in (found.pixel_distances, found.feature_distances)
    )
    click.echo(
        f"{out}: mean distance to the nearest training image {pixel:.4g} (pixels), {feature:.4g} "
        f"({found.features})"
    )
