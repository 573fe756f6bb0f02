"""A classifier of rotations, which learns from images alone: a judge for data without labels.

Reference: Gidaris, Singh and Komodakis, Unsupervised Representation Learning by Predicting Image
Rotations (ICLR 2018).
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from zspace.core import Batches, Terms
from zspace.functional import classification_error
from zspace.functional.augmentation import TURNS, turned
from zspace.methods.classifier import Classifier


class Rotation(Classifier):
    """A classifier that tells by how many quarter turns, y = 0 to 3, an image was turned.

        min 1/N sum_i loss(X_i),   loss(X_i) = -1/K sum_y log F^y(g(X_i | y))   (Eq. 2 and 3)

    F^y is the network's probability of y turns (Eq. 1), g(X | y) the image after y of them, and K =
    4: each image of a batch is seen in all its turns. Departures: the network and its training are
    those of the neutral classifiers. An image is shifted and mirrored (`augment`) before it is
    turned, so that the edge that a shift leaves tells nothing of the turns.
    """

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, _ = next(batches)
        x, turns = turned(self.changed(x, batches))
        error = classification_error(self.net(x), turns, self.loss, self.loss_of)
        yield "classifier", {self.loss: error}


def told_turns(net: nn.Module, x: Tensor) -> Tensor:
    """The share of its four turns (N,) that a classifier of rotations tells, for each image.

    Args:
        net: maps images to logits (N, 4), in eval mode.
        x: square images (N, C, H, H) in [0, 1].
    """
    images, turns = turned(x)
    right = net(images).argmax(1) == turns
    return right.float().reshape(TURNS, -1).mean(0)
