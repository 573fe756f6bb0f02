"""The command line. Options of recipes and samplers come from their signatures."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from zspace import __version__
from zspace.errors import InputError, unknown
from zspace.options import Option

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from zspace.core import LatentModel


class Commands(click.Group):
    """A group that names the nearest command for one that it does not know."""

    kind = "command"

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None:
            raise unknown(self.kind, args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


class TrainCommand(Commands):
    """`zspace train RECIPE`: a command for each recipe, made when it is asked for."""

    kind = "recipe"

    def list_commands(self, ctx: click.Context) -> list[str]:
        from zspace.recipes import recipes

        return recipes()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from zspace.api import train
        from zspace.options import options_of
        from zspace.recipes import find, recipes

        if cmd_name not in recipes():
            return None
        recipe = find(cmd_name)
        about = (recipe.__doc__ or "").strip().splitlines()
        return click.Command(
            cmd_name,
            help=about[0] if about else None,
            callback=lambda **given: _train(cmd_name, given),
            params=[
                click.Option(["--data"], help="digits, mnist, ... (zspace datasets), a folder of "
                             "images, an .npy or .npz file, hf:NAME  [default: digits]"),
                click.Option(["--out"], help="the run's folder  [default: runs/RECIPE-DATA]"),
                click.Option(["--overwrite"], is_flag=True, help="replace an existing run"),
                click.Option(["--config"], help="a YAML file of these options; those given here "
                             "win over it"),
                click.Option(["--quiet"], is_flag=True, help="no progress"),
                *(_click_option(o) for o in options_of(recipe).values()),
                *(_click_option(o) for o in options_of(train).values()),
            ],
        )  # fmt: skip

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # without a recipe, the configuration file names it
        if args and args[0].startswith("-"):
            for i, argument in enumerate(args):
                name, _, value = argument.partition("=")
                if name == "--config" and (value or i + 1 < len(args)):
                    from zspace.run import read_config

                    config = read_config(Path(value or args[i + 1]))
                    if "recipe" not in config:
                        raise InputError(f"{value or args[i + 1]} names no recipe")
                    return super().parse_args(ctx, [str(config["recipe"]), *args])
            if args[0] not in ("--help", "-h"):
                raise InputError("the recipe comes first: zspace train RECIPE [options]")
        return super().parse_args(ctx, args)


def _click_option(option: Option) -> click.Option:
    """A command-line option; its value is checked by `Option.check`, not by click."""
    shown = "unset" if option.default is None else str(option.default)
    choices = f" ({'|'.join(str(c) for c in option.choices)})" if option.choices else ""
    text = f"{option.about.text}{choices}  [default: {shown}]"
    if option.kind is bool:
        both = f"{option.flag}/--no-{option.flag[2:]}"
        return click.Option([both, option.name], default=None, help=text)
    metavar = {int: "N", float: "X", str: "TEXT"}[option.kind]
    return click.Option([option.flag, option.name], metavar=metavar, help=text)


def _say(message: str) -> None:
    with suppress(OSError):  # a closed or full standard error is no reason to stop
        click.echo(message, err=True)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.version_option(__version__, prog_name="zspace")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Train, shape, sample and measure the latent spaces of image models."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@cli.group("train", cls=TrainCommand, no_args_is_help=False, invoke_without_command=True)
@click.pass_context
def train_group(ctx: click.Context) -> None:
    """Train a model by a recipe: zspace train RECIPE --data DATA ..."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _train(recipe: str, given: dict[str, Any]) -> None:
    from zspace import api
    from zspace.options import checked, options_of
    from zspace.recipes import find
    from zspace.run import read_config

    own = {key: given.pop(key) for key in ("data", "out", "overwrite", "config", "quiet")}
    known = options_of(api.train) | options_of(find(recipe))
    chosen: dict[str, Any] = {}
    if own["config"] is not None:
        chosen = read_config(Path(own["config"]))
        named = chosen.pop("recipe", recipe)
        if named != recipe:
            raise InputError(f"{own['config']} is for the recipe {named}, not {recipe}")
        data = chosen.pop("data", None)
        if own["data"] is None and data is None and "data_dir" in chosen:
            raise InputError(f"{own['config']} names no data: give --data")
        own["data"] = data if own["data"] is None else own["data"]
    chosen.update({k: v for k, v in given.items() if v is not None})
    settings = checked(known, chosen, f"option of {recipe}")
    data = "digits" if own["data"] is None else own["data"]
    if not isinstance(data, str) or not data or own["out"] == "":
        raise InputError("--data and --out must be texts that are not empty")
    out = Path("runs") / f"{recipe}-{_label(data)}" if own["out"] is None else Path(own["out"])
    with _progress(settings["iterations"], own["quiet"]) as report:
        api.train(
            recipe,
            data,
            out=out,
            overwrite=own["overwrite"],
            report=report,
            say=_quiet_say(own["quiet"]),
            **settings,
        )
    _show_run(out, own["quiet"])


