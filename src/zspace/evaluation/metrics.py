"""The table of metrics that `evaluate` computes, with their subjects and their uncertainties.

A new metric is a function of tensors in `zspace.metrics` and one entry in `METRICS`, whose
`measure` passes the tensors of a run's measurement to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from zspace import metrics
from zspace.core import Classifying, Variational, codes
from zspace.data.images import choose_rows
from zspace.evaluation.measurement import (
    CODES,
    DATA,
    GENERATION,
    MOST,
    RECONSTRUCTION,
    Measurement,
    Subject,
)
from zspace.functional import blockwise
from zspace.metrics import Figure, jackknife, mean_figure, support

MOST_CODES = 4000
"""The largest number of codes for kernel densities, whose cost is quadratic."""

GROUPS, FEWER, WIDE = 20, 8, 512
"""The groups of a jackknife; the smaller number of groups, for more than 512 dimensions."""


Measure = Callable[[Measurement, Subject], dict[str, Figure]]


@dataclass(frozen=True)
class Metric:
    """A metric, which gives one or several figures of a subject.

    Attributes:
        about: a description in one line.
        columns: the figures' names, with "+" or "-" before one if higher or lower is better.
        kinds: the kinds of subjects to which it applies.
        measure: computes the figures from a measurement and a subject.
        how: where their uncertainty comes from.
        needs: what the data or the model must have: images, labels, logits, classes, classifying,
            or told, logits of the data's classes.
        by_features: whether it is computed from features.
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
        """The figures' names."""
        return [column.lstrip("+-") for column in self.columns.split()]


IMAGES = frozenset({"images"})
LOGITS = frozenset({"images", "logits"})
EVERY = RECONSTRUCTION, GENERATION, DATA
JACKKNIFE = f"jackknife, {GROUPS} groups ({FEWER} in more than {WIDE} dimensions)"
MEAN = "standard error of the mean over samples"
BOTH = MEAN + ", and jackknife over the set that they are held against, its balls being fixed"
FIXED = MEAN + ", the set that they are held against being fixed"


