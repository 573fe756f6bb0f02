"""The parts that commands share: the group, common options, and what all of them check."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zspace import __version__
from zspace.cli import known
from zspace.cli.groups import Sections
from zspace.errors import InputError, unknown, visible, visible_lines
from zspace.options import OTHER_NAMES, Option
from zspace.processes import processes

if TYPE_CHECKING:
    import torch

    from zspace.core import LatentModel, Sampler
    from zspace.display.progress import Display


Completion = Callable[[click.Context, click.Parameter, str], list[str]]


def completed(names: Callable[[], Iterable[object]]) -> Completion:
    """The shell completion of a value that is one of some names, or several with commas."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in names() if str(name).startswith(last)]

    return complete


class NamedOption(click.Option):
    """An option whose help hides some of its names, or holds a list that is made when needed.

    Args:
        unshown: names that are accepted, but not shown in the help.
        listing: makes the list that replaces "{names}" in the help, and by which a shell completes
            the value; it is only called then, since it may import other packages.
    """

    def __init__(
        self,
        *args: Any,
        unshown: Iterable[str] = (),
        listing: Callable[[], list[str]] | None = None,
        **more: Any,
    ) -> None:
        if listing is not None:
            more.setdefault("shell_complete", completed(listing))
        super().__init__(*args, **more)
        self.unshown, self.listing = frozenset(unshown), listing

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option's names and its help, without hidden names and with its list."""
        opts, text = self.opts, self.help
        self.opts = [name for name in opts if name not in self.unshown]
        if self.listing is not None:
            self.help = (text or "").replace("{names}", ", ".join(self.listing()))
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts, self.help = opts, text


def click_option(option: Option) -> click.Option:
    """The command-line option for an `Option`, whose value is not checked by click."""
    text, shown = option.about.text, str(option.default)
    if option.default is None:
        # the meaning of an unset option is shown in place of a default
        told = re.fullmatch(r"(.*?) \(unset: (.*)\)", text)
        text, shown = told.groups() if told else (text, "unset")
    if isinstance(option.default, bool):
        shown = "on" if option.default else "off"
    text = f"{text}  [default: {shown}]"
    if option.kind is bool:
        both = f"{option.flag}/--no-{option.flag[2:]}"
        return click.Option([both, option.name], default=None, help=text)
    kind = {int: "N", float: "X", str: "TEXT"}[option.kind]
    metavar = "|".join(map(str, option.choices or (kind, *option.words)))
    others = [f"--{name}" for name in OTHER_NAMES.get(option.name, ())]
    flags = [option.flag, *others, option.name]
    complete = completed(lambda: option.choices)
    return NamedOption(
        flags, metavar=metavar, help=text, unshown=others[1:], shell_complete=complete
    )


class MoreOptions(click.Command, ABC):
    """A command whose own options are followed by others, which are made when they are needed."""

    @abstractmethod
    def more(self) -> Iterable[click.Parameter]:
        """The other options."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, the others, and the option for help."""
        return [*self.params, *self.more(), *filter(None, [self.get_help_option(ctx)])]


class DrawingCommand(MoreOptions):
    """A command with the samplers' options for drawing codes, which come from their signatures.

    Given values are passed on without a check; `checked_drawing` checks them for one sampler.
    """

    def kinds(self) -> list[str]:
        """The names of the samplers whose options the command has."""
        return [*known.samplers()]

    @property
    def drawing(self) -> dict[str, dict[str, Option]]:
        """The options, by their name and by the name of their sampler."""
        samplers = known.samplers()
        found: dict[str, dict[str, Option]] = {}
        for kind in self.kinds():
            for name, option in samplers[kind].drawing_options().items():
                found.setdefault(name, {})[kind] = option
        return found

    def more(self) -> Iterator[click.Parameter]:
        """The samplers' options."""
        for by_sampler in self.drawing.values():
            made = click_option(next(iter(by_sampler.values())))
            made.help = f"{', '.join(by_sampler)}: {made.help}"
            yield made

    def invoke(self, ctx: click.Context) -> Any:
        for name in self.drawing:
            value = ctx.params.pop(name)
            if value is not None:
                ctx.params[name] = value
        return super().invoke(ctx)


class ConvexCommand(DrawingCommand):
    """A command with the options for drawing convex combinations."""

    def kinds(self) -> list[str]:
        return ["convex"]


def checked_drawing(
    sampler: str, given: Mapping[str, Any], model: LatentModel | None = None
) -> dict[str, Any]:
    """The values of a sampler's options for drawing codes, after a check.

    Args:
        sampler: the sampler's name.
        given: values by name.
        model: the model that the sampler comes with, if it does.

    Raises:
        InputError: an option belongs to another sampler, or a value is not allowed.
    """
    from zspace.recipes.catalogue import drawing_options, kinds, listed

    own = drawing_options(sampler, model)
    for name in given:
        if name not in own:
            whose = listed([kind for kind in kinds() if name in drawing_options(kind)])
            raise InputError(f"--{name.replace('_', '-')} belongs to --sampler {whose}")
    return {name: own[name].check(value) for name, value in given.items()}


def say(message: str) -> None:
    """Print a message of one line on standard error."""
    with suppress(OSError):  # a closed or full standard error is no reason to stop
        click.echo(visible(message), err=True)


