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
    help="models to bring into the cache ahead of time, separated by commas; what is damaged there "
    "is replaced",
)
@click.option(
    "--from",
    "source",
    metavar="FOLDER|ADDRESS",
    help="folder or https address that holds packed models  [default: ZSPACE_ZOO, a folder zoo, "
    "and then the project's releases]",
)
@QUIET
def zoo(name: str | None, wanted: str | None, source: str | None, quiet: bool) -> None:
    """List the trained models that come with zspace, print the card of one, or fetch some.

    `zoo:NAME` stands for such a model wherever a run is taken.
    """
    from zspace.cli.printing import print_tables
    from zspace.options import comma_names
    from zspace.storage.published import entries, entry_of, get
    from zspace.zoo.card import USE, card, table

    if wanted is None:
        if source is not None:
            raise InputError("--from belongs to --get NAMES, which it is the source of")
        if name is None:
            print_tables([table(entries())])
            tell(USE, quiet)
        else:
            echo(card(name.removeprefix("zoo:"), entry_of(name)), end=False)
        return
    if name is not None:
        raise InputError(f"--get takes the names itself: zspace zoo --get {name}")
    names = [*entries()] if wanted == "all" else comma_names("--get", wanted) or []
    for each in names:
        entry_of(each)  # before the first is fetched
    with progress(quiet) as follow:
        folders = [get(each, source, follow, checked=True) for each in names]
    for folder in folders:
        tell(folder, quiet)
