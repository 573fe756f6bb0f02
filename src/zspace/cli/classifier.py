"""The commands `zspace classifier` and `zspace weights`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from zspace.cli import known
from zspace.cli.base import DEVICE, QUIET, MoreOptions, cli, click_option, echo, progress, tell
from zspace.options import checked


class ClassifierCommand(MoreOptions):
    """The command `zspace classifier`, with the options of `neutral_classifier` and of the data."""

    def more(self) -> Iterable[click.Parameter]:
        """The options of the classifier and of the data."""
        left_out = ("train_size", "train_per_class")
        own, data = known.own().classifier, known.own().data
        options = [*own.values(), *(o for name, o in data.items() if name not in left_out)]
        return map(click_option, options)


@cli.command(cls=ClassifierCommand)
@click.option(
    "--data", default="digits", show_default=True, help="data set, as 'zspace train' takes it"
)
@DEVICE
@QUIET
def classifier(data: str, device: str, quiet: bool, **options: Any) -> None:
    """Train a data set's neutral classifier, which `--features classifier` uses.

    It is trained once and kept in the cache; its test accuracy is printed. With `--task rotation`
    it is the one of `--features rotation`.
    """
    given = {name: value for name, value in options.items() if value is not None}
    own, of_data = known.own().classifier, known.own().data
    settings = checked(own, {k: v for k, v in given.items() if k in own})
    chosen = checked(of_data, {k: v for k, v in given.items() if k in of_data})
    from zspace.data.given import images_of
    from zspace.features.classifier import neutral_classifier

    images = images_of(data, chosen)
    with progress(quiet) as follow:
        images.tell_range(follow)
        found = neutral_classifier(images, **settings, device=device, progress=follow)
    what = "" if found.task == "labels" else f"{found.task} "
    echo(f"{what}{found.name} {found.identity} of {images.name}: test accuracy {found.accuracy}")


@cli.command()
@click.option("--download", "name", metavar="NAME", help="network whose weights to fetch")
@QUIET
def weights(name: str | None, quiet: bool) -> None:
    """List the published network weights and their places, or fetch those of a network."""
    from zspace.features.weights import WEIGHTS, download_weights, find_weights, folders
    from zspace.storage.reading import sha256_of

    if name is not None:
        with progress(quiet) as follow:
            path = download_weights(name, follow)
        tell(path, quiet)
        return
    for network, held in WEIGHTS.items():
        found = find_weights(network)
        echo(f"{network}: {held.about}")
        if found is None:
            echo("  not there")
        else:
            path, file = found
            good = sha256_of(path) == file.sha256
            echo(f"  {path}: {'checksum as published' if good else 'WRONG CHECKSUM'}")
        for file in held.files:
            echo(f"  {file.file}  SHA-256 {file.sha256}\n    {file.address}")
    echo("looked for in:")
    for folder in folders():
        echo(f"  {folder}")
