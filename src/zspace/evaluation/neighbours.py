"""The nearest training images of generated images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zspace import metrics
from zspace.evaluation.measurement import DATA, Measurement, Subject, generated
from zspace.functional import as_float


@dataclass(frozen=True)
class Neighbours:
    """Generated images and their nearest training images, by pixels and by features.

    Attributes:
        images: the generated images, uint8 (n, C, H, W).
        by_pixels, by_features: the indices (n, k) of the nearest training images.
        pixel_distances, feature_distances: their distances (n, k).
        features: the extractor's name; if it is "pixels", both are the same.
    """

    images: Tensor
    by_pixels: Tensor
    pixel_distances: Tensor
    by_features: Tensor
    feature_distances: Tensor
    features: str

    def rows(self, training: Tensor) -> tuple[Tensor, int]:
        """The images and the number of columns of a sheet.

        Each row has a generated image, the nearest training images by pixels and, if the features
        are others, the generated image again and the nearest training images by features.

        Args:
            training: all training images.
        """
        ways = [self.by_pixels] if self.features == "pixels" else [self.by_pixels, self.by_features]
        lines: list[Tensor] = []
        for i, image in enumerate(self.images):
            for found in ways:
                lines += [image[None], training[found[i]]]
        return as_float(torch.cat(lines)), len(ways) * (self.by_pixels.shape[1] + 1)


def neighbours(measurement: Measurement, sampler: str, n: int = 10, k: int = 7) -> Neighbours:
    """Generated images of a sampler, with the nearest training images of each.

    Args:
        measurement: the measurement.
        sampler: the sampler's name.
        n: the number of generated images.
        k: the number of nearest training images of each.
    """
    drawn = generated(measurement, sampler, n)
    training = Subject("all training images", DATA, measurement.images.train.x)
    pixel_distances, by_pixels = metrics.nearest(drawn.x, training.x, k)
    ours = measurement.features(Subject(f"{n} {sampler}", drawn.kind, drawn.x))
    feature_distances, by_features = metrics.nearest(ours, measurement.features(training), k)
    return Neighbours(
        drawn.x,
        by_pixels,
        pixel_distances,
        by_features,
        feature_distances,
        measurement.extractor.name,
    )
