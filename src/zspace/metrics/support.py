"""Precision and recall of samples: whether they lie among the data, and how much they cover."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zspace.errors import InputError
from zspace.functional.tensors import stream
from zspace.metrics.arrays import of_arrays
from zspace.metrics.distances import check_pair
from zspace.metrics.figure import Figure, mean_figure
from zspace.metrics.neighbours import QUERIES, REFERENCES, blocks, mean_vector, nearest, vectors

ANGLES = 1001
"""The number of points on a curve of precision and recall."""

INITIALISATIONS: Any = 10  # Any, since scikit-learn's annotation allows only a string
EPSILON = 1e-10

Curve = npt.NDArray[np.float64]
"""Precisions and recalls (2, ..., angles)."""


def precision_recall_curve(p: npt.ArrayLike, q: npt.ArrayLike, angles: int = ANGLES) -> Curve:
    """The attainable pairs of precision and recall (PRD) of a discrete distribution q against p.

    alpha(l) = sum_w min(l p(w), q(w)) is the precision and beta(l) = alpha(l) / l the recall, for
    l the tangents of `angles` angles that divide (0, pi/2) evenly.

    Args:
        p, q: probabilities (..., K) over the same K states, those of the reference and of the
            distribution that is judged.
        angles: the number of pairs.

    Returns (2, ..., angles), precisions and recalls in [0, 1].
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
    """The largest F_beta and the largest F_1/beta along a curve of precision and recall.

        F_b = (1 + b^2) precision recall / (b^2 precision + recall)

    Args:
        curve: (2, angles), from `precision_recall_curve`.
        beta: above 1, F_beta weighs recall more, and F_1/beta precision.

    Returns two numbers in [0, 1].
    Reference: Sajjadi et al. (2018), section 4.
    """
    precision, recall = curve

    def largest(b: float) -> float:
        f = (1 + b * b) * precision * recall / (b * b * precision + recall + EPSILON)
        return round(float(f.max()), 9)

    return largest(beta), largest(1 / beta)


@of_arrays
def precision_recall_distributions(
    reference: Tensor, generated: Tensor, *, clusters: int = 20, runs: int = 10, seed: int = 0
) -> tuple[float, float, Curve]:
    """Precision and recall for distributions (PRD) of two sets of features.

    The union of both sets is clustered by k-means (scikit-learn's mini-batch form, the best of 10
    initialisations), and the histograms of the two sets over the clusters are compared by
    `precision_recall_curve`. The curve is the mean over `runs` clusterings. Swapping the sets
    swaps precision and recall, apart from what the clusterings make of another order of samples.

    Args:
        reference, generated: (N, D) and (M, D). The larger set is reduced at random to the size of
            the smaller, since unequal sizes bias the clusters.
        clusters: the number of clusters of the union.
        runs: the number of clusterings.
        seed: the seed of the reduction and of the clusterings.

    Returns F_8, which weighs recall, F_1/8, which weighs precision, and the curve (2, 1001) of
    precisions and recalls.
    Raises:
        InputError: wrong shapes, NaN or infinite values, or fewer samples than clusters.

    Reference: Sajjadi et al. (2018), sections 3 and 4, with its parameters.
    """
    labels = cluster_labels(reference, generated, clusters=clusters, runs=runs, seed=seed)
    curve = _curve_of(labels, clusters)
    return *f_scores(curve), curve


def cluster_labels(
    reference: Tensor, generated: Tensor, *, clusters: int = 20, runs: int = 10, seed: int = 0
) -> npt.NDArray[np.int64]:
    """The cluster of each sample in several clusterings of the union of two sets.

    Args:
        reference, generated, clusters, runs, seed: what `precision_recall_distributions` takes.

    Returns (2, runs, n), with n the size of the smaller set; the reference comes first.
    """
    from sklearn.cluster import MiniBatchKMeans

    check_pair(reference, generated)
    n = min(len(reference), len(generated))
    if 2 * n < clusters:
        raise InputError(f"{n} and {n} samples are too few for {clusters} clusters")
    # the subset is random, since data are often sorted by class
    generator = torch.Generator().manual_seed(seed)
    halves = [
        x if len(x) == n else x[torch.randperm(len(x), generator=generator)[:n]]
        for x in (reference, generated)
    ]
    union = torch.cat([x.detach().cpu().float() for x in halves]).numpy()
    labels = np.empty((2, runs, n), np.int64)
    for run in range(runs):
        state = stream(seed, run) % (1 << 32)  # of nearby seeds, none is another's
        kmeans = MiniBatchKMeans(clusters, n_init=INITIALISATIONS, random_state=state)
        labels[:, run] = np.asarray(kmeans.fit(union).labels_).reshape(2, n)
    return labels


