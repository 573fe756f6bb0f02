"""The command `zspace explore`, which opens a page that shows a latent space."""

from __future__ import annotations

import os
from pathlib import Path

import click

from zspace.cli.base import (
    CHECKPOINT,
    DATA_DIR,
    DEVICE,
    QUIET,
    RunFolder,
    cli,
    positive,
    progress,
    say,
    tell,
)
from zspace.errors import InputError

HOST = "127.0.0.1"
"""The address to listen at, unless another is given."""

MOST_RUNS = 4
"""The number of runs that are shown side by side, at most."""


@cli.command()
@click.argument("runs", type=RunFolder(), nargs=-1, required=True, metavar="RUN [RUN...]")
@click.option(
    "--host",
    default=HOST,
    show_default=True,
    help="address to listen at; any but this machine's own needs a token, which is printed",
)
@click.option(
    "--port", type=int, default=0, show_default=True, help="port to listen at (0: one that is free)"
)
@click.option(
    "--token",
    metavar="TEXT",
    help="token that a browser must know, as a part of the address  [default: a random one where "
    "it is needed]",
)
@click.option(
    "--browser/--no-browser", default=True, show_default=True, help="whether to open a browser"
)
@click.option(
    "--export",
    "out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="new folder for a page that needs no server, in place of serving one",
)
@DATA_DIR
@CHECKPOINT
@DEVICE
@QUIET
def explore(
    runs: tuple[Path, ...],
    host: str,
    port: int,
    token: str | None,
    browser: bool,
    out: Path | None,
    data_dir: str | None,
    checkpoint: str,
    device: str,
    quiet: bool,
) -> None:
    """Open a page in the browser that shows a latent space and decodes wherever one points.

    RUN is the folder of a run, or zoo:NAME. Several runs of the same training images, four at most,
    are shown together. The page is served until Ctrl-C; it loads nothing from other hosts and
    changes no run.
    """
    import threading
    import webbrowser

    from zspace.cli.output import check_inputs
    from zspace.exploring.page import Page, check_packages
    from zspace.exploring.space import Space

    if len(runs) > MOST_RUNS:
        raise InputError(f"at most {MOST_RUNS} runs are shown together, not {len(runs)}")
    positive("port", port, 0, 65535)
    if token is not None and not (token and token.isascii()):
        raise InputError("--token must be a text of ASCII characters")
    if out is not None and (host, port, token) != (HOST, 0, None):
        raise InputError("--host, --port and --token are of a server: leave them out with --export")
    if out is None:
        check_packages()
    else:
        check_export(out)
        for run in runs:
            check_inputs(out, run, data_dir=data_dir)
    follow = progress(quiet)
    spaces = [
        Space.of_run(run, data_dir=data_dir, checkpoint=checkpoint, device=device, progress=follow)
        for run in runs
    ]
    if out is not None:
        from zspace.exploring.export import write_page

        with progress(quiet) as shown:
            write_page(spaces, out, shown)
        tell(f"{out}/index.html", quiet)
        return
    page = Page(spaces, host=host, port=port, token=token, progress=follow)
    tell(page.address, False)
    if not quiet:
        say("serving the page; Ctrl-C ends it")
    if browser:  # beside the page, since a browser of text returns only when it is left
        threading.Thread(target=webbrowser.open, args=(page.address,), daemon=True).start()
    try:
        page.run()
    except KeyboardInterrupt:
        pass
    finally:
        page.close()


def check_export(out: Path) -> None:
    """Check the folder of an exported page before anything is computed, which takes a while.

    Raises:
        InputError: it exists and holds something, or can't be made.
    """
    from zspace.cli.output import taken
    from zspace.storage.files import check_name

    check_name(out)
    if out.suffix or taken(out):
        raise InputError(f"--export must be a new folder, or an empty one, not {out}")
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise InputError(f"--export {out} can't be made: {there} is no folder to write to")
