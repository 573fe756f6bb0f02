"""The command `zspace`, which an interrupt ends by one line, however early or late it comes.

An interrupt (Ctrl-C) or SIGTERM while a module is being imported ends the program at once. Others
raise `KeyboardInterrupt`, so that what is half-written is removed.
"""

from __future__ import annotations

import os
import signal
import sys
from io import TextIOWrapper
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_caught: list[int] = []


def _say() -> None:
    os.write(2, b"zspace: interrupted\n")


def _end(number: int, _: FrameType | None) -> None:
    if not _caught:
        _say()
    os._exit(128 + number)


def _unraisable(error: sys.UnraisableHookArgs) -> None:
    """Let an interrupt end the program where Python would print it and go on, as in `__del__`."""
    if error.exc_type is KeyboardInterrupt and _caught:
        _say()
        os._exit(128 + _caught[0])
    sys.__unraisablehook__(error)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _importing(frame):
        _end(number, frame)
    _caught.append(number)
    for each in SIGNALS:  # a second one does not wait
        signal.signal(each, _end)
    raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported, which an exception may abort in C++."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _handle(handler: signal.Handlers | object) -> None:
    for each in SIGNALS:
        # what the caller ignores (such as nohup) stays ignored
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, handler)  # pyright: ignore[reportArgumentType]


def main() -> NoReturn:
    """Run the command line, and exit."""
    _handle(_end)
    from zspace.cli import main as command

    sys.unraisablehook = _unraisable
    if isinstance(sys.stdout, TextIOWrapper):  # a name that the terminal can't show is escaped
        sys.stdout.reconfigure(errors="backslashreplace")
    _handle(_interrupt)
    status: int | str | None = 1
    try:
        command()
    except SystemExit as stop:
        status = stop.code
    except BaseException:
        # libraries turn an interrupt into errors of their own
        if not _caught:
            raise
        _say()
    finally:
        _handle(signal.SIG_IGN)
    sys.exit(128 + _caught[0] if _caught else status)


if __name__ == "__main__":
    main()
