"""zspace datasets."""

from __future__ import annotations

from pathlib import Path

import click

from zspace.cli.base import cli
from zspace.errors import InputError


@cli.command()
@click.option("--download", "name", metavar="NAME", help="fetch this set")
@click.option("--data-dir", type=click.Path(path_type=Path), help="the folder to fetch it to")
@click.option("--mirror", metavar="ADDRESS", help="take its files from here")
def datasets(name: str | None, data_dir: Path | None, mirror: str | None) -> None:
    """List the named data sets, or fetch one from its published addresses."""
    from zspace.data import NAMED, download

    if name is None:
        for known, named in NAMED.items():
            how = "" if named.make else "  (--data-dir)"
            click.echo(f"{known:14} {named.about}{how}")
        click.echo("\nalso: --data FOLDER | FILE.npz | FILE.npy | hf:NAME")
        return
    if data_dir is None:
        raise InputError("--download needs --data-dir, the folder to fetch to")
    from zspace.display.progress import Downloads

    with Downloads() as follow:
        files = download(name, data_dir, mirror=mirror, progress=follow)
    for file in files:
        click.echo(str(file))