def _curve_of(labels: npt.NDArray[np.int64], clusters: int) -> Curve:
    """The mean PRD curve over several clusterings, from cluster labels (2, runs, n)."""
    shares = np.array([[np.bincount(own, minlength=clusters) for own in side] for side in labels])
    return precision_recall_curve(*(shares / labels.shape[2])).mean(1)


def precision_recall_figures(
    reference: Tensor, generated: Tensor, *, clusters: int = 20, repeats: int = 20, seed: int = 0
) -> tuple[Figure, Figure]:
    """F_8 and F_1/8 of `precision_recall_distributions`, with standard errors.

    The errors come from a bootstrap of the samples, with the clusterings fixed.

    Args:
        reference, generated, clusters, seed: what `precision_recall_distributions` takes.
        repeats: the number of bootstrap samples.
    """
    labels = cluster_labels(reference, generated, clusters=clusters, seed=seed)
    scores = f_scores(_curve_of(labels, clusters))
    n = labels.shape[2]
    rng = np.random.default_rng(seed)
    drawn: list[tuple[float, float]] = []
    for _ in range(repeats):
        # a bootstrap sample is the same in every clustering
        again = np.stack([side[:, rng.integers(n, size=n)] for side in labels])
        drawn.append(f_scores(_curve_of(again, clusters)))
    errors = np.std(drawn, axis=0, ddof=1)
    f8, f18 = (Figure(s, float(e)) for s, e in zip(scores, errors, strict=True))
    return f8, f18


@of_arrays
def improved_precision_recall(
    reference: Tensor, generated: Tensor, *, k: int = 3
) -> tuple[Tensor, Tensor]:
    """Improved precision and recall: whether each sample lies on the other set's manifold.

    A generated sample counts if it lies within the distance of some reference sample from that
    one's k-th neighbour in the reference set; a reference sample counts if the same holds with the
    roles swapped. The means are precision and recall.

    Args:
        reference, generated: (N, D) and (M, D), N and M above k.
        k: the neighbour that sets the radius of a sample's ball.

    Returns (M,) for the generated samples and (N,) for the reference samples, of 0 and 1.
    Raises:
        InputError: wrong shapes, too few samples, NaN or infinite values.

    Reference: Kynkaanniemi et al. (2019), Eq. 1-2.
    """
    check_pair(reference, generated, least=k + 1)
    precise = _held(generated, reference, _radii(reference, k)).held > 0
    recalled = _held(reference, generated, _radii(generated, k)).held > 0
    return precise.float(), recalled.float()


def improved_precision_recall_figures(
    reference: Tensor, generated: Tensor, *, k: int = 3
) -> tuple[Figure, Figure]:
    """Precision and recall of `improved_precision_recall`, with standard errors.

    They are of both sets: the variance of the mean over the samples that are judged, and that of
    the delete-one jackknife over the others, whose balls keep their radii. A ball that alone holds
    c of M samples takes c / M away with it. Of independent normal samples they are 1.1 to 1.8 times
    the deviation over draws of both.
    """
    check_pair(reference, generated, least=k + 1)
    figures: list[Figure] = []
    for own, others in ((generated, reference), (reference, generated)):
        found = _held(own, others, _radii(others, k))
        figures.append(_of_both(found.held > 0, found.sole_balls() / len(own)))
    return figures[0], figures[1]


