"""The commands `zspace train` and `zspace resume`, with options from the recipes' signatures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zspace.cli import known
from zspace.cli.base import DATA_DIR, QUIET, cli, click_option, echo, invoked, progress
from zspace.cli.groups import Commands
from zspace.errors import InputError
from zspace.options import checked
from zspace.processes import processes

if TYPE_CHECKING:
    from zspace.core import LatentModel


PARTS = "config.yaml, model.safetensors, log.jsonl, checkpoints/"
"""The files of a run that has been trained."""


class TrainCommand(Commands):
    """The group `zspace train`, with a command for each recipe that is made when needed."""

    kind = "recipe"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return known.recipe_names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in known.recipe_names():
            return None
        recipe = known.recipe(cmd_name)
        own_first = {**recipe.options, **known.run_options(cmd_name)}
        return click.Command(
            cmd_name,
            help=recipe.about,
            callback=lambda **given: _train(cmd_name, given),
            params=[
                click.Option(
                    ["--data"],
                    help="data set: digits, mnist, ... (zspace datasets), a folder of images, an "
                    ".npy or .npz file, or hf:NAME  [default: digits]",
                ),
                click.Option(["--out"], help="folder of the run  [default: runs/RECIPE-DATA]"),
                click.Option(["--overwrite"], is_flag=True, help="replace an existing run"),
                click.Option(
                    ["--config"],
                    help="YAML file of these options; options on the command line take precedence",
                ),
                click.Option(
                    ["--budget"],
                    metavar="TIME",
                    help="time that training may take, such as 90s, 30m or 1h30m, in place of "
                    "--iterations: a short measurement finds their number",
                ),
                click.Option(["--quiet"], is_flag=True, help="print only errors"),
                *map(click_option, own_first.values()),
            ],
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, in which a configuration file may stand in place of a recipe."""
        # if no recipe is given, the configuration file names it
        if args and args[0].startswith("-"):
            for i, argument in enumerate(args):
                name, _, value = argument.partition("=")
                if name == "--config" and (value or i + 1 < len(args)):
                    from zspace.storage.config import read_config

                    config = read_config(Path(value or args[i + 1]))
                    if "recipe" not in config:
                        raise InputError(f"{value or args[i + 1]} names no recipe")
                    return super().parse_args(ctx, [str(config["recipe"]), *args])
            if args[0] not in ("--help", "-h"):
                raise InputError("the recipe comes first: zspace train RECIPE [options]")
        return super().parse_args(ctx, args)


@cli.group("train", cls=TrainCommand, no_args_is_help=False, invoke_without_command=True)
@click.pass_context
def train_group(ctx: click.Context) -> None:
    """Train a model by a recipe: zspace train RECIPE --data DATA ..."""
    if ctx.invoked_subcommand is None:
        echo(ctx.get_help())


def _train(recipe: str, given: dict[str, Any]) -> None:
    keys = ("data", "out", "overwrite", "config", "budget", "quiet")
    own = {key: given.pop(key) for key in keys}
    chosen: dict[str, Any] = {}
    if own["config"] is not None:
        from zspace.storage.config import read_config

        chosen = read_config(Path(own["config"]))
        named = chosen.pop("recipe", recipe)
        if named != recipe:
            raise InputError(f"{own['config']} is for the recipe {named}, not {recipe}")
        data = chosen.pop("data", None)
        if own["data"] is None and data is None and "data_dir" in chosen:
            raise InputError(f"{own['config']} names no data: give --data")
        own["data"] = data if own["data"] is None else own["data"]
    chosen.update({k: v for k, v in given.items() if v is not None})
    settings = checked(known.run_options(recipe), chosen, f"option of {recipe}")
    if own["budget"] is not None and "iterations" not in chosen:
        settings.pop("iterations", None)  # whose default nobody asked for
    data = "digits" if own["data"] is None else own["data"]
    if not isinstance(data, str) or not data or own["out"] == "":
        raise InputError("--data and --out must be texts that are not empty")
    out = Path("runs") / f"{recipe}-{_label(data)}" if own["out"] is None else Path(own["out"])
    from zspace import api

    with progress(own["quiet"]) as follow:
        invoked().run = out
        model = api.train(
            recipe,
            data,
            out=out,
            overwrite=own["overwrite"],
            budget=own["budget"],
            progress=follow,
            **settings,
        )
    show_run(out, model, PARTS, own["quiet"])


def _label(data: str) -> str:
    return Path(data.removeprefix("hf:")).stem.replace(",", "-") or "data"


def show_run(run: Path, model: LatentModel, parts: str, quiet: bool) -> None:
    """Print what a new run holds, and the command that goes on from there.

    Args:
        run: the run.
        model: its model.
        parts: the names of its files.
        quiet: whether to print nothing.
    """
    if quiet or processes().rank > 0:
        return
    echo(f"the run is in {run}: {parts}")
    for picture in sorted(run.glob("*.png")):
        echo(f"  {picture}")
    sampler = "" if "prior" in model.samplers() else f" --sampler {model.usual[0]}"
    echo(f"go on with: zspace sample {run}{sampler} --n 64 --out samples.png")


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--iterations",
    type=int,
    metavar="N",
    help="iteration to train to  [default: the configured one]",
)
@DATA_DIR
@QUIET
def resume(run: Path, iterations: int | None, data_dir: str | None, quiet: bool) -> None:
    """Continue a run that was interrupted, exactly where its last checkpoint was made."""
    from zspace import api
    from zspace.storage.published import check_unfinished
    from zspace.storage.run import Run

    check_unfinished(run)
    existing = Run(run)
    invoked().run = run
    with progress(quiet, max(existing.checkpoints(), default=0)) as follow:
        model = api.resume(run, iterations=iterations, data_dir=data_dir, progress=follow)
    show_run(run, model, PARTS, quiet)
