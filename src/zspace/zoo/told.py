"""What a packed file can't know of itself, and how the packing scripts are told it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from zspace.errors import InputError
from zspace.zoo.index import HALVES


@dataclass(frozen=True)
class Told:
    """What is told of any packed file.

    Attributes:
        about: what it is.
        licence: the licence of its data, and what follows for the weights.
        hours: the hours that its training took.
        hardware: what it was trained on.
    """

    about: str
    licence: str
    hours: float
    hardware: str


def told_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that both packing scripts have."""
    for option in reversed(
        (
            click.option("--about", required=True, help="what it is, in a sentence"),
            click.option("--licence", required=True, help="licence of the data, and what follows"),
            click.option("--hours", type=float, required=True, help="hours that the training took"),
            click.option("--hardware", required=True, help="what it was trained on"),
            click.option(
                "--half",
                type=click.Choice([*HALVES]),
                help="type of large weights  [default: float32]",
            ),
            click.option("--data-dir", help="folder of the data"),
            click.option("--n", type=int, help="number of images that are measured"),
            click.option("--device", default="cpu", show_default=True, help="device that measures"),
            click.option(
                "--out", default="zoo", show_default=True, help="folder of the packed files"
            ),
        )
    ):
        command = option(command)
    return command


@contextmanager
def refusing(script: str) -> Generator[None]:
    """A context in which what can't be packed ends a script in one line, with the status 2."""
    try:
        yield
    except InputError as error:
        click.echo(f"{script}: {error}", err=True)
        sys.exit(2)
