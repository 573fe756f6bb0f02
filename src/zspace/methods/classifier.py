"""A classifier, which evaluation uses as a judge, and ReGene as its first stage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from zspace.core import Batches, Method, Terms, always
from zspace.errors import InputError
from zspace.functional import ClassLoss, LossOf, classification_error
from zspace.functional.augmentation import mirrored, shifted
from zspace.training import adam

Augment = Literal["none", "crop", "crop-flip"]
SHIFT = 4
"""The largest shift of a training image, in pixels."""


class Classifier(Method):
    """A classifier that minimises the cross-entropy -(1/N) sum_i log p(y_i | x_i) or another loss.

    Args:
        net: maps images (N, C, H, W) to logits (N, K).
        optimizer: "adam", or "sgd" with momentum 0.9 and weight decay 1e-4.
        rate: the learning rate; None means 1e-3 for Adam and 0.1 for SGD.
        loss, loss_of: a loss of `zspace.functional.classification_error`, and what it is of.
        augment: the random changes of training images: "crop" shifts them by up to 4 pixels and
            fills with zeros; "crop-flip" also mirrors half of them.

    Reference: He et al., Deep Residual Learning (2016), section 4.2, for SGD and augmentation.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        optimizer: Literal["adam", "sgd"] = "adam",
        rate: float | None = None,
        loss: ClassLoss = "cross-entropy",
        loss_of: LossOf = "softmax",
        augment: Augment = "none",
    ) -> None:
        super().__init__()
        self.net, self.optimizer, self.augment = net, optimizer, augment
        self.rate = rate or (1e-3 if optimizer == "adam" else 0.1)
        self.loss: ClassLoss = loss
        self.loss_of: LossOf = loss_of

    def forward(self, x: Tensor) -> Tensor:
        """The logits (N, K) of images (N, C, H, W) in [0, 1]."""
        logits: Tensor = self.net(x)
        return logits

    def optimizers(self) -> dict[str, Optimizer]:
        if self.optimizer == "adam":
            return {"classifier": adam(self.net.parameters(), self.rate)}
        sgd = SGD(self.net.parameters(), self.rate, momentum=0.9, weight_decay=1e-4)
        return {"classifier": sgd}

    def changed(self, x: Tensor, batches: Batches) -> Tensor:
        """The images of a batch after the random changes of `augment`."""
        if self.augment != "none":
            x = shifted(x, batches.uniform(2), SHIFT)
        if self.augment == "crop-flip":
            x = mirrored(x, batches.uniform(1)[:, 0])
        return x

    repeats = always

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        x, y = next(batches)
        if y is None:
            raise InputError("a classifier needs data with labels")
        x = self.changed(x, batches)
        error = classification_error(self.net(x), y, self.loss, self.loss_of)
        yield "classifier", {self.loss: error}
