"""Degradations against other implementations of them, and their limits."""

from __future__ import annotations

import torch
from scipy.ndimage import gaussian_filter

from zspace.functional.degradations import blurred, brighter, noisy, paler


def images() -> torch.Tensor:
    return torch.rand(3, 2, 9, 12, generator=torch.Generator().manual_seed(0))


def test_blur_is_that_of_scipy() -> None:
    for deviation in (0.5, 1.5, 3.0):
        theirs = gaussian_filter(
            images().double().numpy(), (0, 0, deviation, deviation), mode="nearest", truncate=3.0
        )
        radius = round(3 * deviation) == -(-3 * deviation // 1)
        close = 1e-5 if radius else 5e-3  # scipy's window ends at the nearest pixel
        torch.testing.assert_close(
            blurred(images(), deviation), torch.from_numpy(theirs).float(), atol=close, rtol=0
        )


def test_what_changes_values() -> None:
    x = images()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    assert torch.equal(noisy(x, 0.0, noise), x)
    apart = noisy(torch.full_like(x, 0.5), 0.1, noise) - 0.5
    assert abs(float(apart.std()) - 0.1) < 0.01
    assert float(noisy(x, 9.0, noise).min()) == 0
    assert float(noisy(x, 9.0, noise).max()) == 1
    assert torch.equal(brighter(x, 0.3), (x + 0.3).clamp(max=1))
    assert torch.equal(paler(x, 0.0), torch.full_like(x, 0.5))
    torch.testing.assert_close(paler(x, 1.0), x)