def _label(data: str) -> str:
    return Path(data.removeprefix("hf:")).stem.replace(",", "-") or "data"


def _progress(iterations: int, quiet: bool, start: int = 0) -> Any:
    from zspace.progress import TrainingProgress

    return TrainingProgress(iterations, quiet=quiet or _rank() > 0, start=start)


def _rank() -> int:
    return int(os.environ.get("RANK", 0))


def _quiet_say(quiet: bool) -> Callable[[str], None]:
    return (lambda message: None) if quiet or _rank() > 0 else _say


def _show_run(run: Path, quiet: bool) -> None:
    if quiet or _rank() > 0:
        return
    click.echo(f"the run is in {run}: config.yaml, model.safetensors, log.jsonl, checkpoints/")
    for picture in sorted(run.glob("*.png")):
        click.echo(f"  {picture}")
    click.echo(f"go on with: zspace sample {run} --n 64 --out samples.png")


@cli.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--iterations", type=int, metavar="N", help="train to this iteration, not the configured"
)
@click.option("--quiet", is_flag=True, help="no progress")
def resume(run: Path, iterations: int | None, quiet: bool) -> None:
    """Continue a run that was killed, exactly where its last checkpoint was made."""
    from zspace import api
    from zspace.run import Run

    existing = Run(run)
    configured = existing.config.get("iterations")
    total = iterations or (configured if isinstance(configured, int) else 1)
    with _progress(total, quiet, max(existing.checkpoints(), default=0)) as report:
        api.resume(run, iterations=iterations, report=report, say=_quiet_say(quiet))
    _show_run(run, quiet)


CHECKPOINT = click.option(
    "--checkpoint", default="last", show_default=True, metavar="last|ITERATION",
    help="whose weights to use",
)  # fmt: skip
DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
SEED = click.option("--seed", type=int, default=0, show_default=True, help="of what is drawn")
RUN = click.argument("run", type=click.Path(path_type=Path))
OUT = click.option(
    "--out", required=True, type=click.Path(path_type=Path),
    help="FILE.png (a sheet), FILE.npz, or a new folder of PNG files",
)  # fmt: skip


def _data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--data and what belongs to it, for commands that may look at other data than the run's."""
    command = click.option(
        "--data-dir", metavar="TEXT", help="folder of a named set's original files"
    )(command)
    return click.option("--data", metavar="TEXT", help="other data than the run's own")(command)


def _positive(name: str, value: int, least: int = 1, most: int = 100_000_000) -> None:
    if value < least:
        raise InputError(f"--{name} must be at least {least}, not {value}")
    if value > most:
        raise InputError(f"--{name} must be at most {most}, not {value}")


def _load(run: Path, checkpoint: str, device: str) -> tuple[LatentModel, torch.device]:
    from zspace import api

    model = api.load(run, checkpoint=checkpoint, device=device)
    return model, next(model.parameters()).device


def _generator(seed: int, device: torch.device) -> torch.Generator:
    import torch

    if not 0 <= seed < 2**63:
        raise InputError(f"--seed must be a whole number from 0, not {seed}")
    return torch.Generator(device).manual_seed(seed)


@cli.command()
@RUN
@click.option("--n", type=int, default=64, show_default=True, help="how many")
@OUT
@SEED
@click.option(
    "--sampler",
    default="prior",
    show_default=True,
    metavar="NAME",
    help="prior (the model's own), or one fitted to its training codes: normal, mixture",
)
@CHECKPOINT
@DEVICE
def sample(
    run: Path, n: int, out: Path, seed: int, sampler: str, checkpoint: str, device: str
) -> None:  # fmt: skip
    """Draw images from a trained model."""
    import torch

    from zspace import api
    from zspace.core import blockwise
    from zspace.samplers import SAMPLERS

    _positive("n", n)
    _check_out(out)
    if sampler != "prior" and sampler not in SAMPLERS:
        raise unknown("sampler", sampler, ["prior", *SAMPLERS])
    model, where = _load(run, checkpoint, device)
    generator = _generator(seed, where)
    drawn = api.sampler(run, sampler, model)
    with torch.no_grad():
        x = blockwise(model.decode, drawn.sample(n, generator=generator))
    _write(out, x)


