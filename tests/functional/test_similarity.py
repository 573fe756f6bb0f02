"""Structural similarity against its definition and torchmetrics."""

from __future__ import annotations

import pytest
import torch

from tests.functional.plain import plain_similarity
from zspace.errors import InputError
from zspace.functional import structural_similarity


def test_ssim_is_the_definition_and_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    torch.manual_seed(0)
    x = torch.rand(2, 1, 14, 17, dtype=torch.float64)
    y = (x + 0.2 * torch.randn_like(x)).clamp(0, 1)
    for window in (11, 5):
        for pair, ours in zip(
            zip(x, y, strict=True), structural_similarity(x, y, window), strict=True
        ):
            plain = plain_similarity(pair[0][0].numpy(), pair[1][0].numpy(), window, 1.5)
            assert float(ours) == pytest.approx(plain, abs=1e-10)
    x, y = torch.rand(3, 3, 32, 32), torch.rand(3, 3, 32, 32)
    _, whole = structural_similarity_index_measure(
        x, y, data_range=1.0, return_full_image=True, reduction="none"
    )
    inner = whole[..., 5:-5, 5:-5].flatten(1).mean(1)
    torch.testing.assert_close(structural_similarity(x, y), inner, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(structural_similarity(x, x), torch.ones(3))


def test_ssim_has_a_gradient() -> None:
    torch.manual_seed(0)
    x, y = torch.rand(2, 1, 1, 7, 7, dtype=torch.float64)
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda a: structural_similarity(a, y, 5), (x,))
    for window in (8, 9):
        with pytest.raises(InputError, match="window must be odd"):
            structural_similarity(x, y, window)