def _pairwise(function: Callable[[Tensor, Tensor], Tensor]) -> Measure:
    def measure(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
        return {"": mean_figure(function(measurement.test, subject.x))}

    return measure


def _groups(x: Tensor, y: Tensor) -> int:
    return min(GROUPS if x.shape[1] <= WIDE else FEWER, min(len(x), len(y)) // 2)


def _frechet(figure: Callable[..., Figure]) -> Measure:
    def measure(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
        x, y = measurement.features(measurement.reference), measurement.features(subject)
        # an image is left out together with its reconstruction
        paired = subject.kind == RECONSTRUCTION
        return {"": figure(x, y, groups=_groups(x, y), paired=paired, seed=measurement.seed)}

    return measure


def _kid(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
    x, y = measurement.features(measurement.reference), measurement.features(subject)
    paired = subject.kind == RECONSTRUCTION
    n = min(len(x), len(y)) // (2 if paired else 1)
    size = min(1000, n // 2)  # subsets that hold all samples would not differ
    kid, seed = metrics.kernel_inception_distance, measurement.seed
    mean, deviation = kid(x, y, size=size, paired=paired, seed=seed)
    # subsets of the same n samples vary by s^2 / size (1 - size / n), and all n by s^2 / n; between
    # equal distributions by s^2 / size^2, of which this makes up to three times too much
    return {"": Figure(mean, deviation * math.sqrt(size / (n - size)))}


def _inception_score(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
    mean, deviation = metrics.inception_score(
        measurement.features(subject, "logits"), seed=measurement.seed
    )
    return {"": Figure(mean, deviation / math.sqrt(10))}


def _prd(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
    x, y = measurement.features(measurement.reference), measurement.features(subject)
    f8, f18 = support.precision_recall_figures(x, y, seed=measurement.seed)
    return {"f8": f8, "f1/8": f18}


def _support(names: str, figures: Callable[[Tensor, Tensor], tuple[Figure, Figure]]) -> Measure:
    def measure(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
        x, y = measurement.features(measurement.reference), measurement.features(subject)
        return dict(zip(names.split(), figures(x, y), strict=True))

    return measure


def _pms(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
    return {"": mean_figure(metrics.memorisation_score(subject.x, measurement.training))}


def _ims(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
    training = measurement.features(measurement.memorised)
    return {"": mean_figure(metrics.memorisation_score(measurement.features(subject), training))}


def _sharpness(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
    return {"": mean_figure(blockwise(metrics.sharpness, subject.x))}


def _accuracy(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
    labels = subject.labels if subject.kind == GENERATION else measurement.labels
    if labels is None:  # the sampler knows no labels
        return {}
    logits, known = measurement.features(subject, "logits"), labels >= 0
    return {"": mean_figure(metrics.accuracy(logits[known], labels[known]))}


def _classified(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
    model = measurement.model
    assert isinstance(model, Classifying)
    assert measurement.labels is not None
    device = next(model.parameters()).device
    with torch.no_grad():
        p = blockwise(lambda z: model.probabilities(z.to(device)), measurement.means)
    known = measurement.known
    return {"": mean_figure(metrics.accuracy(p[known], measurement.labels[known]))}


def _met(measurement: Measurement, subject: Subject) -> tuple[Tensor, Tensor]:
    """The codes of test images, and the codes that a sampler has drawn."""
    assert subject.codes is not None
    return (measurement.draws if subject.name == "prior" else measurement.means), subject.codes


def _of_codes(distance: Callable[[Tensor, Tensor, int], float]) -> Measure:
    def measure(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
        (x, y), seed = _met(measurement, subject), measurement.seed
        groups = _groups(x, y)
        return {"": jackknife(lambda x, y: distance(x, y, seed), x, y, groups=groups, seed=seed)}

    return measure


_code_gap = _of_codes(lambda x, y, seed: metrics.prior_gap(x, y, seed=seed))
_code_marginals = _of_codes(lambda x, y, _: float(metrics.wasserstein_distance_1d(x, y).mean()))
_code_frechet = _of_codes(lambda x, y, _: metrics.frechet_distance(x, y))


def _code_jsd(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
    x, y = (z[:MOST_CODES] for z in _met(measurement, subject))
    return {"": metrics.jensen_shannon_divergence(x, y, seed=measurement.seed)}


def _entropy(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
    z = measurement.means[:MOST_CODES]
    return {"": metrics.differential_entropy(z, seed=measurement.seed)}


def _active(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
    relative = not isinstance(measurement.model, Variational)
    used = metrics.active_dimensions(metrics.activity(measurement.means), relative=relative)
    return {"": Figure(float(used.sum()), 0.0)}


def _probe(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
    train = measurement.images.train.take(
        choose_rows(len(measurement.images.train), MOST, measurement.seed)
    )
    assert train.y is not None
    assert measurement.labels is not None
    rows, known = (train.y >= 0).nonzero()[:, 0], measurement.known
    z, y = codes(measurement.model, train.take(rows).x).cpu(), train.y[rows]
    means, labels = measurement.means[known], measurement.labels[known]
    return {"": mean_figure(metrics.linear_probe(z, y, means, labels))}


def _cosine(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
    assert measurement.labels is not None

    def cosine(z: Tensor, labels: Tensor) -> float:
        by_class = metrics.class_cosine(z, labels).values()
        return sum(by_class) / max(1, len(by_class))

    z, labels = measurement.means[measurement.known], measurement.labels[measurement.known]
    groups, seed = min(GROUPS, len(z) // 2), measurement.seed
    return {"": jackknife(cosine, z, labels, groups=groups, paired=True, seed=seed)}


METRICS: dict[str, Metric] = {
    "mse": Metric(
        "mean squared error", "-mse", (RECONSTRUCTION,), _pairwise(metrics.mean_squared_error), MEAN
    ),
    "mae": Metric(
        "mean absolute error",
        "-mae",
        (RECONSTRUCTION,),
        _pairwise(metrics.mean_absolute_error),
        MEAN,
    ),
    "ssim": Metric(
        "structural similarity",
        "+ssim",
        (RECONSTRUCTION,),
        _pairwise(metrics.structural_similarity),
        MEAN,
        IMAGES,
    ),
    "sharpness": Metric(
        "sharpness (best near that of the test images)",
        "sharpness",
        EVERY,
        _sharpness,
        MEAN,
        IMAGES,
    ),
    "accuracy": Metric(
        "neutral classifier's accuracy (on generated images, if their sampler knows labels)",
        "+accuracy",
        EVERY,
        _accuracy,
        MEAN,
        LOGITS | {"labels", "told"},
        True,
    ),
    "fid": Metric(
        "Frechet distance",
        "-fid",
        EVERY,
        _frechet(partial(jackknife, metrics.frechet_distance)),
        JACKKNIFE,
        by_features=True,
    ),
    "fid-inf": Metric(
        "Frechet distance in the limit of many samples",
        "-fid-inf",
        EVERY,
        _frechet(metrics.frechet_limit),
        JACKKNIFE,
        by_features=True,
    ),
    "kid": Metric(
        "kernel inception distance",
        "-kid",
        EVERY,
        _kid,
        "at most the deviation over subsets, times sqrt(subset / (n - subset))",
        by_features=True,
    ),
    "is": Metric(
        "Inception Score",
        "+is",
        (GENERATION, DATA),
        _inception_score,
        "deviation over 10 splits, divided by sqrt(10)",
        LOGITS,
        True,
    ),
    "prd": Metric(
        "PRD: F8 weighs recall, F1/8 precision",
        "+f8 +f1/8",
        (GENERATION, DATA),
        _prd,
        "bootstrap of the samples, 20 times; the clusterings stay",
        by_features=True,
    ),
    "pr": Metric(
        "improved precision and recall",
        "+precision +recall",
        (GENERATION, DATA),
        _support("precision recall", support.improved_precision_recall_figures),
        BOTH,
        by_features=True,
    ),
    "dc": Metric(
        "density and coverage",
        "+density +coverage",
        (GENERATION, DATA),
        _support("density coverage", support.density_coverage_figures),
        BOTH,
        by_features=True,
    ),
    "pms": Metric(
        "mean distance to the nearest of n training images, pixels (best not below "
        "that of the test images)",
        "pms",
        (GENERATION, DATA),
        _pms,
        FIXED,
    ),
    "ims": Metric(
        "mean distance to the nearest of n training images, features (best not below "
        "that of the test images)",
        "ims",
        (GENERATION, DATA),
        _ims,
        FIXED,
        by_features=True,
    ),
    "gap": Metric(
        "codes to sampler: sliced W1 in units of the codes' width",
        "-gap",
        (GENERATION,),
        _code_gap,
        JACKKNIFE,
    ),
    "w1": Metric(
        "codes to sampler: exact W1 of the marginals, their mean",
        "-w1",
        (GENERATION,),
        _code_marginals,
        JACKKNIFE,
    ),
    "code-fid": Metric(
        "codes to sampler: Frechet distance", "-code-fid", (GENERATION,), _code_frechet, JACKKNIFE
    ),
    "jsd": Metric(
        "codes to sampler: KDE Jensen-Shannon divergence, nats",
        "-jsd",
        (GENERATION,),
        _code_jsd,
        MEAN + ", the densities and their halves being fixed",
    ),
    "entropy": Metric(
        "KDE entropy of the whitened codes, nats",
        "+entropy",
        (CODES,),
        _entropy,
        "jackknife, 10 groups",
    ),
    "active": Metric("dimensions of the code in use", "active", (CODES,), _active, "none"),
    "probe": Metric(
        "linear probe's accuracy", "+probe", (CODES,), _probe, MEAN, frozenset({"classes"})
    ),
    "classified": Metric(
        "accuracy of the model's own classifier on the test images",
        "+classified",
        (CODES,),
        _classified,
        MEAN,
        frozenset({"labels", "classifying"}),
    ),
    "cosine": Metric(
        "mean cosine of two codes of a class",
        "cosine",
        (CODES,),
        _cosine,
        JACKKNIFE,
        frozenset({"labels"}),
    ),
}
"""The metrics by name."""

DEFAULT = tuple(name for name in METRICS if name != "fid-inf")
"""The metrics that are computed by default, without fid-inf, which takes longer than all others."""


def better(column: str) -> str:
    """Which values of a figure are better, "higher" or "lower"; "" if neither."""
    for metric in METRICS.values():
        for named in metric.columns.split():
            if named.lstrip("+-") == column:
                return {"+": "higher", "-": "lower"}.get(named[0], "")
    return ""
