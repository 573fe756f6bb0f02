"""The commands that made a run, and its configuration without the paths of one machine."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zspace import api
from zspace.data import NAMED
from zspace.options import Option, options_of
from zspace.recipes import catalogue

UNTOLD = ("device", "threads", "data_dir", "keep", "checkpoint_every", "log_every", "tensorboard")
"""The options that do not belong to the command that made a model."""


def public(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without the paths of this machine, of which the last part stays."""
    shown = {**config, "data_dir": None, "device": "auto", "threads": None, "tensorboard": False}
    for name, value in shown.items():
        own = name == "data" and value not in NAMED and not str(value).startswith("hf:")
        path = isinstance(value, str) and ("/" in value or own) and Path(value).exists()
        if path or (isinstance(value, str) and value.startswith(("/", "~", "."))):
            shown[name] = Path(str(value)).name
    return shown


def commands(
    name: str, config: Mapping[str, Any], samplers: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """The commands that make a run of a configuration, and fit its samplers.

    Args:
        name: the name of the run's folder.
        config: the configuration.
        samplers: the headers of the samplers by name.
    """
    known = api.run_options(config["recipe"])
    words = ["zspace", "train", str(config["recipe"]), "--data", str(config["data"])]
    for key, option in known.items():
        value = config.get(key)
        if key not in UNTOLD and not key.endswith("_config"):
            words += _word(option, value) if value != option.default or key == "iterations" else []
    made = [shlex.join([*words, "--out", f"runs/{name}"])]
    for each, header in samplers.items():
        own = options_of(catalogue.find(each))
        words = ["zspace", "fit-sampler", f"runs/{name}", "--sampler", each]
        for key, value in header["options"].items():
            if key in own and value != own[key].default:
                words += _word(own[key], value)
        made.append(shlex.join(words))
    return made


def _word(option: Option, value: Any) -> list[str]:
    if value is None:
        return []
    if option.kind is bool:
        return [option.flag if value else f"--no-{option.flag[2:]}"]
    return [option.flag, str(value)]
