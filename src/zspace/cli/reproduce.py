"""The command `zspace reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zspace.cli.base import DEVICE, QUIET, cli, echo, say, tell
from zspace.cli.printing import in_words, print_tables
from zspace.errors import InputError
from zspace.options import comma_names


@cli.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--list", "listed", is_flag=True, help="list all experiments, or those that are named"
)
@click.option(
    "--claims",
    is_flag=True,
    help="print the ledger of the papers' claims and what came of them, as Markdown",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="folder of results that --claims judges by  [default: those that zspace holds]",
)
@click.option(
    "--scale",
    default="small",
    show_default=True,
    metavar="smoke|small|paper",
    help="scale of the experiment; all/systems has demo, too",
)
@click.option(
    "--data",
    metavar="NAME",
    help="data set, if the experiment allows several  [default: its first]",
)
@click.option(
    "--protocol",
    metavar="defaults|tuned|equal-time|budget",
    help="how a comparison chooses its systems' settings; --list shows which of these an "
    "experiment has at each scale (FlexAE's scale paper has defaults alone)  [default: the "
    "scale's first]",
)
@click.option(
    "--perceptual",
    type=click.Choice(["0"]),
    metavar="0",
    help="0 leaves out ReGene's perceptual loss, which needs VGG16's weights  [default: the "
    "scale's]",
)
@click.option(
    "--validation",
    type=click.Choice(["0"]),
    metavar="0",
    help="0 trains ReGene on all training images, with thresholds from the test images  [default: "
    "the scale's]",
)
@click.option(
    "--features",
    metavar="NAMES",
    help="features that all/judges compares, separated by commas  [default: the scale's]",
)
@click.option("--data-dir", metavar="TEXT", help="folder of the data set's original files")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="folder of the results; of several experiments, the folder of their folders  [default: "
    "reproductions/NAME-SCALE]",
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    help="folder of the trained runs, which experiments may share  [default: OUT/runs]",
)
@DEVICE
@QUIET
def reproduce(
    names: tuple[str, ...],
    listed: bool,
    claims: bool,
    results: Path | None,
    scale: str,
    data: str | None,
    protocol: str | None,
    perceptual: str | None,
    validation: str | None,
    features: str | None,
    data_dir: str | None,
    out: Path | None,
    runs: Path | None,
    device: Any,
    quiet: bool,
) -> None:
    """Reproduce a table or figure of a paper: zspace reproduce flexae/fig3 --scale small.

    It writes table.md, table.json and pictures. If it is interrupted, the same command resumes it;
    finished trainings are reused.

    Several experiments are run one after the other; those that are finished are passed over, and
    one that fails does not stop the others.
    """
    from zspace.papers import EXPERIMENTS, find, is_finished, ran
    from zspace.papers import reproduce as perform

    if listed or claims:
        which = "--list" if listed else "--claims"
        idle: dict[str, object] = {
            "--data": data,
            "--protocol": protocol,
            "--data-dir": data_dir,
            "--out": out,
            "--features": features,
            "--runs": runs,
            "--perceptual": perceptual,
            "--validation": validation,
            "a name": claims and names,
            "--claims": claims and listed,
        }
        option = next((option for option, value in idle.items() if value), None)
        if option is not None:
            raise InputError(f"{option} has no effect with {which}: leave it out")
    if listed:
        where_run = ran()
        for known in [find(name) for name in names] or EXPERIMENTS.values():
            echo(f"{known.name:14} {known.about}")
            what = f"; data: {', '.join(known.data)}" if known.data else ""
            needs = f"; needs {known.needs}" if known.needs else ""
            costs = ", ".join(f"{s}: {v.cost}" for s, v in known.scales.items())
            ways = [f"{s}: {', '.join(v.protocols)}" for s, v in known.scales.items()]
            here = where_run.get(known.name, "smoke alone")
            echo(f"{'':14} {costs}{what}{needs}; run here: {here}")
            if any(v.protocols for v in known.scales.values()):
                echo(f"{'':14} protocols, the default first: {'; '.join(ways)}")
        return
    if results is not None and not claims:
        raise InputError("--results is for --claims")
    if claims:
        from zspace.papers.claims import ledger, read_claims, read_results

        echo(ledger(read_claims(), read_results(results)), end=False)
        return
    if not names:
        raise InputError("the experiment's name is missing: 'zspace reproduce --list' has them")
    experiments = [find(name) for name in dict.fromkeys(names)]
    given = {"perceptual": perceptual, "validation": validation}
    without = [option for option, value in given.items() if value is not None]
    more = [*([data] if data else []), scale, *([protocol] if protocol else [])]
    more += [f"no-{option}" for option in without]
    judges = comma_names("--features", features) or []
    several, failed = len(experiments) > 1, list[str]()
    for experiment in experiments:
        own = "-".join([experiment.name.replace("/", "-"), *more])
        where = out if out and not several else (out or Path("reproductions")) / own
        asked: dict[str, Any] = {
            "data": data,
            "protocol": protocol,
            "without": without,
            "features": judges,
        }
        try:
            if several and is_finished(experiment, scale, where, **asked):
                tell(f"{experiment.name}: finished, in {where}", quiet)
                continue
            table = perform(
                experiment,
                scale,
                where,
                **asked,
                data_dir=data_dir,
                device=device,
                quiet=quiet,
                shelf=runs,
            )
        except (InputError, OSError) as error:
            if not several or isinstance(error, BrokenPipeError):
                raise
            failed.append(experiment.name)
            say(f"{experiment.name}: {in_words(error)}")
            continue
        print_tables([table])
        shelf = runs or where / "runs"
        trained = f"; trained runs: {shelf}" if shelf.is_dir() else ""
        tell(f"{where}: table.md, table.json{trained}", quiet)
        for picture in sorted(where.glob("*.png")):
            tell(f"  {picture}", quiet)
    if failed:
        raise InputError(f"{len(failed)} of {len(experiments)} failed: {', '.join(failed)}")