@cli.command("fit-sampler", context_settings={"ignore_unknown_options": True})
@RUN
@click.option("--sampler", required=True, metavar="NAME", help="normal, mixture")
@CHECKPOINT
@DEVICE
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def fit_sampler(
    run: Path, sampler: str, checkpoint: str, device: str, options: tuple[str, ...]
) -> None:
    """Fit a sampler to a run's training codes and store it in the run.

    Further options are the sampler's own: for mixture --components N and --seed S.
    """
    from zspace import api
    from zspace.options import options_of
    from zspace.samplers import SAMPLERS

    if sampler not in SAMPLERS:
        raise unknown("sampler", sampler, SAMPLERS)
    known = options_of(SAMPLERS[sampler])
    command = click.Command(sampler, params=[_click_option(o) for o in known.values()])
    context = command.make_context(sampler, list(options))
    given = {k: v for k, v in context.params.items() if v is not None}
    api.fit_sampler(run, sampler, given, checkpoint=checkpoint, device=device)
    click.echo(f"{run}/samplers/{sampler}.safetensors")


@cli.command()
@RUN
@_data_options
@click.option(
    "--part",
    default="all",
    show_default=True,
    help="train, validation, test, or all, in the data's own order",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="FILE.npz")
@CHECKPOINT
@DEVICE
def encode(
    run: Path, data: str | None, data_dir: str | None, part: str, out: Path, checkpoint: str,
    device: str,
) -> None:  # fmt: skip
    """Write the codes (N, D) of images to an .npz file: codes, and labels where there are some."""
    import numpy as np

    from zspace import api
    from zspace.storage import atomic

    if out.suffix != ".npz":
        raise InputError(f"--out must be an .npz file, not {out}")
    if part not in ("all", "train", "validation", "test"):
        raise unknown("part", part, ["all", "train", "validation", "test"])
    model, _ = _load(run, checkpoint, device)
    chosen, classes = api.data_for(run, data, data_dir, part)
    arrays: dict[str, Any] = {"codes": api.codes(model, chosen.x).cpu().numpy()}
    if chosen.y is not None:
        arrays |= {"labels": chosen.y.numpy(), "classes": np.array(classes)}
    with atomic(out) as partial:
        np.savez(partial, **arrays)
    click.echo(f"{out}: codes {arrays['codes'].shape}")


@cli.command()
@RUN
@click.argument("codes", type=click.Path(path_type=Path))
@OUT
@CHECKPOINT
@DEVICE
def decode(run: Path, codes: Path, out: Path, checkpoint: str, device: str) -> None:
    """Decode codes (N, D): the array `codes` of an .npz file, or an .npy file."""
    import torch

    from zspace import api
    from zspace.core import blockwise

    _check_out(out)
    model, where = _load(run, checkpoint, device)
    z = api.read_codes(codes, model.latent_dim)
    with torch.no_grad():
        x = blockwise(lambda block: model.decode(block.to(where)), z)
    _write(out, x)


@cli.command()
@RUN
@click.option("--n", type=int, default=32, show_default=True, help="how many images")
@_data_options
@OUT
@CHECKPOINT
@DEVICE
def reconstruct(
    run: Path, n: int, data: str | None, data_dir: str | None, out: Path, checkpoint: str,
    device: str,
) -> None:  # fmt: skip
    """Test images above their reconstructions (in .npz: originals and reconstructions)."""
    from zspace import api, plots
    from zspace.core import as_float

    _positive("n", n)
    _check_out(out)
    model, where = _load(run, checkpoint, device)
    chosen, _ = api.data_for(run, data, data_dir, "test")
    if n > len(chosen):
        raise InputError(f"--n {n}: the test part has {len(chosen)} images")
    x = as_float(chosen.x[:n].to(where))
    if out.suffix == ".png" and x.ndim == 4:
        plots.save_sheet(out, *api.reconstruction_rows(model, x))
        click.echo(str(out))
    else:
        _write(out, model.reconstruct(x), {"originals": x})


