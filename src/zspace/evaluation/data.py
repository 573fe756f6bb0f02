"""What is measured on the data alone: the same for every run, and kept in the cache."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zspace import metrics
from zspace.evaluation.measurement import Measurement, Subject
from zspace.evaluation.metrics import METRICS
from zspace.metrics import Figure
from zspace.storage.cache import fingerprint, key
from zspace.storage.kept import store, stored
from zspace.storage.reading import sha256_of

NEIGHBOURS = 10

SOURCE = Path(__file__).parents[1]


def data_figures(measurement: Measurement, subject: Subject, name: str) -> dict[str, Figure]:
    """The figures of a metric of images of the data set, test images or others.

    Args:
        measurement: the measurement.
        subject: the images.
        name: a key of `METRICS`.

    Raises:
        InputError: the metric can't be computed.
    """
    metric = METRICS[name]
    sets = [s.content for s in (subject, measurement.reference, measurement.memorised)]
    seen = measurement.extractor.identity if metric.by_features else ""
    entry = [name, seen, measurement.seed, sets, fingerprint(measurement.labels)]

    def measured() -> dict[str, Tensor]:
        figures = metric.measure(measurement, subject)
        return {k: torch.tensor(v, dtype=torch.float64) for k, v in figures.items()}

    known = _known(entry, measured)
    names = [
        name for name in ("", *metric.names) if name in known
    ]  # a file has an order of its own
    return {name: Figure(*known[name].tolist()) for name in names}


def closeness(x: Tensor, training: Tensor) -> tuple[Tensor, Tensor]:
    """The distance of each sample from the nearest training image, absolute and relative.

    The relative distance is the share of the mean over its ten nearest training images; for a copy
    it is near 0, whatever the distances are.

    Args:
        x, training: images or vectors (N, ...) and (M, ...) of the same sample shape.

    Returns two tensors (N,).
    """
    k = min(NEIGHBOURS, len(training))
    distances = metrics.nearest(x, training, k)[0]
    return distances[:, 0], distances[:, 0] / distances.mean(1).clamp(min=1e-12)


def data_closeness(measurement: Measurement) -> tuple[Tensor, Tensor]:
    """The `closeness` of the test images."""
    training = measurement.images.train.x
    entry = ["closeness", measurement.reference.content, fingerprint(training)]

    def measured() -> dict[str, Tensor]:
        mine, share = closeness(measurement.test, training)
        return {"distance": mine, "share": share}

    known = _known(entry, measured)
    return known["distance"], known["share"]


def _known(entry: list[Any], measured: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors from the cache, or computed and kept.

    What comes with a warning is not kept, so that the warning is given every time.
    """
    name = key([_code(), *entry])
    known = stored("figures", name)
    if known is not None:
        return known
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        known = measured()
    for each in caught:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if not caught:
        store("figures", name, known)
    return known


@cache
def _code() -> str:
    """A checksum of the code by which figures are computed, and the versions of packages."""
    rooms = ("evaluation", "features", "functional", "metrics")
    files = [path for room in rooms for path in sorted((SOURCE / room).glob("*.py"))]
    packages = ("numpy", "scipy", "scikit-learn", "torch", "torchmetrics")
    return key([*map(sha256_of, files), *map(version, packages)])
