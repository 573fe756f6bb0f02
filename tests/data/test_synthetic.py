"""Vectors whose law is known."""

from __future__ import annotations

import pytest
import torch

from zspace.data import load
from zspace.data.synthetic import lift, true_latents


@pytest.mark.parametrize("dim", [2, 5])
def test_mog(dim: int) -> None:
    images = load(f"mog{dim}")
    assert images.shape == (128,)
    assert images.train.x.dtype == torch.float32
    assert len(images.train) + len(images.validation) == 15_000
    assert len(images.test) == 10_000
    assert images.train.x.abs().max() <= 1
    z, y = true_latents(dim)
    torch.testing.assert_close(images.test.x, lift(z["test"]))
    from zspace.data.synthetic import MEANS_5, VARIANCES

    for k, (mean, variance) in enumerate(zip(MEANS_5, VARIANCES, strict=True)):
        own = z["train"][y["train"] == k]
        assert len(own) == pytest.approx(2500, abs=250)
        torch.testing.assert_close(own.mean(0), torch.tensor(mean[:dim]).float(), rtol=0, atol=0.1)
        torch.testing.assert_close(
            own.var(0), torch.full((dim,), float(variance)), rtol=0.12, atol=0
        )
