"""The command `zspace zoo`."""

from __future__ import annotations

import click

from zspace.cli.base import QUIET, cli, echo, progress, tell
from zspace.errors import InputError


@cli.command()
@click.argument("name", required=False)
@click.option(
    "--get",
    "wanted",
    metavar="NAMES|all",
    help="models and judges to bring into the cache ahead of time, separated by commas; what is "
    "damaged there is replaced",
)
@click.option(
    "--from",
    "source",
    metavar="FOLDER|ADDRESS",
    help="folder or https address that holds packed models, such as the folder zoo of the "
    "repository  [default: ZSPACE_ZOO, then a folder zoo]",
)
@QUIET
def zoo(name: str | None, wanted: str | None, source: str | None, quiet: bool) -> None:
    """List the trained models and judges of zspace, print the card of one, or fetch some.

    `zoo:NAME` stands for a model wherever a run is taken, and for a judge in `--features`.
    """
    from zspace.cli.printing import print_tables
    from zspace.options import comma_names
    from zspace.storage.published import entries, entry_of, get, get_judge, judge_of, judges
    from zspace.zoo.card import USE, card, judge_card, judges_table, table

    known = judges()

    if wanted is None:
        if source is not None:
            raise InputError("--from belongs to --get NAMES, which it is the source of")
        if name is None:
            print_tables([table(entries()), *([judges_table(known)] if known else [])])
            tell(USE, quiet)
        elif name.removeprefix("zoo:") in known:
            echo(judge_card(name.removeprefix("zoo:"), judge_of(name)), end=False)
        else:
            echo(card(name.removeprefix("zoo:"), entry_of(name)), end=False)
        return
    if name is not None:
        raise InputError(f"--get takes the names itself: zspace zoo --get {name}")
    every = [*entries(), *known]
    names = every if wanted == "all" else comma_names("--get", wanted) or []
    names = [each.removeprefix("zoo:") for each in names]
    for each in names:
        if each not in known:
            entry_of(each)  # before the first is fetched
    with progress(quiet) as follow:
        paths = [
            get_judge(each, source, follow)
            if each in known
            else get(each, source, follow, checked=True)
            for each in names
        ]
    for path in paths:
        tell(path, quiet)
