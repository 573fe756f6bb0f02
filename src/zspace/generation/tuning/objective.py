"""The objective for a candidate theta of a classwise sampler (categorical generation, Eq. 4).

It consists of the mean cosine similarity of two images of a label (low if they are diverse) and the
accuracy of a classifier that was trained on reconstructions. All candidates use the same noise
(common random numbers), so that they differ by theta alone.
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
from zspace.metrics import Figure, accuracy, class_cosine, mean_figure
from zspace.samplers import Classwise

BAR = 0.97
"""The accuracy on reconstructed training images that the classifier should have (section 3.4)."""

SEEN = 10_000
"""The number of reconstructed training images, at most, on which that accuracy is measured."""

SHORT = 2.0
"""The least value of a candidate that misses the least accuracy, above all other values."""


@dataclass(frozen=True)
class Score:
    """The measures of a candidate's images, for each label of a group.

    Attributes:
        cosine: the mean cosine similarity of distinct pairs of images, (L,).
        accuracy: the classifier's accuracy, (L,); NaN for a label that was not judged.
    """

    cosine: Tensor
    accuracy: Tensor


@dataclass(frozen=True)
class Objective:
    """The paper's Equation 4 for a group of labels, or its constrained form.

        the mean over labels of cosine + 1 - accuracy

    With a least accuracy A, it is the mean cosine if every label has that accuracy, and otherwise
    2 + the sum of the differences to A, which is more than any cosine.

    Attributes:
        model: the model that decodes.
        sampler: the fitted sampler, which gives mu_y and sigma_y.
        judge: the classifier, which maps images to logits.
        noise: the noise (L, S, n, D), the same for every candidate.
        least: A, or None.
    """

    model: LatentModel
    sampler: Classwise
    judge: Callable[[Tensor], Tensor]
    noise: Tensor
    least: float | None = None

    def value(self, cosine: Tensor, accuracy: Tensor) -> float:
        """The objective's value for the cosines and accuracies, (L,) each, of a group's labels."""
        if self.least is None:
            return float((cosine + 1 - accuracy).mean())
        short = float((self.least - accuracy).clamp(min=0).sum())
        return float(cosine.mean()) if short == 0 else SHORT + short

    def images(self, theta: Tensor, average: int, label: int) -> Tensor:
        """The generated images of a label, uint8 (S, C, H, W).

        Args:
            theta: the thetas (L, 1 or D).
            average: the number of draws that are averaged.
            label: the label.
        """
        y = torch.full((self.noise.shape[1],), label, device=self.noise.device)
        z = self.sampler.codes(y, self.noise[label, :, :average], theta)
        return decoded(self.model, z)

    def right(self, x: Tensor, label: int) -> Tensor:
        """Whether the classifier assigns images to the label: (S,) of 0 and 1."""
        found = of_stored(self.judge, x, self.noise.device).argmax(1)
        return (found == label).cpu().double()

    def score(
        self, theta: Tensor, average: int, group: Sequence[int], bound: float = math.inf
    ) -> Score:
        """The cosines and accuracies of a group's labels.

        Labels are not judged any more once the value can't fall below `bound`, even if all other
        images were right.

        Args:
            theta: the thetas (L, 1 or D).
            average: the number of draws that are averaged.
            group: the labels.
            bound: the value below which the candidate is an improvement.
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
) -> tuple[Neutral, Figure]:
    """The paper's classifier (its Table 3), trained on a model's reconstructions.

    It is trained on reconstructed training images, and its accuracy is that on reconstructed test
    images.

    Args:
        model: the model.
        images: the data set, with labels.
        device: the device of the training.
        progress: told the progress of the training.

    Returns the classifier, and its accuracy on reconstructed training images.
    Raises:
        InputError: the data have no labels, or are no images of two classes or more.
    """
    rebuilt = replace(
        images,
        name=f"the reconstructions of {images.name}",
        train=Part(reconstructions(model, images.train.x), images.train.y),
        test=Part(reconstructions(model, images.test.x), images.test.y),
    )
    judge = neutral_classifier(rebuilt, arch="dropout-cnn", device=device, progress=progress)
    known = rebuilt.train.known()
    # at random, since data are often sorted by class
    order = torch.randperm(len(known), generator=torch.Generator().manual_seed(0))
    held = known.take(order[:SEEN])
    assert held.y is not None
    where = next(model.parameters()).device
    logits = of_stored(judge.net.to(where), held.x, where)
    return judge, mean_figure(accuracy(logits, held.y))


def below_bar(learned: Figure) -> str | None:
    """A warning about a classifier whose accuracy is too low, or None.

    Args:
        learned: its accuracy on reconstructed training images.
    """
    if learned.value >= BAR:
        return None
    return (
        f"the classifier's accuracy on reconstructed training images, {learned}, is below "
        f"{BAR:g}: what it says of generated images is as uncertain"
    )


def pair_cosine(x: Tensor) -> float:
    """The mean cosine similarity of distinct pairs of images, at most 1 despite rounding."""
    return min(1.0, class_cosine(x, torch.zeros(len(x)))[0])