def echo(text: str, *, end: bool = True) -> None:
    """Print a text on standard output, with escapes for what would steer a terminal.

    Args:
        text: the text, whose line breaks stay.
        end: whether a line break follows.
    """
    click.echo(visible_lines(text), nl=end)


@dataclass
class Invoked:
    """What an interrupt stops.

    Attributes:
        command: the name of the command.
        run: the folder of the run that it trains, if it trains one.
    """

    command: str | None = None
    run: Path | None = None

    def going_on(self) -> str:
        """How its work goes on after an interrupt, as the end of a sentence, "" if it does not."""
        if self.command in ("classifier", "fit-sampler", "reproduce", "tune"):
            return "; the same command goes on"
        if self.run is not None and (self.run / "config.yaml").is_file():
            return f"; 'zspace resume {self.run}' goes on from its last checkpoint"
        return ""


def invoked() -> Invoked:
    """What the current command line asks for."""
    return click.get_current_context().ensure_object(Invoked)


@click.group(
    cls=Sections,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.version_option(__version__, prog_name="zspace")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Train, shape, sample and measure the latent spaces of image models."""
    ctx.ensure_object(Invoked).command = ctx.invoked_subcommand
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


CHECKPOINT = click.option(
    "--checkpoint",
    default="last",
    show_default=True,
    metavar="last|ITERATION",
    help="checkpoint whose weights to use",
)
DECODER = click.option(
    "--decoder",
    metavar="renderer|vae",
    help="decoder of a model that has two, such as lsrgan's  [default: the first]",
)
DEVICE = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda|mps",
    help="device to compute on",
)
SEED = click.option(
    "--seed", type=int, default=0, show_default=True, help="seed of all random choices"
)
QUIET = click.option(
    "--quiet",
    is_flag=True,
    is_eager=True,  # since a run that is brought in shows how far that is
    help="print only the result and errors",
)


class RunFolder(click.Path):
    """The type of a run: its folder, or zoo:NAME, for which the model is brought in."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The run's folder."""
        if not str(value).startswith("zoo:"):
            return Path(str(super().convert(value, param, ctx)))
        from zspace.storage.published import run_folder

        with progress(ctx is not None and ctx.params.get("quiet") is True) as follow:
            return run_folder(value, follow)


RUN = click.argument("run", type=RunFolder())
DATA_DIR = click.option("--data-dir", metavar="TEXT", help="folder in which the run's data are now")
OUT = click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="output: FILE.png (a sheet), FILE.npz, or a new folder of PNG files",
)


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --data and --data-dir to a command that can use other data than the run's."""
    command = click.option(
        "--data-dir",
        metavar="TEXT",
        help="folder of a named set's original files, or in which the run's own data are now",
    )(command)
    return click.option("--data", metavar="TEXT", help="data set to use in place of the run's own")(
        command
    )


def check_part(part: str) -> None:
    """Check the name of a part of a data set.

    Raises:
        InputError: it is not all, train, validation or test.
    """
    parts = ["all", "train", "validation", "test"]
    if part not in parts:
        raise unknown("part", part, parts)


def positive(name: str, value: int, least: int = 1, most: int = 100_000_000) -> None:
    """Check the range of a whole number that an option gives.

    Raises:
        InputError: the number is out of range.
    """
    if value < least:
        raise InputError(f"--{name} must be at least {least}, not {value}")
    if value > most:
        raise InputError(f"--{name} must be at most {most}, not {value}")


def load(run: Path, checkpoint: str, device: str, quiet: bool) -> tuple[LatentModel, torch.device]:
    """The model of a run, and the device that it is on."""
    from zspace import api

    model = api.load(run, checkpoint=checkpoint, device=device, progress=progress(quiet))
    return model, next(model.parameters()).device


def sampler_of_run(
    run: Path, name: str, model: LatentModel, quiet: bool, data_dir: str | None = None
) -> Sampler:
    """A run's sampler for its model, which is fitted first if the run does not have it."""
    from zspace.generation.fit import read_sampler, refit_sampler
    from zspace.recipes.catalogue import find

    held = read_sampler(run, name, model)
    if held is not None:
        return held
    with progress(quiet) as follow:
        if find(name).learns:
            follow.say(
                f"{run} holds no sampler {name} of these weights: one is fitted and stored there, "
                f"which may take minutes ('zspace fit-sampler {run} --sampler {name} --iterations "
                "N' makes a shorter fit)"
            )
        return refit_sampler(run, name, model, data_dir=data_dir, progress=follow)


def seeded(seed: int, device: torch.device) -> torch.Generator:
    """A random generator with a seed.

    Raises:
        InputError: the seed is out of range.
    """
    import torch

    if not 0 <= seed < 2**63:
        raise InputError(f"--seed must be a whole number from 0, not {seed}")
    return torch.Generator(device).manual_seed(seed)


def progress(quiet: bool, start: int = 0) -> Display:
    """The display of progress, which is quiet in all processes but the first."""
    from zspace.display.progress import Display

    return Display(quiet=quiet or processes().rank > 0, start=start)


def tell(message: object, quiet: bool) -> None:
    """Print on standard output, in one line, what was done, such as the file that was written."""
    if not quiet:
        click.echo(visible(str(message)))


def check_writable(path: Path) -> None:
    """Check that a file can be written, before anything is computed.

    Raises:
        InputError: it can't be written.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder")
    folder = next(p for p in path.resolve().parents if p.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"{path} can't be written: {folder} is no folder that may be written to")
