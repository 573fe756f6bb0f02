"""The classifier's training: shifted images, labels."""

from __future__ import annotations

import pytest
import torch

from zspace.errors import InputError
from zspace.functional.augmentation import shifted
from zspace.methods.classifier import SHIFT, Classifier
from zspace.nets.classifiers import cnn


def test_shifted_images() -> None:
    x = torch.rand(3, 2, 6, 6)
    middle = (SHIFT + 0.5) / (2 * SHIFT + 1)
    assert torch.equal(shifted(x, torch.full((3, 2), middle), SHIFT), x)
    moved = shifted(x, torch.tensor([[0.0, middle]] * 3), SHIFT)  # down by SHIFT, zeros above
    assert torch.equal(moved[:, :, SHIFT:], x[:, :, : 6 - SHIFT])
    assert float(moved[:, :, :SHIFT].abs().max()) == 0


def test_a_classifier_method_needs_labels() -> None:
    from zspace.core import Batches

    method = Classifier(cnn((1, 8, 8), 2))
    with pytest.raises(InputError, match="needs data with labels"):
        next(method.objectives(Batches(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), size=2)))
