"""A finished run as one file of tensors, and the folder that it is unpacked to.

The file holds the model's weights and those of its samplers; its header has the configuration, the
facts about the data, the samplers' headers and the evaluation. A tensor may be of half precision,
and is float32 once it is unpacked. It may also be left out, if it is said to be the same as another
one, or zeros of a shape.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from torch import Tensor

from zspace.errors import InputError
from zspace.storage.config import Facts, comparable, dump_config
from zspace.storage.files import Count, Plain, open_tensors, write_tensors, write_text
from zspace.storage.reading import ROOM, size_text

MODEL, SAMPLER = "model/", "sampler/"
"""The beginnings of the tensors' names in a packed file; a sampler's name follows the latter."""

HALF = (torch.bfloat16, torch.float16)
"""The types of tensors that become float32 once they are unpacked."""

TIMES = 8
"""How many times its file a run may be once it is unpacked, beside `ROOM`."""

LONGEST = 64
"""The characters that a name has at most which becomes a part of a path."""

PackedName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]*\Z", max_length=LONGEST)]
"""The type of a name that becomes a part of a path: it leads nowhere else."""

Size = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


@dataclass(frozen=True)
class Packed:
    """The header of a packed run.

    Attributes:
        config: the run's configuration.
        facts: the facts about its data.
        iteration: the number of iterations done.
        samplers: the headers of its samplers, by name.
        evaluation: the content of its evaluation.json; None if it has none.
        same: the names of tensors that are left out, each with that of the tensor that it equals.
        zeros: the names of tensors of zeros that are left out, float32, each with its shape.
    """

    config: dict[str, Plain]
    facts: Facts
    iteration: Count
    samplers: dict[PackedName, dict[str, Any]] = field(default_factory=dict[str, Any])
    evaluation: dict[str, Any] | None = None
    same: dict[str, str] = field(default_factory=dict[str, str])
    zeros: dict[str, Annotated[list[Size], msgspec.Meta(max_length=8)]] = field(
        default_factory=dict[str, list[int]]
    )


def pack(path: Path, tensors: Mapping[str, Tensor], header: Packed) -> None:
    """Write a packed run.

    Args:
        path: the file.
        tensors: the tensors that are not left out, by their names in the file.
        header: all else.
    """
    write_tensors(path, tensors, asdict(header))


def read_packed(path: Path) -> tuple[dict[str, Tensor], Packed]:
    """All tensors of a packed run, whole and none of half precision, and its header.

    Raises:
        InputError: the file is damaged, is no packed run, or claims to be far larger than it is.
    """
    with open_tensors(path, Packed) as stored:
        header, size = stored.header, path.stat().st_size
        left = TIMES * size + ROOM - 4 * sum(map(math.prod, header.zeros.values()))
        if left < 0:
            raise _too_large(path, size)
        tensors = stored.tensors()
    tensors = whole(tensors)
    left -= sum(t.nbytes for t in tensors.values())
    for name, other in header.same.items():
        if other not in tensors or name in tensors:
            raise InputError(f"{path} is damaged: {name} is said to be the same as {other}")
        left -= tensors[other].nbytes
    if left < 0:
        raise _too_large(path, size)
    same = {name: tensors[other].clone() for name, other in header.same.items()}
    zeros = {name: torch.zeros(shape) for name, shape in header.zeros.items()}
    return {**tensors, **same, **zeros}, header


def whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by name, those of half precision as float32."""
    return {k: t.float() if t.dtype in HALF else t for k, t in tensors.items()}


def _too_large(path: Path, size: int) -> InputError:
    return InputError(f"{path} is of {size_text(size)}, and claims to unpack to far more")


def unpack(path: Path, folder: Path) -> None:
    """Unpack a packed run into a new folder, which is then a run like any other.

    Args:
        path: the packed run.
        folder: the folder, which must exist.

    Raises:
        InputError: what `read_packed` raises.
    """
    tensors, header = read_packed(path)
    write_text(folder / "config.yaml", dump_config(header.config))
    (folder / "checkpoints").mkdir()
    # the header that `zspace.storage.run.Run` gives to a finished model
    config = comparable(header.config)
    owner = {"config": config, "facts": asdict(header.facts), "iteration": header.iteration}
    write_tensors(folder / "model.safetensors", part(tensors, MODEL), owner)
    for name, own in header.samplers.items():
        file = folder / "samplers" / f"{name}.safetensors"
        write_tensors(file, part(tensors, f"{SAMPLER}{name}/"), own)
    if header.evaluation is not None:
        write_text(folder / "evaluation.json", json.dumps(header.evaluation, indent=1) + "\n")


def part(tensors: Mapping[str, Tensor], begin: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, under the rest of their names."""
    return {k.removeprefix(begin): t for k, t in tensors.items() if k.startswith(begin)}
