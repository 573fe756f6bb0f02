"""Precision and recall: whether what is generated lies where the data lie, and all over it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zspace.errors import InputError
from zspace.metrics.distances import check_pair
from zspace.metrics.figure import Figure
from zspace.metrics.neighbours import QUERIES, REFERENCES, nearest, vectors

ANGLES = 1001
INITIALISATIONS: Any = 10  # scikit-learn's annotation knows a text alone
EPSILON = 1e-10

Curve = npt.NDArray[np.float64]


def precision_recall_curve(p: npt.ArrayLike, q: npt.ArrayLike, angles: int = ANGLES) -> Curve:
    """PRD: the attainable pairs of precision and recall of q against p, both discrete.

    alpha(l) = sum_w min(l p(w), q(w)) is the precision and beta(l) = alpha(l) / l the recall, for
    l = tan of `angles` angles that divide (0, pi/2) evenly.

    Args:
        p, q: probabilities (..., K) over the same states, of the reference and of what is judged.

    Returns (2, ..., angles): precisions and recalls.
    Reference: Sajjadi et al. (2018), section 3.

    >>> curve = precision_recall_curve([0.5, 0.5], [0.5, 0.5])
    >>> f_scores(curve)
    (1.0, 1.0)
    """
    p, q = np.asarray(p, np.float64)[..., None], np.asarray(q, np.float64)[..., None]
    slopes = np.tan(np.linspace(EPSILON, np.pi / 2 - EPSILON, angles))
    precision = np.minimum(p * slopes, q).sum(-2)
    return np.clip(np.stack([precision, precision / slopes]), 0, 1)


def f_scores(curve: Curve, beta: float = 8) -> tuple[float, float]:
    """The largest F_beta and F_1/beta along a curve (2, angles): the first weighs recall.

    F_b = (1 + b^2) precision recall / (b^2 precision + recall). Reference: Sajjadi et al. (2018),
    section 4.
    """
    precision, recall = curve

    def largest(b: float) -> float:
        f = (1 + b * b) * precision * recall / (b * b * precision + recall + EPSILON)
        return round(float(f.max()), 9)

    return largest(beta), largest(1 / beta)


def precision_recall_distributions(
    reference: Tensor, generated: Tensor, *, clusters: int = 20, runs: int = 10, seed: int = 0
) -> tuple[float, float, Curve]:
    """PRD of two sets of features: (F_8, F_1/8, curve). F_8 weighs recall, F_1/8 precision.

    The union of both sets is clustered by k-means (scikit-learn's mini-batch form, the best of 10
    initialisations); the histograms of the two sets over the clusters are compared by
    `precision_recall_curve`; the curve is the mean over `runs` clusterings. Swapping the sets
    swaps precision and recall.

    Args:
        reference, generated: (N, D), (M, D); of the larger one as many as of the smaller are
            taken, since unequal sizes bias the clusters.

    Returns F_8, F_1/8, and the curve (2, 1001): precisions, recalls.
    Raises:
        InputError: fewer samples than clusters.

    Reference: Sajjadi et al. (2018), sections 3 and 4, with its parameters.
    """
    labels = cluster_labels(reference, generated, clusters=clusters, runs=runs, seed=seed)
    curve = _curve_of(labels, clusters)
    return *f_scores(curve), curve


def cluster_labels(
    reference: Tensor, generated: Tensor, *, clusters: int = 20, runs: int = 10, seed: int = 0
) -> npt.NDArray[np.int64]:
    """(2, runs, n): the cluster of each of n samples of either set, in clusterings of both."""
    from sklearn.cluster import MiniBatchKMeans

    check_pair(reference, generated)
    n = min(len(reference), len(generated))
    if 2 * n < clusters:
        raise InputError(f"{n} and {n} samples are too few for {clusters} clusters")
    # chosen at random: data are often sorted by class
    generator = torch.Generator().manual_seed(seed)
    halves = [
        x if len(x) == n else x[torch.randperm(len(x), generator=generator)[:n]]
        for x in (reference, generated)
    ]
    union = torch.cat([x.detach().cpu().float() for x in halves]).numpy()
    labels = np.empty((2, runs, n), np.int64)
    for run in range(runs):
        kmeans = MiniBatchKMeans(clusters, n_init=INITIALISATIONS, random_state=seed + run)
        labels[:, run] = np.asarray(kmeans.fit(union).labels_).reshape(2, n)
    return labels


def _curve_of(labels: npt.NDArray[np.int64], clusters: int) -> Curve:
    """The mean curve of several clusterings, from cluster labels (2, runs, n)."""
    shares = np.array([[np.bincount(own, minlength=clusters) for own in side] for side in labels])
    return precision_recall_curve(*(shares / labels.shape[2])).mean(1)


def precision_recall_figures(
    reference: Tensor, generated: Tensor, *, clusters: int = 20, repeats: int = 20, seed: int = 0
) -> tuple[Figure, Figure]:
    """F_8 and F_1/8 with standard errors by a bootstrap of the samples; the clusterings stay."""
    labels = cluster_labels(reference, generated, clusters=clusters, seed=seed)
    scores = f_scores(_curve_of(labels, clusters))
    n = labels.shape[2]
    rng = np.random.default_rng(seed)
    drawn: list[tuple[float, float]] = []
    for _ in range(repeats):
        # the same samples in every clustering
        again = np.stack([side[:, rng.integers(n, size=n)] for side in labels])
        drawn.append(f_scores(_curve_of(again, clusters)))
    errors = np.std(drawn, axis=0, ddof=1)
    f8, f18 = (Figure(s, float(e)) for s, e in zip(scores, errors, strict=True))
    return f8, f18


def improved_precision_recall(
    reference: Tensor, generated: Tensor, *, k: int = 3
) -> tuple[Tensor, Tensor]:
    """Precision and recall by k-nearest-neighbour manifolds, for each sample: (M,), (N,) of 0, 1.

    A generated sample counts where it lies within the distance of some reference sample to its
    k-th neighbour among the reference; a reference sample counts likewise, with the roles
    swapped. The means are precision and recall.

    Reference: Kynkaanniemi et al. (2019), Eq. 1-2.
    """
    check_pair(reference, generated, least=k + 1)
    precise = _within(generated, reference, _radii(reference, k)) > 0
    recalled = _within(reference, generated, _radii(generated, k)) > 0
    return precise.float(), recalled.float()


def density_coverage(reference: Tensor, generated: Tensor, *, k: int = 5) -> tuple[Tensor, Tensor]:
    """Density and coverage, for each sample: (M,) of multiples of 1/k, (N,) of 0 and 1.

    Density counts, for a generated sample, the reference samples within whose k-th neighbour's
    distance it lies, divided by k (its mean is 1 for equal distributions, and can be more).
    A reference sample is covered where some generated one lies within its k-th neighbour's
    distance.

    Reference: Naeem et al. (2020), Eq. 4 and 5.
    """
    check_pair(reference, generated, least=k + 1)
    radii = _radii(reference, k)
    density = _within(generated, reference, radii) / k
    covered = nearest(reference, generated)[0][:, 0] <= radii
    return density, covered.float()


def _radii(x: Tensor, k: int) -> Tensor:
    """The distance of each sample to its k-th neighbour in its own set."""
    return nearest(x, x, k, itself=False)[0][:, -1]


def _within(queries: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
    """How many balls of these centres and radii hold each query, (N,) floats."""
    counts: list[Tensor] = []
    mean = vectors(centres).double().mean(0)
    # duplicates lie exactly on a radius: products of numbers near the mean, in float64, and room
    # for their rounding
    room = 1e-6 * float((vectors(centres[:QUERIES]) - mean).square().sum(1).mean().sqrt())
    limits = radii.double() * (1 + 1e-6) + room
    for q in queries.split(QUERIES):
        count = torch.zeros(len(q), device=q.device)
        for r, limit in zip(centres.split(REFERENCES), limits.split(REFERENCES), strict=True):
            count += (torch.cdist(vectors(q) - mean, vectors(r) - mean) <= limit).sum(1)
        counts.append(count)
    return torch.cat(counts)
