"""Data that Python gives: a name, `Images`, or an array of images or vectors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from zspace.data.conversion import from_arrays, refit
from zspace.data.images import Images, Raw, select, split
from zspace.data.levels import Levels
from zspace.data.sets import DataOptions, read
from zspace.errors import InputError, cut

Data = str | Path | Images | npt.NDArray[Any] | Tensor
"""The types of data that `train` takes."""


def images_of(data: Data, settings: Mapping[str, Any]) -> Images:
    """The data set that `train` is given, split into its parts.

    Args:
        data: what `train` takes.
        settings: a run's settings, with all options of the data.

    Raises:
        InputError: the data can't be found or read, or an option does not suit them.
    """
    if isinstance(data, Images):
        return data
    if isinstance(data, str | Path):
        return read(str(data), DataOptions.of(settings))
    try:
        array = data.detach().cpu().numpy() if isinstance(data, Tensor) else np.asarray(data)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"the data are no array of numbers ({cut(str(error))})") from error
    levels = Levels.of(settings.get("value_range"))
    part = from_arrays(array, levels=levels)
    seen = levels.notes()
    raw = Raw({"train": part}, notes=seen, range_notes=seen)
    raw = refit(raw, settings["image_size"], settings["channels"])
    images = split(raw, "the data", settings.get("validation"))
    classes = [settings["classes"]] if settings["classes"] else None
    return select(images, classes, settings["train_size"], settings["train_per_class"])
