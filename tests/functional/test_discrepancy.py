"""Maximum mean discrepancies against double loops, and their bias."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.conftest import seeded
from zspace.errors import InputError
from zspace.functional import gaussian_mmd, multiquadratic_mmd


def brute_mmd(x: Tensor, y: Tensor, variance: float) -> float:
    """The unbiased estimate, pair by pair."""

    def k(a: Tensor, b: Tensor) -> float:
        return math.exp(-float(((a - b) ** 2).sum()) / (2 * variance))

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    xy = sum(k(x[i], y[j]) for i in range(n) for j in range(m)) / (n * m)
    return xx + yy - 2 * xy


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 9), st.integers(2, 9), st.integers(1, 4), st.integers(0, 99))
def test_mmd_against_brute_force(n: int, m: int, dim: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, dim, generator=generator, dtype=torch.float64)
    y = 1 + 2 * torch.randn(m, dim, generator=generator, dtype=torch.float64)
    assert float(gaussian_mmd(x, y, dim)) == pytest.approx(brute_mmd(x, y, dim), abs=1e-12)


@pytest.mark.parametrize("mmd", [gaussian_mmd, multiquadratic_mmd])
def test_the_gradient_of_an_mmd_where_codes_coincide(mmd: Callable[..., Tensor]) -> None:
    """A distance of 0 has no derivative, its square has one."""
    x, y = torch.randn(2, 6, 3, generator=seeded(), dtype=torch.float64)
    y[:3] = x[:3]
    moved = x.clone().requires_grad_()
    mmd(moved, y, 2.0).backward()
    assert moved.grad is not None
    for i, j in ((0, 0), (4, 2)):
        step = torch.zeros_like(x)
        step[i, j] = 1e-5
        slope = (mmd(x + step, y, 2.0) - mmd(x - step, y, 2.0)) / 2e-5
        assert float(moved.grad[i, j]) == pytest.approx(float(slope), rel=1e-6)


def test_mmd_has_no_bias() -> None:
    generator = torch.Generator().manual_seed(0)
    each = torch.stack(
        [gaussian_mmd(*torch.randn(2, 20, 2, generator=generator), 2.0) for _ in range(2000)]
    )
    assert abs(float(each.mean())) < 4 * float(each.std()) / 2000**0.5
    with pytest.raises(InputError, match="two draws of each"):
        gaussian_mmd(torch.zeros(1, 2), torch.zeros(5, 2), 2.0)


def multiquadratic(x: Tensor, y: Tensor) -> float:
    """WAE's Algorithm 2, pair by pair."""
    n, dim = x.shape

    def k(a: Tensor, b: Tensor) -> float:
        scales = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
        return sum(2 * dim * s / (2 * dim * s + float(((a - b) ** 2).sum())) for s in scales)

    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    within = sum(k(z[i], z[j]) for z in (x, y) for i, j in pairs) / (n * (n - 1))
    across = sum(k(a, b) for a in x for b in y) / n**2
    return within - 2 * across


def test_multiquadratic_mmd_against_a_loop() -> None:
    x, y = torch.randn(6, 3, generator=seeded(1)), torch.randn(6, 3, generator=seeded(2)) + 1
    assert float(multiquadratic_mmd(x, y, 1.0)) == pytest.approx(multiquadratic(x, y), abs=1e-5)


def test_multiquadratic_mmd_has_no_bias_and_tells_laws_apart() -> None:
    g = seeded()
    same = [
        multiquadratic_mmd(torch.randn(20, 4, generator=g), torch.randn(20, 4, generator=g), 1)
        for _ in range(400)
    ]
    each = torch.stack(same)
    assert abs(float(each.mean())) < 4 * float(each.std()) / 20
    other = multiquadratic_mmd(torch.randn(200, 4, generator=g), 3 + torch.randn(200, 4), 1.0)
    assert float(other) > 1


def test_gaussian_mmd_stays_what_it_was() -> None:
    x, y = torch.randn(5, 2, generator=seeded(1)), torch.randn(7, 2, generator=seeded(2))

    def k(a: Tensor, b: Tensor) -> float:
        return math.exp(-float((a - b).square().sum()) / 4)

    within = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / 20
    within += sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / 42
    across = sum(k(a, b) for a in x for b in y) / 35
    assert float(gaussian_mmd(x, y, 2.0)) == pytest.approx(within - 2 * across, abs=1e-5)
