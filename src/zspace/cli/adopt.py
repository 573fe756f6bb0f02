"""The command `zspace adopt`, which makes a run of a model that was trained elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from zspace.cli import known
from zspace.cli.base import QUIET, MoreOptions, cli, click_option, progress
from zspace.cli.train import show_run
from zspace.errors import InputError
from zspace.options import checked


class AdoptCommand(MoreOptions):
    """The command `zspace adopt`, with the options of the data."""

    def more(self) -> Iterable[click.Parameter]:
        """The options of the data."""
        return map(click_option, known.own().data.values())


@cli.command(cls=AdoptCommand)
@click.option("--encoder", metavar="FILE", help="encoder: an .onnx file, or with --trust a program")
@click.option("--decoder", metavar="FILE", help="decoder: an .onnx file, or with --trust a program")
@click.option(
    "--model",
    "function",
    metavar="MODULE:FUNCTION",
    help="Python function without arguments that returns an encoder and a decoder, or a whole "
    "model, and replaces the two files (needs --trust)",
)
@click.option(
    "--trust",
    is_flag=True,
    help="run the code of --model, or of a program (.pt2 of torch.export, or TorchScript), which "
    "can read and write your files",
)
@click.option(
    "--data",
    required=True,
    metavar="TEXT",
    help="the model's data: a named set, a folder of images, an .npy or .npz file, or hf:NAME",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="folder of the run")
@click.option("--overwrite", is_flag=True, help="replace an existing run")
@click.option(
    "--range",
    "span",
    metavar="LOW,HIGH",
    help="values for black and white in what the encoder takes and the decoder gives  "
    "[default: 0,1]",
)
@click.option(
    "--mean",
    metavar="X,...",
    help="mean that was subtracted from pixels in [0, 1], if there is no --range",
)
@click.option(
    "--std", metavar="X,...", help="standard deviation by which pixels were divided after that"
)
@click.option(
    "--output-range",
    metavar="LOW,HIGH",
    help="values for black and white in what the decoder gives, if they are others",
)
@click.option("--latent", metavar="N,...", help="the shape that a code must have")
@QUIET
def adopt(
    encoder: str | None,
    decoder: str | None,
    function: str | None,
    trust: bool,
    data: str,
    out: Path,
    overwrite: bool,
    span: str | None,
    mean: str | None,
    std: str | None,
    output_range: str | None,
    latent: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Make a run of an autoencoder that was trained elsewhere.

    Every command that takes a run then takes it. PyTorch models are stored as the graphs of their
    operators: their code is not needed or run again.
    """
    given = {name: value for name, value in options.items() if value is not None}
    settings = checked(known.own().data, given)
    numbers = {
        "range": _numbers("--range", span, 2),
        "mean": _numbers("--mean", mean),
        "std": _numbers("--std", std),
        "output_range": _numbers("--output-range", output_range, 2),
        "latent": _whole(_numbers("--latent", latent)),
    }
    if (function is None) == (encoder is None) or (encoder is None) != (decoder is None):
        raise InputError("give --encoder and --decoder, or --model")
    from zspace.nets.adapters import of_function
    from zspace.wrapping import wrap

    networks = (encoder, decoder) if function is None else of_function(function, trust)
    with progress(quiet) as follow:
        model = wrap(
            *networks,
            data=data,
            out=out,
            overwrite=overwrite,
            trust=trust,
            progress=follow,
            **numbers,
            **settings,
        )
    show_run(out, model, "config.yaml, networks.json, model.safetensors", quiet)


def _numbers(name: str, text: str | None, n: int | None = None) -> tuple[float, ...] | None:
    """The numbers of an option, with commas between them.

    Raises:
        InputError: they are none, or not n.
    """
    if text is None:
        return None
    try:
        numbers = tuple(map(float, text.split(",")))
    except ValueError:
        numbers = ()
    if not numbers or (n is not None and len(numbers) != n):
        raise InputError(f"{name} takes {n or 'some'} numbers with commas between, not '{text}'")
    return numbers


def _whole(numbers: tuple[float, ...] | None) -> tuple[int, ...] | None:
    """Numbers as whole ones.

    Raises:
        InputError: one is not.
    """
    if numbers is None:
        return None
    if not all(number.is_integer() and number > 0 for number in numbers):
        raise InputError("--latent takes whole numbers above 0")
    return tuple(map(int, numbers))
