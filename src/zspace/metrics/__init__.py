"""Metrics: functions of tensors that return numbers."""

from zspace.metrics.distances import frechet_distance, wasserstein_distance

__all__ = ["frechet_distance", "wasserstein_distance"]
