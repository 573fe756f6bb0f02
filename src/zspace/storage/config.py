"""Configurations of runs as YAML, and the part of one that determines what is learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zspace.errors import InputError
from zspace.options import present_name


# options that do not affect what is learned, and may change when a run is resumed
@dataclass(frozen=True)
class Facts:
    """The facts about a data set from which a recipe builds its networks.

    Attributes:
        shape: the shape of one sample, (C, H, W) of an image or (D,) of a vector.
        classes: the names of the labels; empty without labels.
        bounded: whether all values lie in [-1, 1], as those of images do.
        train_images: the number of training samples; 0 if it is unknown.
    """

    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    bounded: bool = True
    train_images: int = 0

    @property
    def is_image(self) -> bool:
        """Whether a sample is an image, and not a vector."""
        return len(self.shape) == 3


_FREE = ("iterations", "device", "data_dir", "threads", "tensorboard", "checkpoint_every", "keep")


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that determines what is learned."""
    return {k: v for k, v in config.items() if k not in _FREE}


def dump_config(config: Mapping[str, Any]) -> str:
    """A configuration as YAML, with its keys in their own order."""
    return yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)


def read_config(path: Path) -> dict[str, Any]:
    """The configuration in a YAML file, a mapping of option names to plain values.

    Dashes in names become underscores.

    Raises:
        InputError: the file is missing, can't be read, or holds no mapping.
    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"the configuration file {path} is missing") from None
    except OSError as error:
        raise InputError(
            f"the configuration file {path} can't be read: {error.strerror}"
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = " ".join(str(error).split())
        raise InputError(f"{path} is no YAML file: {first}") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} must hold a mapping of options to values")
    return {present_name(str(k).replace("-", "_")): v for k, v in config.items()}
