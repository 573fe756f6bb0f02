"""The command `zspace datasets`."""

from __future__ import annotations

from pathlib import Path

import click

from zspace.cli.base import QUIET, cli, echo, progress, tell
from zspace.errors import InputError


@cli.command()
@click.option("--download", "name", metavar="NAME", help="data set to fetch")
@click.option("--data-dir", metavar="FOLDER", help="folder to fetch it to")
@click.option(
    "--mirror",
    metavar="ADDRESS",
    help="https address to fetch its files from  [default: published]",
)
@QUIET
def datasets(name: str | None, data_dir: str | None, mirror: str | None, quiet: bool) -> None:
    """List the named data sets, or fetch one from its published addresses."""
    from zspace.data import NAMED, download

    if name is None:
        for known, named in NAMED.items():
            how = "" if named.make else "  (--data-dir)"
            echo(f"{known:14} {named.about}{how}")
        echo("\nalso: --data FOLDER | FILE.npz | FILE.npy | hf:NAME")
        return
    if not data_dir:
        raise InputError("--download needs --data-dir, the folder to fetch to")
    with progress(quiet) as follow:
        files = download(name, Path(data_dir), mirror=mirror, progress=follow)
    for file in files:
        tell(file, quiet)
