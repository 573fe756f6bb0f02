"""What a candidate theta of a classwise sampler is judged by (categorical generation, Eq. 4).

The mean cosine similarity of two images of a label (low where they are diverse) and the accuracy
of a classifier that was trained on reconstructions. Every candidate sees the same noise (common
random numbers), so that two of them differ by theta alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from zspace.core import SILENT, LatentModel, Progress, decoded, reconstructions
from zspace.data import Images
from zspace.data.images import Part
from zspace.features.classifier import Neutral, neutral_classifier
from zspace.functional import of_stored
from zspace.metrics import class_cosine
from zspace.samplers import Classwise

BAR = 0.97
"""Accuracy on reconstructions that the classifier should have."""
SHORT = 2.0
"""The least value of a candidate that is short of a least accuracy: above any other."""


@dataclass(frozen=True)
class Score:
    """What a candidate generates, by label: (L,) each.

    Attributes:
        cosine: mean cosine similarity of distinct pairs of images.
        accuracy: NaN where it made no difference.
    """

    cosine: Tensor
    accuracy: Tensor


@dataclass(frozen=True)
class Objective:
    """The paper's Equation 4 for a group of labels, or its constrained form.

        mean over labels of cosine + 1 - accuracy
        with a least accuracy A: the mean cosine where every label has it, else 2 + sum of what is
        missing to A, which is more than any cosine

    Attributes:
        model: decodes.
        sampler: fitted; its mu_y and sigma_y.
        judge: images to logits.
        noise: (L, S, n, D), the same for every candidate.
        least: A, or None.
    """

    model: LatentModel
    sampler: Classwise
    judge: Callable[[Tensor], Tensor]
    noise: Tensor
    least: float | None = None

    def value(self, cosine: Tensor, accuracy: Tensor) -> float:
        """Of cosines and accuracies (L,) of a group's labels."""
        if self.least is None:
            return float((cosine + 1 - accuracy).mean())
        short = float((self.least - accuracy).clamp(min=0).sum())
        return float(cosine.mean()) if short == 0 else SHORT + short

    def images(self, theta: Tensor, average: int, label: int) -> Tensor:
        """Stored images (S, C, H, W) of a label, theta (L, 1 or D)."""
        y = torch.full((self.noise.shape[1],), label, device=self.noise.device)
        z = self.sampler.codes(y, self.noise[label, :, :average], theta)
        return decoded(self.model, z)

    def right(self, x: Tensor, label: int) -> Tensor:
        """Whether the judge takes images for the label's: (S,) of 0 and 1."""
        found = of_stored(self.judge, x, self.noise.device).argmax(1)
        return (found == label).double().cpu()

    def score(
        self, theta: Tensor, average: int, group: Sequence[int], bound: float = math.inf
    ) -> Score:
        """Cosine and accuracy of a group's labels.

        Labels are no longer judged once the value can't fall below `bound`, were all others right.

        Args:
            theta: (L, 1 or D).
        """
        images = [self.images(theta, average, label) for label in group]
        cosine = torch.tensor([pair_cosine(x) for x in images], dtype=torch.float64)
        accuracy = torch.full_like(cosine, math.nan)
        for i, label in enumerate(group):
            if self.value(cosine, accuracy.nan_to_num(1.0)) >= bound:
                break
            accuracy[i] = self.right(images[i], label).mean()
        return Score(cosine, accuracy)


def reconstruction_classifier(
    model: LatentModel, images: Images, *, device: str = "auto", progress: Progress = SILENT
) -> Neutral:
    """The paper's classifier (its Table 3) of a model's reconstructions: trained on those of the
    training images, its accuracy is that on those of the test images."""
    rebuilt = replace(
        images,
        name=f"the reconstructions of {images.name}",
        train=Part(reconstructions(model, images.train.x), images.train.y),
        test=Part(reconstructions(model, images.test.x), images.test.y),
    )
    return neutral_classifier(rebuilt, arch="dropout-cnn", device=device, progress=progress)


def below_bar(judge: Neutral) -> str | None:
    """What is to be said of a classifier that is not as good as it should be."""
    if judge.accuracy.value >= BAR:
        return None
    return (
        f"the classifier's accuracy on reconstructed test images, {judge.accuracy}, is below "
        f"{BAR:g}: what it says of generated images is as uncertain"
    )


def pair_cosine(x: Tensor) -> float:
    """The mean cosine similarity of distinct pairs of images; of equal ones 1, not a bit more."""
    return min(1.0, class_cosine(x, torch.zeros(len(x)))[0])
