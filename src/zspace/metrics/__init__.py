"""Metrics: functions of tensors that return numbers.

Sets of vectors are (N, D), one sample in each row; images are (N, C, H, W), floats in [0, 1] or
uint8. NumPy arrays are taken as well as tensors, and answered in arrays. The order of arguments
matters: the reference set, or the data, comes first. A `Figure` is a value with its uncertainty.
"""

from zspace.metrics.distances import (
    kernel_inception_distance,
    sliced_wasserstein_distance,
    wasserstein_distance,
    wasserstein_distance_1d,
)
from zspace.metrics.figure import Figure, jackknife, mean_figure
from zspace.metrics.frechet import BiasWarning, frechet_distance, frechet_limit
from zspace.metrics.images import (
    accuracy,
    class_cosine,
    inception_score,
    mean_absolute_error,
    mean_squared_error,
    sharpness,
    structural_similarity,
)
from zspace.metrics.latent import (
    active_dimensions,
    activity,
    differential_entropy,
    jensen_shannon_divergence,
    linear_probe,
    prior_gap,
)
from zspace.metrics.neighbours import memorisation_score, nearest
from zspace.metrics.support import (
    density_coverage,
    f_scores,
    improved_precision_recall,
    precision_recall_curve,
    precision_recall_distributions,
)

__all__ = [
    "BiasWarning",
    "Figure",
    "accuracy",
    "active_dimensions",
    "activity",
    "class_cosine",
    "density_coverage",
    "differential_entropy",
    "f_scores",
    "frechet_distance",
    "frechet_limit",
    "improved_precision_recall",
    "inception_score",
    "jackknife",
    "jensen_shannon_divergence",
    "kernel_inception_distance",
    "linear_probe",
    "mean_absolute_error",
    "mean_figure",
    "mean_squared_error",
    "memorisation_score",
    "nearest",
    "precision_recall_curve",
    "precision_recall_distributions",
    "prior_gap",
    "sharpness",
    "sliced_wasserstein_distance",
    "structural_similarity",
    "wasserstein_distance",
    "wasserstein_distance_1d",
]
