"""Evaluation of a run, which gives its figures with their uncertainties and their features.

The subjects are the reconstructions of test images, and the images decoded from each sampler's
codes. Two more subjects serve as a scale: other training images, and the test images themselves.
All are compared with the same n test images, the reference, and for memorisation with n training
images. Generated images are rounded to the 256 levels in which they would be stored.
"""

from __future__ import annotations

import inspect
import platform
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import zspace
from zspace.core import Classifying, as_progress
from zspace.errors import InputError, encodable, unknown
from zspace.evaluation.data import data_figures
from zspace.evaluation.diagnose import diagnose
from zspace.evaluation.measurement import (
    CODES,
    DATA,
    GENERATION,
    Measurement,
    Subject,
    generated,
    lost_samplers,
    measure_run,
    own_samplers,
    reconstructed,
)
from zspace.evaluation.metrics import DEFAULT, METRICS
from zspace.generation.fit import Fitted, check_sampler, fitted_sampler, weights_fingerprint
from zspace.options import comma_names
from zspace.storage.cache import fingerprint, key
from zspace.storage.config import comparable


def evaluate(
    run: str | Path,
    *,
    metrics: Sequence[str] | None = None,
    samplers: Sequence[str] | None = None,
    diagnosed: bool | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Measure a run; the result is the content of `evaluation.json`.

    Args:
        run: the run.
        metrics: names of `METRICS`, in a list or with commas between them; None takes all that
            apply to the run except fid-inf.
        samplers: names of samplers; None takes the model's own and those stored in the run, or
            normal and mixture if there are neither.
        diagnosed: whether generated images are diagnosed, too (`faults` of their rows); None does
            so if metrics is None.
        options: further arguments of `measure_run`.

    Raises:
        InputError: the run, the data, a metric or a sampler can't be used.
    """
    began = time.monotonic()
    known = inspect.signature(measure_run).parameters.keys() - {"run"}
    for name in options:
        if name not in known:
            raise unknown("argument of evaluate", name, known)
    if isinstance(metrics, str):
        metrics = comma_names("metrics", metrics)
    if isinstance(samplers, str):
        samplers = comma_names("samplers", samplers)
    for name in metrics or ():
        if name not in METRICS:
            raise unknown("metric", name, METRICS)
    for name in samplers or ():
        check_sampler(run, name)
    if "progress" in options:
        options["progress"] = as_progress(options["progress"])
    result = measure(
        measure_run(run, **options), metrics=metrics, samplers=samplers, diagnosed=diagnosed
    )
    return {**result, "seconds": round(time.monotonic() - began, 1)}


def measure(
    measurement: Measurement,
    *,
    metrics: Sequence[str] | None = None,
    samplers: Sequence[str] | None = None,
    diagnosed: bool | None = None,
) -> dict[str, Any]:
    """`evaluate` for a run whose measurement has been made already.

    Args:
        measurement: the measurement.
        metrics, samplers, diagnosed: what `evaluate` takes.

    Raises:
        InputError: a metric or a sampler can't be used, or the features are all equal.
    """
    began = time.monotonic()
    if diagnosed is None:
        diagnosed = metrics is None
    names = list(dict.fromkeys(DEFAULT if metrics is None else metrics))
    names = _applicable(names, metrics is not None, measurement)
    generates = any(GENERATION in METRICS[name].kinds for name in names)
    usual = own_samplers(measurement) if generates else []
    chosen = usual if samplers is None else list(dict.fromkeys(samplers))
    # first of all, since features that fail, or are all equal, make everything else useless
    seen = any(METRICS[name].by_features for name in names)
    extractor = measurement.extractor if seen else None
    if seen and not float(measurement.features(measurement.reference).std(0).max()) > 1e-12:
        raise InputError(
            f"the features {measurement.extractor.name} are the same for all test samples: they "
            "tell nothing apart"
        )
    lost = {} if samplers is not None else lost_samplers(measurement.run)
    drawn: list[Subject] = []
    for name in chosen:
        try:
            drawn.append(generated(measurement, name))
        except InputError as error:
            if samplers is not None:
                raise
            lost[name] = str(error)
    failures = [f"the sampler {name} is left out: {why}" for name, why in lost.items()]
    fits = {each.name: fitted_sampler(measurement.run.folder, each.name) for each in drawn}
    failures += _of_other_data(measurement, fits)
    subjects = [
        reconstructed(measurement),
        *drawn,
        measurement.others,
        measurement.reference,
        Subject("codes", CODES, measurement.test[:0]),
    ]
    rows: list[dict[str, Any]] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", zspace.metrics.BiasWarning)
        for subject in subjects:
            figures = _measured(
                measurement, subject, names, None if metrics is not None else failures
            )
            if figures:
                n = len(subject.x) or len(measurement.test)
                row: dict[str, Any] = {
                    "subject": subject.name,
                    "kind": subject.kind,
                    "n": n,
                    "figures": figures,
                }
                if subject.kind == GENERATION and fits[subject.name].checksum:
                    row["sampler"] = fits[subject.name].checksum
                if subject.kind == GENERATION and diagnosed:
                    try:
                        found = diagnose(measurement, subject)
                        row["faults"] = [f.name for f in found if f.fault]
                    except InputError as error:
                        failures.append(f"{subject.name} is not diagnosed: {error}")
                rows.append(row)
    notes = (
        list(
            dict.fromkeys(
                str(w.message) for w in caught if issubclass(w.category, zspace.metrics.BiasWarning)
            )
        )
        + failures
    )
    return {
        "run": encodable(str(measurement.run.folder)),
        "recipe": measurement.run.config.get("recipe"),
        "configuration": _configuration(measurement.run.config),
        "data": measurement.images.name,
        "test": fingerprint(measurement.images.test.x),
        "reference": fingerprint(measurement.test),
        "reference_part": measurement.part,
        "n": len(measurement.test),
        "memorisation_n": len(measurement.training),
        "seed": measurement.seed,
        "complete": metrics is None,
        "features": extractor.name if extractor else "",
        "features_asked": encodable(measurement.asked),
        "features_identity": extractor.identity if extractor else "",
        "model": weights_fingerprint(measurement.model),
        "checkpoint": measurement.checkpoint,
        "rows": rows,
        "notes": notes,
        "seconds": round(time.monotonic() - began, 1),
        "versions": versions(),
    }


def _of_other_data(measurement: Measurement, fits: Mapping[str, Fitted]) -> list[str]:
    """What is to be told of samplers that were fitted to other data than there are now."""
    known = {name: fit.data for name, fit in fits.items() if fit.data}
    if not known:
        return []
    train, run = measurement.images.train, measurement.run.folder
    now = fingerprint(train.x, train.y)
    return [
        f"the sampler {name} was fitted to other training data than there are now: 'zspace "
        f"fit-sampler {run} --sampler {name}' fits it anew"
        for name, data in known.items()
        if data != now
    ]


def versions() -> dict[str, str]:
    """The versions of zspace, PyTorch and Python, which are stored with figures."""
    return {
        "zspace": zspace.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _configuration(config: Mapping[str, Any]) -> str:
    """A checksum that is the same for runs that differ by nothing but their seeds."""
    return key({**comparable(config), "iterations": config.get("iterations"), "seed": None})


def _measured(
    measurement: Measurement, subject: Subject, names: Sequence[str], failures: list[str] | None
) -> dict[str, Any]:
    """A subject's figures by name.

    If `failures` is a list, metrics may fail, and the reasons are added to it.
    """
    figures: dict[str, Any] = {}
    for name in names:
        metric = METRICS[name]
        if subject.kind not in metric.kinds:
            continue
        if subject.kind == DATA and _pointless(name, subject is measurement.reference):
            continue
        measurement.progress.about(f"{name} of {subject.name}")(0)
        try:
            if subject.kind == DATA:
                measured = data_figures(measurement, subject, name)
            else:
                measured = metric.measure(measurement, subject)
        except InputError as error:
            if failures is None:
                raise
            failures.append(f"{name} of {subject.name} is left out: {error}")
            continue
        for column, figure in measured.items():
            figures[column or name] = {
                **figure.as_json(),
                "uncertainty": metric.how,
                **({"features": measurement.extractor.name} if metric.by_features else {}),
            }
    return figures


def _pointless(metric: str, reference: bool) -> bool:
    """Whether a metric would compare the reference with itself, or images with other labels."""
    if reference:
        return metric not in ("sharpness", "accuracy", "is", "pms", "ims")
    return metric == "accuracy"


def _applicable(names: Sequence[str], asked: bool, measurement: Measurement) -> list[str]:
    images = measurement.images
    # asked for only if a metric needs its logits, since it may have to be trained first
    logits = any("logits" in METRICS[name].needs for name in names)
    extractor = measurement.extractor if logits else None
    labelled = images.test.y is not None and bool((images.test.y >= 0).any())
    there = {
        "classifying": isinstance(measurement.model, Classifying),
        "images": images.is_image,
        "labels": labelled,
        "logits": extractor is not None and extractor.classifies,
        "told": extractor is not None and extractor.tells(images.classes),
        "classes": len(images.classes) > 1 and labelled,
    }
    lacking = {
        "images": "images, and these are vectors",
        "classifying": "a model with a classifier of its own, such as regene",
        "labels": "labels, and these data have none",
        "classes": "two classes or more",
        "logits": "a classifier's logits, and the features "
        f"{extractor.name if extractor else ''} have none",
        "told": "logits of the data's classes, and the features "
        f"{extractor.name if extractor else ''} tell others",
    }
    left: list[str] = []
    for name in names:
        missing = [need for need in sorted(METRICS[name].needs) if not there[need]]
        if missing and asked:
            raise InputError(f"the metric {name} needs {lacking[missing[0]]}")
        if not missing:
            left.append(name)
    return left
