"""How many processes train together, and which of them this one is, as torchrun says it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from zspace.errors import InputError, shown, whole_number


@dataclass(frozen=True)
class Processes:
    """This process among those that torchrun started.

    Attributes:
        rank: its number, from 0.
        world: the number of all processes.
        local: the number of processes on this machine.
    """

    rank: int = 0
    world: int = 1
    local: int = 1


def processes() -> Processes:
    """This process among those that torchrun started, by the environment variables that it sets.

    Raises:
        InputError: a variable has a value that torchrun never gives.
    """
    world, local = _number("WORLD_SIZE", 1, 1), _number("LOCAL_WORLD_SIZE", 1, 1)
    rank, local_rank = _number("RANK", 0, 0), _number("LOCAL_RANK", 0, 0)
    _number("MASTER_PORT", 1, 0, 65535)
    if rank >= world:
        raise _wrong("RANK", f"below WORLD_SIZE, which is {world}")
    if world % local:
        raise _wrong("LOCAL_WORLD_SIZE", f"a divisor of WORLD_SIZE, which is {world}")
    if local_rank >= local:
        raise _wrong("LOCAL_RANK", f"below LOCAL_WORLD_SIZE, which is {local}")
    for name in ("RANK", "LOCAL_WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        if world > 1 and not os.environ.get(name):
            raise _wrong(name, f"set, since WORLD_SIZE is {world}")
    return Processes(rank, world, local)


def _number(name: str, least: int, unset: int, most: int = 1 << 20) -> int:
    text = os.environ.get(name)
    if text is None:
        return unset
    number = whole_number(text)
    if number is None or not least <= number <= most:
        raise _wrong(name, f"a whole number from {least} to {most}")
    return number


def _wrong(name: str, what: str) -> InputError:
    value = os.environ.get(name)
    held = "and is not set" if value is None else f"not {shown(value)}"
    return InputError(
        f"the environment variable {name} must be {what}, {held}: torchrun sets all of them; "
        "without torchrun, unset them (WORLD_SIZE, RANK and their like)"
    )
