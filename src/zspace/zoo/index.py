"""The indexes of the zoo as they are written, and what names in them are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

import torch

from zspace.errors import InputError
from zspace.storage.entries import Published
from zspace.storage.packed import LONGEST

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""The types in which large weights may be stored."""


def check_name(name: str) -> None:
    """Check the name of a model or a judge, which becomes a part of a path.

    Raises:
        InputError: it has other characters than small letters, digits and dashes, or too many.
    """
    if not name or name.strip("abcdefghijklmnopqrstuvwxyz0123456789-") or name.startswith("-"):
        raise InputError(f"the name '{name}' must be of small letters, digits and dashes")
    if len(name) > LONGEST:
        raise InputError(f"the name '{name}' has {len(name)} characters: {LONGEST} at most")


def as_json(entries: Mapping[str, Published]) -> str:
    """An index as JSON, in the order of the names, a line for each attribute and figure."""
    return "{\n" + ",\n".join(_lines(*each) for each in sorted(entries.items())) + "\n}\n"


def _lines(name: str, entry: Published) -> str:
    lines: list[str] = []
    for key, value in asdict(entry).items():
        text = json.dumps(value, ensure_ascii=False)
        if key == "figures":
            text = "[" + ",".join(f"\n   {json.dumps(each)}" for each in value) + "\n  ]"
        lines.append(f"  {json.dumps(key)}: {text}")
    return f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }"
