"""Evaluation: a run in, its figures out, each with its uncertainty and what it was measured by.

What is measured is a `Subject`: the reconstructions of test images, or what a sampler's codes are
decoded to. Two more stand beside them as a scale: other training images, and the test images
themselves. All are compared with the same n test images, the reference; memorisation with n
training images. Generated images are rounded to the 256 levels in which they would be stored.
"""

from __future__ import annotations

import math
import platform
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import zspace
from zspace import metrics
from zspace.bench import (
    CODES,
    DATA,
    GENERATION,
    MOST,
    RECONSTRUCTION,
    Bench,
    Subject,
    bench_of,
    choose_rows,
    generated,
    own_samplers,
    reconstructed,
)  # fmt: skip
from zspace.cache import fingerprint, key
from zspace.catalogue import check_drawn
from zspace.core import Classifying, Variational, blockwise, codes
from zspace.errors import InputError, unknown
from zspace.fitting import weights_fingerprint
from zspace.metrics import Figure, jackknife, mean_figure
from zspace.metrics.support import precision_recall_figures
from zspace.run import comparable

MOST_CODES = 4000
"""Codes between which kernel densities are taken, whose cost is quadratic."""

GROUPS, FEWER, WIDE = 20, 8, 512
"""Groups of a jackknife; fewer for distances in more than 512 dimensions."""


Measure = Callable[[Bench, Subject], dict[str, Figure]]


@dataclass(frozen=True)
class Metric:
    """One or several figures of a kind of subject.

    Attributes:
        about: for people.
        columns: the figures' names; "+" or "-" before one says that higher or lower is better.
        kinds: of subjects that have it: reconstruction, generation, data, codes.
        measure: the figures.
        how: where their uncertainty comes from.
        needs: what must be there: images, labels, logits.
        by_features: the figure is one of the features.
    """

    about: str
    columns: str
    kinds: tuple[str, ...]
    measure: Measure
    how: str
    needs: frozenset[str] = frozenset()
    by_features: bool = False

    @property
    def names(self) -> list[str]:
        return [column.lstrip("+-") for column in self.columns.split()]


IMAGES = frozenset({"images"})
LOGITS = frozenset({"images", "logits"})
EVERY = RECONSTRUCTION, GENERATION, DATA
JACKKNIFE = f"jackknife, {GROUPS} groups ({FEWER} in more than {WIDE} dimensions)"
MEAN = "standard error of the mean over samples"
FIXED = MEAN + ", the set that they are held against being fixed"


def _pairwise(function: Callable[[Tensor, Tensor], Tensor]) -> Measure:
    def measure(bench: Bench, subject: Subject) -> dict[str, Figure]:
        return {"": mean_figure(function(bench.test, subject.x))}

    return measure