@of_arrays
def density_coverage(reference: Tensor, generated: Tensor, *, k: int = 5) -> tuple[Tensor, Tensor]:
    """Density and coverage, for each sample; their means are the measures of those names.

    The ball of a reference sample reaches to its k-th neighbour in the reference set. The density
    at a generated sample is the number of balls that hold it, divided by k; its mean is 1 for equal
    distributions, and can be larger. A reference sample is covered if its ball holds a generated
    sample.

    Args:
        reference, generated: (N, D) and (M, D), N and M above k.
        k: the neighbour that sets the radius of a ball.

    Returns densities (M,) of the generated samples, multiples of 1/k, and the coverage (N,) of the
    reference samples, 0 or 1.
    Raises:
        InputError: wrong shapes, too few samples, NaN or infinite values.

    Reference: Naeem et al. (2020), Eq. 4 and 5.
    """
    check_pair(reference, generated, least=k + 1)
    found = _held(generated, reference, _radii(reference, k))
    return found.held.float() / k, (found.holding > 0).float()


def density_coverage_figures(
    reference: Tensor, generated: Tensor, *, k: int = 5
) -> tuple[Figure, Figure]:
    """Density and coverage of `density_coverage`, with standard errors.

    They are of both sets, as those of `improved_precision_recall_figures` are: without a reference
    sample whose ball holds n of M generated ones the density is n / (k M) lower, and without a
    generated sample that alone lies in c of N balls the coverage c / N. Of independent normal
    samples they are 0.8 to 1.4 times the deviation over draws of both.
    """
    check_pair(reference, generated, least=k + 1)
    found = _held(generated, reference, _radii(reference, k))
    return (
        _of_both(found.held / k, found.holding / (k * len(generated))),
        _of_both(found.holding > 0, found.sole_samples() / len(reference)),
    )


def _of_both(values: Tensor, lost: Tensor) -> Figure:
    """The mean of samples' values (N,), given what it loses without each of the others (M,)."""
    mean = mean_figure(values)
    lost = lost.double() - lost.double().mean()
    return Figure(mean.value, math.hypot(mean.error, float(lost.square().sum().sqrt())))


def _radii(x: Tensor, k: int) -> Tensor:
    """The distance of each sample from its k-th neighbour in its own set, (N,)."""
    return nearest(x, x, k, itself=False)[0][:, -1]


@dataclass(frozen=True)
class _Held:
    """Which samples lie in which balls, in whole numbers of double precision.

    Attributes:
        held: the number of balls that hold each sample, (N,).
        holding: the number of samples in each ball, (M,).
        ball: the sum of the numbers of the balls that hold each sample, (N,), the ball itself if it
            is one.
        sample: the sum of the numbers of the samples in each ball, (M,).
    """

    held: Tensor
    holding: Tensor
    ball: Tensor
    sample: Tensor

    def sole_balls(self) -> Tensor:
        """The number of samples that each ball (M,) alone holds."""
        return torch.bincount(self.ball[self.held == 1].long(), minlength=len(self.holding))

    def sole_samples(self) -> Tensor:
        """The number of balls in which each sample (N,) lies alone."""
        return torch.bincount(self.sample[self.holding == 1].long(), minlength=len(self.held))


def _held(samples: Tensor, centres: Tensor, radii: Tensor) -> _Held:
    """Which samples (N, D) lie in which balls, of these centres (M, D) and radii (M,)."""
    mean = mean_vector(centres, torch.float64)
    # duplicates lie exactly on a radius: so distances are computed in float64 from centred
    # vectors, with room for rounding
    room = 1e-6 * float((vectors(centres[:QUERIES]) - mean).square().sum(1).mean().sqrt())
    limits = radii.double() * (1 + 1e-6) + room
    rows, columns = (torch.arange(len(x)).to(limits) for x in (samples, centres))
    found = _Held(*(torch.zeros_like(x) for x in (rows, columns, rows, columns)))
    first = 0
    for q in blocks(samples, QUERIES):
        own = slice(first, first + len(q))
        start = 0
        for r in blocks(centres, REFERENCES):
            others = slice(start, start + len(r))
            apart = torch.cdist(vectors(q) - mean, vectors(r) - mean)
            inside = (apart <= limits[others]).double()
            found.held[own] += inside.sum(1)
            found.holding[others] += inside.sum(0)
            found.ball[own] += inside @ columns[others]
            found.sample[others] += rows[own] @ inside
            start += len(r)
        first += len(q)
    return found