@cli.command()
@RUN
@click.option("--n", type=int, default=8, show_default=True, help="how many pairs of test images")
@click.option("--steps", type=int, default=9, show_default=True, help="images of a row")
@_data_options
@OUT
@SEED
@CHECKPOINT
@DEVICE
def interpolate(
    run: Path, n: int, steps: int, data: str | None, data_dir: str | None, out: Path, seed: int,
    checkpoint: str, device: str,
) -> None:  # fmt: skip
    """Rows between two random test images: the first and last are real, the others decoded."""
    import torch

    from zspace import api, plots
    from zspace.core import as_float

    _positive("n", n)
    _positive("steps", steps, 2, 1000)
    _check_out(out)
    model, where = _load(run, checkpoint, device)
    chosen, _ = api.data_for(run, data, data_dir, "test")
    if 2 * n > len(chosen):
        raise InputError(f"--n {n}: the test part has {len(chosen)} images, enough for "
                         f"{len(chosen) // 2} pairs")  # fmt: skip
    rows = torch.randperm(len(chosen), generator=_generator(seed, torch.device("cpu")))[: 2 * n]
    x = as_float(chosen.x[rows].to(where))
    pictures, columns = api.interpolation_rows(model, x[:n], x[n:], steps)
    if out.suffix == ".png" and x.ndim == 4:
        plots.save_sheet(out, pictures, columns)
        click.echo(str(out))
    else:
        _write(out, pictures)


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
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True))
    tasks: dict[str, Any] = {}

    def show(file: str, done: int, total: int | None) -> None:
        bar.start()
        if file not in tasks:
            tasks[file] = bar.add_task(file, total=total)
        bar.update(tasks[file], completed=done, total=total)

    try:
        files = download(name, data_dir, mirror=mirror, progress=show)
    finally:
        if tasks:
            bar.stop()
    for file in files:
        click.echo(str(file))


def _check_out(out: Path) -> None:
    """Refuse a place that can't be written to before anything is computed."""
    if out.suffix not in (".png", ".npz", ""):
        raise InputError(f"--out must be FILE.png, FILE.npz or a folder, not {out}")
    if out.suffix and out.is_dir():
        raise InputError(f"--out {out} is a folder")
    if not out.suffix and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out} exists and is no empty folder")


def _write(out: Path, x: Tensor, more: Mapping[str, Tensor] | None = None) -> None:
    """Images or vectors to a sheet, an .npz file or a folder."""
    import numpy as np
    from PIL import Image

    from zspace import plots
    from zspace.storage import atomic

    images = x.ndim == 4
    if out.suffix == ".npz":
        arrays = {"images" if images else "vectors": x, **(more or {})}
        stored: dict[str, Any] = {
            k: plots.to_uint8(v) if images else v.cpu().numpy() for k, v in arrays.items()
        }
        with atomic(out) as partial:
            np.savez(partial, **stored)
    elif not images and out.suffix == ".png":
        plots.scatters(out, {"": x})
    elif not images:
        raise InputError("vectors go to an .npz or .png file, not to a folder of images")
    elif out.suffix == ".png":
        plots.save_sheet(out, x)
    else:
        with atomic(out) as partial:
            partial.mkdir()
            for i, image in enumerate(plots.to_uint8(x)):
                Image.fromarray(image).save(partial / f"{i:06d}.png")
            if out.exists():
                out.rmdir()
    click.echo(str(out))


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line. Bad input: one line on standard error, exit status 2."""
    try:
        cli.main(arguments, prog_name="zspace", standalone_mode=False)
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison]
            sys.stdout.flush()
        status = 0
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("zspace: interrupted; 'zspace resume RUN' goes on from the last checkpoint")
        status = 130
    except click.ClickException as error:
        status = _complain(error.format_message())
    except InputError as error:
        status = _complain(str(error))
    except BrokenPipeError:
        status = 1
    except (FileExistsError, NotADirectoryError) as error:
        status = _complain(f"{error.filename} is a file where a folder is needed")
    except (MemoryError, RuntimeError) as error:
        if (
            isinstance(error, RuntimeError)
            and "alloc" not in str(error)
            and "memory" not in str(error)
        ):
            raise
        status = _complain(
            "out of memory: lower --batch-size, --width, --hidden or the number asked for"
        )
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        status = _complain(f"{place}{error.strerror or error}")
    sys.exit(status)


def _complain(message: str) -> int:
    _say("zspace: " + " ".join(message.split()))
    return 2
