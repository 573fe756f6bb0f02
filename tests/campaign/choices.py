"""Every option of every command with wrong values: one line and status 2, or what was asked for.

    python -m tests.campaign.choices [--only COMMAND]

Each command runs in this process on a small run, once for each option and each wrong value.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import click
import torch

import zspace
from tests.campaign.shared import store
from tests.conftest import SMALL
from zspace.cli import cli, main
from zspace.options import options_of
from zspace.recipes.catalogue import find

SECONDS = 60
"""The time that one call may take."""

SHORT = ("--iterations=2", "--quiet", "--device=cpu")
"""What keeps a training short, unless the value under test replaces it."""


class Slow(BaseException):
    """A call took too long."""


def _alarm(*_: object) -> None:
    raise Slow


def values(folder: Path) -> dict[str, str]:
    """Wrong or odd values for any option, by name."""
    (folder / "a-folder").mkdir(exist_ok=True)
    locked = folder / "unreadable"
    locked.write_text("x")
    locked.chmod(0)
    (folder / "garbage").write_bytes(os.urandom(200))
    return {
        "empty": "",
        "blank": " ",
        "word": "word",
        "NaN": "nan",
        "infinite": "inf",
        "negative": "-1",
        "zero": "0",
        "fraction": "0.5",
        "huge": "1" + "0" * 400,
        "beyond": "9007199254740993",
        "comma": ",",
        "folder": str(folder / "a-folder"),
        "unreadable": str(locked),
        "missing": str(folder / "no" / "such.file"),
        "garbage": str(folder / "garbage"),
        "odd bytes": os.fsdecode(os.fsencode(folder) + b"/\xff\xfe"),
        "dollar": "$\\frac{",
        "long": "x" * 300,
        "null": "a\nb",
        "unicode": "ä\u202e日本",
    }


def commands() -> dict[str, click.Command]:
    """All commands by what is typed, each recipe of `train` among them as far as it differs."""
    context = click.Context(cli)
    found: dict[str, click.Command] = {}
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            inner = click.Context(command, parent=context)
            for recipe in ("vae", "regene", "lsrgan", "gen"):
                given = command.get_command(inner, recipe)
                assert given is not None
                found[f"{name} {recipe}"] = given
        else:
            found[name] = command
    return found


def arguments(name: str, command: click.Command, folder: Path) -> list[str]:
    """Arguments with which a command works, so that one option can be wrong."""
    given = name.split()
    options = {p.name for p in command.params}
    if given[0] == "train":
        out = folder / "new"
        shutil.rmtree(out, ignore_errors=True)
        given += ["--data=digits", f"--out={out}", *SHORT]
        return given
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            if parameter.name not in LEFT_OUT:
                given.append(PLACES.get(parameter.name or "", "{0}/run").format(folder))
        elif parameter.required:
            known = {
                "out": str(folder / f"out{FORMS.get(name, '.png')}"),
                "n": "4",
                "count": "2",
                "dim": "2",
                "samples": "10",
                "per_class": "2",
                "sampler": "mixture",
                "codes": str(folder / "codes.npz"),
                "images": str(folder / "images"),
            }
            given += [parameter.opts[0], known.get(parameter.name or "", "1")]
    if name == "reproduce":
        given.append("--scale=smoke")
    if name == "tune":
        given += ["--sampler=simple", "--trials=1", "--samples=2"]
    if name == "sample":
        given.append(f"--out={folder / 'out.png'}")
    given += [option for option in ("--quiet",) if "quiet" in options]
    return given


LEFT_OUT = ("files", "options")
"""Arguments that may be missing, and are."""

PLACES = {"codes": "{0}/codes.npz", "kind": "interpolation", "name": "gen/table1"}
"""What stands in the place of an argument without a flag, by its name; a run for others."""

FORMS = {
    "export": ".onnx",
    "novelty": ".csv",
    "encode": ".npz",
    "report": ".html",
    "augment": ".npz",
    "compare": ".md",
}
"""The suffixes of what commands write, where it is no picture."""


def call(given: list[str]) -> tuple[str, str]:
    """What became of a call: its kind, and what it printed or raised."""
    out, err = io.StringIO(), io.StringIO()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(given)
    except SystemExit as stop:
        lines = [line for line in err.getvalue().splitlines() if line.strip()]
        if stop.code == 0:
            return "accepted", ""
        told = lines and lines[-1].startswith("zspace: ")
        if stop.code == 2 and told and len(lines) == 1 and len(lines[0]) < 1500:
            return "refused", lines[0]
        if stop.code == 2 and told:
            return "refused late", err.getvalue()[-600:]
        return "wrong", f"status {stop.code}: {err.getvalue()[-600:]}"
    except Slow:
        return "slow", err.getvalue()[-300:]
    except BaseException:
        return "fault", traceback.format_exc()[-1500:]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "wrong", "it did not exit"


def campaign() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="commands, with commas between them")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, _alarm)
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    os.environ["ZSPACE_CACHE"] = str(folder / "cache")
    os.chdir(folder)
    zspace.train("vae", "digits", out=folder / "run", iterations=20, device="cpu", **SMALL)
    call(["encode", str(folder / "run"), f"--out={folder / 'codes.npz'}", "--quiet"])
    shutil.copytree(folder / "run", folder / "kept")
    seen: Counter[str] = Counter()
    faults: list[str] = []
    odd = values(folder)
    for name, command in commands().items():
        if options.only is not None and name not in options.only.split(","):
            continue
        own: Counter[str] = Counter()
        what, words = call(arguments(name, command, folder))
        if what != "accepted":  # then nothing below is tried as it should be
            faults.append(f"{name} without a wrong value: {what}: {words}")
            print("    " + faults[-1].replace("\n", "\n    "), flush=True)
        flags = [p.opts[0] for p in command.params if isinstance(p, click.Option) and not p.is_flag]
        if name == "fit-sampler":  # the options of a sampler are no options of the command
            flags += [option.flag for option in options_of(find("mixture")).values()]
        for flag in flags:
            for label, value in odd.items():
                given = arguments(name, command, folder)
                what, words = call([*given, f"{flag}={value}"])
                own[what] += 1
                if what not in ("refused", "accepted"):
                    faults.append(f"{name} {flag}={label}: {what}: {words}")
                    print("    " + faults[-1].replace("\n", "\n    "), flush=True)
                for path in folder.iterdir():
                    if path.name.startswith(("out", "new", ".")):
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(folder / "run")
        shutil.copytree(folder / "kept", folder / "run")
        print(name, dict(own), flush=True)
        seen += own
    print(dict(seen))
    store(options.out, {"seen": dict(seen), "faults": faults})
    shutil.rmtree(folder, ignore_errors=True)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(campaign())
