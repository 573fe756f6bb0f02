"""Figures of images by hand, and against torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.metrics.shared import normal
from zspace import metrics
from zspace.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


def test_errors_and_similarity_of_images() -> None:
    x = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    y = (x + 0.1).clamp(max=1)
    mse, mae = metrics.mean_squared_error(x, y), metrics.mean_absolute_error(x, y)
    np.testing.assert_allclose(mse, ((x - y) ** 2).reshape(6, -1).mean(1), rtol=1e-6)
    np.testing.assert_allclose(mae, (x - y).abs().reshape(6, -1).mean(1), rtol=1e-6)
    from torchmetrics.image import StructuralSimilarityIndexMeasure

    theirs = StructuralSimilarityIndexMeasure(data_range=1.0)(x, y)
    ours = metrics.structural_similarity(x, y)
    assert float(ours.mean()) == pytest.approx(float(theirs), rel=1e-5)
    assert float(metrics.structural_similarity(x, x).min()) == pytest.approx(1)
    small = metrics.structural_similarity(x[:, :, :8, :8], y[:, :, :8, :8])
    assert bool((small < 1).all())
    assert bool(torch.isfinite(small).all())
    with pytest.raises(InputError, match="5 pixels or more"):
        metrics.structural_similarity(x[:, :, :4, :4], x[:, :, :4, :4])
    with pytest.raises(InputError, match="two sets of one shape"):
        metrics.mean_squared_error(x, y[:3])


def test_sharpness_by_hand() -> None:
    """3 by 3: one pixel counts, |-4 x 1| over the mean 1/9."""
    dot = torch.zeros(1, 1, 3, 3)
    dot[0, 0, 1, 1] = 1
    assert float(metrics.sharpness(dot)) == pytest.approx(36)
    assert float(metrics.sharpness(torch.zeros(1, 1, 5, 5))) == 0
    with pytest.raises(InputError, match=r"images \(N, C, H, W\) of 3 pixels or more"):
        metrics.sharpness(torch.zeros(0, 1, 5, 5))
    grey = torch.rand(2, 1, 9, 9)
    assert torch.allclose(
        metrics.sharpness(grey), metrics.sharpness(grey.expand(-1, 3, -1, -1)), rtol=1e-4
    )
    brighter = metrics.sharpness(0.5 * grey)
    assert torch.allclose(metrics.sharpness(grey), brighter, rtol=1e-4)  # no unit of light


def test_a_blurred_image_is_less_sharp() -> None:
    x = torch.rand(8, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    assert float(metrics.sharpness(blurred).mean()) < 0.5 * float(metrics.sharpness(x).mean())


def test_class_cosine_by_a_double_loop() -> None:
    x, y = normal(12, 5), torch.tensor([0, 1, 2] * 4)
    found = metrics.class_cosine(x, y)
    for label in range(3):
        own = x[y == label]
        pairs = [
            float(torch.cosine_similarity(own[i], own[j], dim=0))
            for i in range(4)
            for j in range(4)
            if i != j
        ]
        assert found[label] == pytest.approx(np.mean(pairs), rel=1e-9)
    assert metrics.class_cosine(x[:1], y[:1]) == {}