def _distance(
    measure: Callable[[Tensor, Tensor], float], x: Tensor, y: Tensor, seed: int
) -> dict[str, Figure]:
    groups = min(GROUPS if x.shape[1] <= WIDE else FEWER, min(len(x), len(y)) // 2)
    return {"": jackknife(measure, x, y, groups=groups, seed=seed)}


def _fid(bench: Bench, subject: Subject) -> dict[str, Figure]:
    x, y = bench.features(bench.reference), bench.features(subject)
    return _distance(metrics.frechet_distance, x, y, bench.seed)


def _fid_inf(bench: Bench, subject: Subject) -> dict[str, Figure]:
    def limit(x: Tensor, y: Tensor) -> float:
        return metrics.frechet_distance(x, y, limit=True, seed=bench.seed)

    x, y = bench.features(bench.reference), bench.features(subject)
    return _distance(limit, x, y, bench.seed)


def _kid(bench: Bench, subject: Subject) -> dict[str, Figure]:
    x, y = bench.features(bench.reference), bench.features(subject)
    n = min(len(x), len(y))
    size = min(1000, n // 2)  # subsets of all samples would not differ
    mean, deviation = metrics.kernel_inception_distance(x, y, size=size, seed=bench.seed)
    return {"": Figure(mean, deviation * math.sqrt(size / n))}


def _inception_score(bench: Bench, subject: Subject) -> dict[str, Figure]:
    mean, deviation = metrics.inception_score(bench.features(subject, "logits"), seed=bench.seed)
    return {"": Figure(mean, deviation / math.sqrt(10))}


def _prd(bench: Bench, subject: Subject) -> dict[str, Figure]:
    x, y = bench.features(bench.reference), bench.features(subject)
    f8, f18 = precision_recall_figures(x, y, seed=bench.seed)
    return {"f8": f8, "f1/8": f18}


def _precision_recall(bench: Bench, subject: Subject) -> dict[str, Figure]:
    x, y = bench.features(bench.reference), bench.features(subject)
    precise, recalled = metrics.improved_precision_recall(x, y)
    return {"precision": mean_figure(precise), "recall": mean_figure(recalled)}


def _density_coverage(bench: Bench, subject: Subject) -> dict[str, Figure]:
    x, y = bench.features(bench.reference), bench.features(subject)
    density, covered = metrics.density_coverage(x, y)
    return {"density": mean_figure(density), "coverage": mean_figure(covered)}


def _pms(bench: Bench, subject: Subject) -> dict[str, Figure]:
    return {"": mean_figure(metrics.memorisation_score(subject.x, bench.training))}


def _ims(bench: Bench, subject: Subject) -> dict[str, Figure]:
    training = bench.features(bench.memorised)
    return {"": mean_figure(metrics.memorisation_score(bench.features(subject), training))}


def _sharpness(bench: Bench, subject: Subject) -> dict[str, Figure]:
    return {"": mean_figure(blockwise(metrics.sharpness, subject.x))}


def _accuracy(bench: Bench, subject: Subject) -> dict[str, Figure]:
    labels = subject.labels if subject.kind == GENERATION else bench.labels
    if labels is None:  # a sampler that knows none
        return {}
    return {"": mean_figure(metrics.accuracy(bench.features(subject, "logits"), labels))}


def _classified(bench: Bench, subject: Subject) -> dict[str, Figure]:
    model = bench.model
    assert isinstance(model, Classifying)
    assert bench.labels is not None
    device = next(model.parameters()).device
    with torch.no_grad():
        p = blockwise(lambda z: model.probabilities(z.to(device)), bench.means)
    return {"": mean_figure(metrics.accuracy(p, bench.labels))}


def _met(bench: Bench, subject: Subject) -> tuple[Tensor, Tensor]:
    """Codes of test images and those that were drawn for them."""
    assert subject.codes is not None
    return (bench.draws if subject.name == "prior" else bench.means), subject.codes


def _code_gap(bench: Bench, subject: Subject) -> dict[str, Figure]:
    def gap(x: Tensor, y: Tensor) -> float:
        return metrics.prior_gap(x, y, seed=bench.seed)

    return _distance(gap, *_met(bench, subject), bench.seed)


def _code_marginals(bench: Bench, subject: Subject) -> dict[str, Figure]:
    def marginals(x: Tensor, y: Tensor) -> float:
        return float(metrics.wasserstein_distance_1d(x, y).mean())

    return _distance(marginals, *_met(bench, subject), bench.seed)


def _code_frechet(bench: Bench, subject: Subject) -> dict[str, Figure]:
    return _distance(metrics.frechet_distance, *_met(bench, subject), bench.seed)


def _code_jsd(bench: Bench, subject: Subject) -> dict[str, Figure]:
    x, y = (z[:MOST_CODES] for z in _met(bench, subject))
    return {"": metrics.jensen_shannon_divergence(x, y, seed=bench.seed)}


def _entropy(bench: Bench, subject: Subject) -> dict[str, Figure]:
    return {"": metrics.differential_entropy(bench.means[:MOST_CODES])}


def _active(bench: Bench, subject: Subject) -> dict[str, Figure]:
    relative = not isinstance(bench.model, Variational)
    used = metrics.active_dimensions(metrics.activity(bench.means), relative=relative)
    return {"": Figure(float(used.sum()), 0.0)}


def _probe(bench: Bench, subject: Subject) -> dict[str, Figure]:
    train = bench.images.train.take(choose_rows(len(bench.images.train), MOST, bench.seed))
    assert train.y is not None
    assert bench.labels is not None
    z = codes(bench.model, train.x).cpu()
    return {"": mean_figure(metrics.linear_probe(z, train.y, bench.means, bench.labels))}


def _cosine(bench: Bench, subject: Subject) -> dict[str, Figure]:
    assert bench.labels is not None

    def cosine(z: Tensor, labels: Tensor) -> float:
        by_class = metrics.class_cosine(z, labels).values()
        return sum(by_class) / max(1, len(by_class))

    groups = min(GROUPS, len(bench.means) // 2)
    return {"": jackknife(cosine, bench.means, bench.labels, groups=groups, paired=True)}


METRICS: dict[str, Metric] = {
    "mse": Metric("mean squared error", "-mse", (RECONSTRUCTION,),
                  _pairwise(metrics.mean_squared_error), MEAN),
    "mae": Metric("mean absolute error", "-mae", (RECONSTRUCTION,),
                  _pairwise(metrics.mean_absolute_error), MEAN),
    "ssim": Metric("structural similarity", "+ssim", (RECONSTRUCTION,),
                   _pairwise(metrics.structural_similarity), MEAN, IMAGES),
    "sharpness": Metric("sharpness (best near that of the test images)", "sharpness", EVERY,
                        _sharpness, MEAN, IMAGES),
    "accuracy": Metric("neutral classifier's accuracy (of generated images, where their sampler "
                       "knows labels)", "+accuracy", EVERY, _accuracy, MEAN, LOGITS | {"labels"},
                       True),
    "fid": Metric("Frechet distance", "-fid", EVERY, _fid, JACKKNIFE, by_features=True),
    "fid-inf": Metric("Frechet distance in the limit of many samples", "-fid-inf", EVERY,
                      _fid_inf, JACKKNIFE, by_features=True),
    "kid": Metric("kernel inception distance", "-kid", EVERY, _kid,
                  "deviation over subsets, times sqrt(subset / n)", by_features=True),
    "is": Metric("Inception Score", "+is", (GENERATION, DATA), _inception_score,
                 "deviation over 10 splits, divided by sqrt(10)", LOGITS, True),
    "prd": Metric("PRD: F8 weighs recall, F1/8 precision", "+f8 +f1/8", (GENERATION, DATA), _prd,
                  "bootstrap of the samples, 20 times; the clusterings stay", by_features=True),
    "pr": Metric("improved precision and recall", "+precision +recall", (GENERATION, DATA),
                 _precision_recall, FIXED, by_features=True),
    "dc": Metric("density and coverage", "+density +coverage", (GENERATION, DATA),
                 _density_coverage, FIXED, by_features=True),
    "pms": Metric("mean distance to the nearest of n training images, pixels (best not below "
                  "that of the test images)", "pms", (GENERATION, DATA), _pms, FIXED),
    "ims": Metric("likewise, features", "ims", (GENERATION, DATA), _ims, FIXED, by_features=True),
    "gap": Metric("codes to sampler: sliced W1 in units of the codes' width", "-gap",
                  (GENERATION,), _code_gap, JACKKNIFE),
    "w1": Metric("codes to sampler: exact W1 of the marginals, their mean", "-w1", (GENERATION,),
                 _code_marginals, JACKKNIFE),
    "code-fid": Metric("codes to sampler: Frechet distance", "-code-fid", (GENERATION,),
                       _code_frechet, JACKKNIFE),
    "jsd": Metric("codes to sampler: KDE Jensen-Shannon divergence, nats", "-jsd", (GENERATION,),
                  _code_jsd, MEAN),
    "entropy": Metric("KDE entropy of the whitened codes, nats", "+entropy", (CODES,), _entropy,
                      "jackknife, 10 groups"),
    "active": Metric("dimensions of the code in use", "active", (CODES,), _active, "none"),
    "probe": Metric("linear probe's accuracy", "+probe", (CODES,), _probe, MEAN,
                    frozenset({"classes"})),
    "classified": Metric("accuracy of the model's own classifier on the test images", "+classified",
                         (CODES,), _classified, MEAN, frozenset({"labels", "classifying"})),
    "cosine": Metric("cosine of codes of a class", "cosine", (CODES,), _cosine,
                     JACKKNIFE, frozenset({"labels"})),
}  # fmt: skip
"""By name. Left out unless asked for: fid-inf, which takes longer than all others."""

DEFAULT = tuple(name for name in METRICS if name != "fid-inf")


def better(column: str) -> str:
    """Whether "higher" or "lower" values of a figure are better; "" where neither is."""
    for metric in METRICS.values():
        for named in metric.columns.split():
            if named.lstrip("+-") == column:
                return {"+": "higher", "-": "lower"}.get(named[0], "")
    return ""


def evaluate(
    run: str | Path,
    *,
    metrics: Sequence[str] | None = None,
    samplers: Sequence[str] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Measure a run; the result is what `evaluation.json` holds.

    Args:
        metrics: names of `METRICS`; unset: all that apply but fid-inf.
        samplers: names of samplers; unset: the model's own, and those stored in the run (normal and
            mixture, where there are neither).
        options: those of `bench_of`.

    Raises:
        InputError: anything that was asked for can't be had.
    """
    began = time.monotonic()
    for name in metrics or ():
        if name not in METRICS:
            raise unknown("metric", name, METRICS)
    for name in samplers or ():
        check_drawn(name)
    result = measure(bench_of(run, **options), metrics=metrics, samplers=samplers)
    return {**result, "seconds": round(time.monotonic() - began, 1)}


def measure(
    bench: Bench,
    *,
    metrics: Sequence[str] | None = None,
    samplers: Sequence[str] | None = None,
) -> dict[str, Any]:
    """`evaluate` of a run whose bench is there already."""
    began = time.monotonic()
    names = list(dict.fromkeys(DEFAULT if metrics is None else metrics))
    names = _applicable(names, metrics is not None, bench)
    chosen = own_samplers(bench) if samplers is None else list(dict.fromkeys(samplers))
    # first of all: features that can't be had, or say nothing, spoil the whole
    seen = any(METRICS[name].by_features for name in names)
    if seen and not float(bench.features(bench.reference).std(0).max()) > 1e-12:
        raise InputError(
            f"the features {bench.extractor.name} are the same for all test samples: they tell "
            "nothing apart"
        )
    subjects = [
        reconstructed(bench),
        *(generated(bench, name) for name in chosen),
        bench.others,
        bench.reference,
        Subject("codes", CODES, bench.test[:0]),
    ]
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", zspace.metrics.BiasWarning)
        for subject in subjects:
            figures = _measured(bench, subject, names, None if metrics is not None else failures)
            if figures:
                n = len(subject.x) or len(bench.test)
                row = {"subject": subject.name, "kind": subject.kind, "n": n, "figures": figures}
                rows.append(row)
    notes = list(dict.fromkeys(
        str(w.message) for w in caught if issubclass(w.category, zspace.metrics.BiasWarning)
    )) + failures  # fmt: skip
    return {
        "run": str(bench.run.folder),
        "recipe": bench.run.config.get("recipe"),
        "configuration": _configuration(bench.run.config),
        "data": bench.images.name,
        "test": fingerprint(bench.images.test.x),
        "reference": fingerprint(bench.test),
        "reference_part": "test",
        "n": len(bench.test),
        "memorisation_n": len(bench.training),
        "seed": bench.seed,
        "complete": metrics is None,
        "features": bench.extractor.name,
        "features_asked": bench.asked,
        "features_identity": bench.extractor.identity,
        "model": weights_fingerprint(bench.model),
        "checkpoint": bench.checkpoint,
        "rows": rows,
        "notes": notes,
        "seconds": round(time.monotonic() - began, 1),
        "versions": versions(),
    }  # fmt: skip


def versions() -> dict[str, str]:
    """Of what a figure was computed with."""
    return {
        "zspace": zspace.__version__, "torch": torch.__version__,
        "python": platform.python_version(),
    }  # fmt: skip


def _configuration(config: Mapping[str, Any]) -> str:
    """What runs have in common that differ by nothing but their seeds."""
    return key({**comparable(config), "iterations": config.get("iterations"), "seed": None})


def _measured(
    bench: Bench, subject: Subject, names: Sequence[str], failures: list[str] | None
) -> dict[str, Any]:
    """A subject's figures. Metrics that nobody asked for may fail: `failures` says why."""
    figures: dict[str, Any] = {}
    for name in names:
        metric = METRICS[name]
        if subject.kind not in metric.kinds:
            continue
        if subject.kind == DATA and _pointless(name, subject.name):
            continue
        if bench.progress is not None:
            bench.progress(f"{name} of {subject.name}", 0, 1)
        try:
            measured = metric.measure(bench, subject)
        except InputError as error:
            if failures is None:
                raise
            failures.append(f"{name} of {subject.name} is left out: {error}")
            continue
        for column, figure in measured.items():
            figures[column or name] = {
                **figure.as_json(),
                "uncertainty": metric.how,
                **({"features": bench.extractor.name} if metric.by_features else {}),
            }
    return figures


def _pointless(metric: str, subject: str) -> bool:
    """A figure that would hold the reference against itself, or images against other labels."""
    if subject == "test images":
        return metric not in ("sharpness", "accuracy", "is", "pms", "ims")
    return metric == "accuracy"


def _applicable(names: Sequence[str], asked: bool, bench: Bench) -> list[str]:
    images, extractor = bench.images, bench.extractor
    there = {
        "classifying": isinstance(bench.model, Classifying),
        "images": images.is_image,
        "labels": images.test.y is not None,
        "logits": extractor.logits is not None,
        "classes": len(images.classes) > 1 and images.test.y is not None,
    }
    lacking = {
        "images": "images, and these are vectors",
        "classifying": "a model with a classifier of its own, such as regene",
        "labels": "labels, and these data have none",
        "classes": "two classes or more",
        "logits": f"a classifier's logits, and the features {extractor.name} have none",
    }
    left: list[str] = []
    for name in names:
        missing = [need for need in sorted(METRICS[name].needs) if not there[need]]
        if missing and asked:
            raise InputError(f"the metric {name} needs {lacking[missing[0]]}")
        if not missing:
            left.append(name)
    return left
