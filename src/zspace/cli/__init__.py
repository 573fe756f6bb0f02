"""The command line, whose options of recipes and samplers come from their signatures."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NoReturn

import click

from zspace.cli.base import Invoked, cli, say
from zspace.cli.printing import in_words
from zspace.errors import InputError

# each module adds its commands to the group
for _part in (
    "train",
    "adopt",
    "sample",
    "codes",
    "generate",
    "tune",
    "densities",
    "measure",
    "compare",
    "classifier",
    "reproduce",
    "datasets",
    "zoo",
    "explore",
):
    import_module(f"zspace.cli.{_part}")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line, and exit.

    Bad input gives one line on standard error and the exit status 2.

    Args:
        arguments: the arguments; None takes those of the process.
    """
    invoked = Invoked()
    try:
        cli.main(arguments, prog_name="zspace", standalone_mode=False, obj=invoked)
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison]
            sys.stdout.flush()
        status = 0
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except (KeyboardInterrupt, click.Abort):
        say(f"zspace: interrupted{invoked.going_on()}")
        status = 130
    except click.ClickException as error:
        status = _complain(error.format_message())
    except BrokenPipeError:
        status = 1
    except (InputError, OSError) as error:
        status = _complain(in_words(error))
    except (MemoryError, RuntimeError) as error:
        # what devices, the CPU's allocator and the libraries of CUDA say
        texts = "out of memory", "DefaultCPUAllocator", "ALLOC_FAILED"
        if str(error).startswith("Symlink loop from "):  # what resolving a path raises
            status = _complain(f"{error}: symbolic links that lead back to themselves name nothing")
        elif isinstance(error, RuntimeError) and not any(text in str(error) for text in texts):
            raise
        else:
            status = _complain(
                "out of memory: lower --batch-size, the networks' sizes (--width, --hidden and "
                "their like) or the number asked for"
            )
    sys.exit(status)


def _complain(message: str) -> int:
    say("zspace: " + " ".join(message.split()))
    return 2


__all__ = ["cli", "main"]
