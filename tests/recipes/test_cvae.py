"""What the conditional VAE needs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zspace
from zspace.data.images import Images, Part
from zspace.errors import InputError
from zspace.execution import facts_of
from zspace.recipes import RECIPES, Facts


@pytest.mark.parametrize("name", ["cvae"])
def test_conditional_models_need_labels(name: str) -> None:
    with pytest.raises(InputError, match="labels of two classes or more, these have 0"):
        RECIPES[name](Facts((1, 8, 8)))


@pytest.mark.parametrize("recipe", ["cvae", "wgan-gp", "regene"])
def test_images_whose_label_is_unknown_are_left_out(recipe: str) -> None:
    x = torch.randint(0, 256, (60, 1, 8, 8), dtype=torch.uint8)
    y = torch.arange(60) % 2
    y[::3] = -1
    images = Images("x", Part(x, y), Part(x[:9], y[:9]), Part(x[:9], y[:9]), ("0", "1"))
    options: dict[str, Any] = {} if recipe == "regene" else {"width": 4, "hidden": 8}
    zspace.train(recipe, images, iterations=2, batch_size=8, device="cpu", **options)
    plan = RECIPES[recipe](facts_of(images), **options)
    part = plan.stages[0].data(images)
    assert part.y is not None
    assert part.y.tolist() == y[y >= 0].tolist()
    assert torch.equal(part.x, x[y >= 0])
