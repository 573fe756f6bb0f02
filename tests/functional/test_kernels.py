"""Kernel densities, their entropy and divergence, against the papers' formulas and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity
from torch import Tensor
from torch.distributions import MultivariateNormal

from tests.functional.plain import plain_log_density
from tests.metrics.shared import normal
from zspace.errors import InputError
from zspace.functional import (
    kernel_entropy,
    kernel_entropy_slopes,
    kernel_jsd,
    kernel_jsd_slope,
    kernel_log_density,
)
from zspace.samplers import Normal


def test_kernel_density_against_scikit_learn_and_a_loop() -> None:
    z, centres = normal(30, 4), normal(50, 4, 1)
    expected = KernelDensity(bandwidth=0.7).fit(centres.numpy()).score_samples(z.numpy())
    np.testing.assert_allclose(kernel_log_density(z, centres, 0.7), expected, rtol=1e-8)
    loo = kernel_log_density(centres, centres, 0.7, leave_one_out=True)
    for i in range(5):
        others = torch.cat([centres[:i], centres[i + 1 :]])
        alone = kernel_log_density(centres[i : i + 1], others, 0.7)
        assert float(loo[i]) == pytest.approx(float(alone), rel=1e-9)


def test_kernel_density_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    z = normal(70, 3)
    whole = kernel_log_density(z, z, 0.5, leave_one_out=True)
    monkeypatch.setattr("zspace.functional.kernels.DISTANCES", 100)
    assert torch.allclose(whole, kernel_log_density(z, z, 0.5, leave_one_out=True))


DIM, M, N = 4, 60, 25


@pytest.fixture
def sets() -> tuple[Tensor, Tensor, Tensor]:
    """z', z'' and centres, float64, away from the origin."""
    generator = torch.Generator().manual_seed(0)
    z, other, centres = (
        torch.randn(k, DIM, generator=generator).double() + 0.3 for k in (N, N + 5, M)
    )
    return z, other, centres


def test_kernel_density_against_sklearn_and_a_loop(sets: tuple[Tensor, Tensor, Tensor]) -> None:
    z, _, centres = sets
    ours = kernel_log_density(z, centres, 0.7)
    theirs = KernelDensity(bandwidth=0.7).fit(centres.numpy()).score_samples(z.numpy())
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    for i in range(3):
        total = sum(math.exp(-float((z[i] - c).square().sum()) / (2 * 0.49)) for c in centres) / (
            2 * math.pi * 0.49
        ) ** (DIM / 2)
        assert float(ours[i]) == pytest.approx(math.log(total / M), rel=1e-10)
    normal = torch.stack(
        [MultivariateNormal(c, 0.49 * torch.eye(DIM).double()).log_prob(z) for c in centres]
    )
    torch.testing.assert_close(ours, normal.logsumexp(0) - math.log(M))


def test_kernel_density_far_away_and_far_from_the_origin() -> None:
    """In log space nothing underflows; about the centres' mean, little cancels."""
    far = kernel_log_density(torch.full((1, 3), 1e3), torch.zeros(5, 3), 0.1)
    assert float(far) == pytest.approx(-3e6 / 0.02, rel=1e-6)
    generator = torch.Generator().manual_seed(1)
    z, centres = torch.randn(9, 3, generator=generator), torch.randn(50, 3, generator=generator)
    near = kernel_log_density(z.double(), centres.double(), 0.5).float()
    torch.testing.assert_close(
        kernel_log_density(z + 1000, centres + 1000, 0.5), near, rtol=1e-2, atol=1e-2
    )
    torch.testing.assert_close(kernel_log_density(z, centres, 0.5), near, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_blocks_change_nothing(
    sets: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    z, other, centres = sets
    log_target = Normal(DIM).double().log_prob
    whole = kernel_log_density(z, centres, 0.6), kernel_entropy(z, 0.6)
    slope = kernel_jsd_slope(z, other, centres, 0.6, log_target)
    monkeypatch.setattr("zspace.functional.kernels.DISTANCES", rows * M)
    torch.testing.assert_close(kernel_log_density(z, centres, 0.6), whole[0])
    assert kernel_entropy(z, 0.6) == pytest.approx(whole[1])
    assert kernel_jsd_slope(z, other, centres, 0.6, log_target) == pytest.approx(slope)


def test_jsd_gradients_against_autograd_and_finite_differences(
    sets: tuple[Tensor, Tensor, Tensor],
) -> None:
    z, other, centres = sets
    log_target = Normal(DIM).double().log_prob

    def plain(z: Tensor, h: float | Tensor) -> Tensor:
        """Eq. 2 with its constants, as it is written."""
        terms = []
        for queries, sign in ((z, 1), (other, -1)):
            p_e, p_t = plain_log_density(queries, centres, h).exp(), log_target(queries).exp()
            terms.append(((p_e if sign > 0 else p_t) / (p_e + p_t)).log().mean())
        return math.log(2) + sum(terms) / 2

    z.requires_grad_()
    h = torch.tensor(0.65, dtype=torch.float64, requires_grad=True)
    ours, expected = kernel_jsd(z, other, centres, h, log_target), plain(z, h)
    torch.testing.assert_close(ours, expected)
    mine = torch.autograd.grad(ours, (z, h))
    automatic = torch.autograd.grad(expected, (z, h))
    for a, b in zip(mine, automatic, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)
    step = 1e-5
    with torch.no_grad():
        for i, j in ((0, 0), (3, 2), (N - 1, DIM - 1)):
            moved = [z.clone(), z.clone()]
            moved[0][i, j] += step
            moved[1][i, j] -= step
            difference = (plain(moved[0], 0.65) - plain(moved[1], 0.65)) / (2 * step)
            assert float(mine[0][i, j]) == pytest.approx(float(difference), rel=1e-6, abs=1e-9)
        difference = (plain(z, 0.65 + step) - plain(z, 0.65 - step)) / (2 * step)
    z = z.detach()
    assert float(mine[1]) == pytest.approx(float(difference), rel=1e-6)
    slope, _ = kernel_jsd_slope(z, other, centres, 0.65, log_target)
    assert slope == pytest.approx(float(difference), rel=1e-6)


def supplement_equation_2(z: Tensor, other: Tensor, centres: Tensor, h: float) -> float:
    """The supplement's Eq. 2, term by term, with loops for its expectations."""
    dim, m = z.shape[1], len(centres)

    def parts(query: Tensor) -> tuple[float, float, float]:
        squares = (query - centres).square().sum(1)
        kernel = (-squares / (2 * h**2)).exp() / (2 * math.pi * h**2) ** (dim / 2)
        p_t = math.exp(-0.5 * float(query.square().sum())) / (2 * math.pi) ** (dim / 2)
        return float(kernel.sum()), float((kernel * squares / h**2).sum()), p_t

    total = 0.0
    for query in z:
        g, gs, p_t = parts(query)
        total += (gs / g / h - dim / h) / len(z)
        total -= gs / (p_t + g / m) / (m * h) / len(z)
        total += (g / m) / (p_t + g / m) * dim / h / len(z)
    for query in other:
        g, gs, p_t = parts(query)
        total -= gs / (p_t + g / m) / (m * h) / len(other)
        total += (g / m) / (p_t + g / m) * dim / h / len(other)
    return total


@pytest.mark.parametrize("h", [0.3, 0.8, 1.3])
def test_slope_is_the_supplements_equation_2(sets: tuple[Tensor, Tensor, Tensor], h: float) -> None:
    z, other, centres = sets
    slope, _ = kernel_jsd_slope(z, other, centres, h, Normal(DIM).double().log_prob)
    assert 2 * slope == pytest.approx(supplement_equation_2(z, other, centres, h), rel=1e-6)


def test_entropy_against_a_loop_and_the_known_value() -> None:
    z = torch.randn(40, 3, generator=torch.Generator().manual_seed(2)).double()
    each = []
    for i in range(40):
        rest = torch.cat([z[:i], z[i + 1 :]])
        each.append(float(plain_log_density(z[i : i + 1], rest, 0.5)))
    assert kernel_entropy(z, 0.5) == pytest.approx(-np.mean(each), rel=1e-10)


@pytest.mark.parametrize("h", [0.03, 0.4, 1.5])
@pytest.mark.parametrize("tile", [7, 1000])
def test_slopes_of_the_entropy_against_a_loop(
    h: float, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codes of two clusters and one far away, whose kernels vanish in float32 if h is small."""
    monkeypatch.setattr("zspace.functional.kernels.TILE", tile)
    monkeypatch.setattr("zspace.functional.kernels.DISTANCES", 60)
    z = torch.cat([normal(25, 3), 0.1 * normal(25, 3, 1) + 4, torch.tensor([[9.0, 9, 9]])]).float()
    squares = (z.double()[:, None] - z.double()).square().sum(2)

    def entropy(log_h: Tensor) -> Tensor:
        logs = (squares / (-2 * torch.exp(2 * log_h))).fill_diagonal_(-torch.inf)
        return -logs.logsumexp(1).mean() + math.log(50) + 1.5 * math.log(2 * math.pi) + 3 * log_h

    at = torch.tensor(math.log(h), dtype=torch.float64)
    expected = entropy(at), torch.func.grad(entropy)(at), torch.func.hessian(entropy)(at)
    ours = kernel_entropy_slopes(z, h)
    np.testing.assert_allclose(ours, [float(value) for value in expected], rtol=1e-4, atol=1e-4)
    assert ours[0] == pytest.approx(kernel_entropy(z.double(), h), rel=1e-4)
    scores = [
        KernelDensity(bandwidth=h).fit(torch.cat([z[:i], z[i + 1 :]])).score_samples(z[i : i + 1])
        for i in range(len(z))
    ]
    assert ours[0] == pytest.approx(-np.mean(scores), rel=1e-4)


def test_small_bandwidths_are_exact_in_single_precision() -> None:
    """Far apart codes, small kernels: products of float32 would be wrong by nats."""
    generator = torch.Generator().manual_seed(0)
    clusters = 100 * torch.randn(5, 2, generator=generator).repeat_interleave(40, 0)
    z = clusters + 1e-2 * torch.randn(200, 2, generator=generator)
    ours = kernel_log_density(z, z, 5e-3, leave_one_out=True)
    squares = (z.double()[:, None] - z.double()[None]).square().sum(2).fill_diagonal_(torch.inf)
    expected = torch.logsumexp(squares / (-2 * 5e-3**2), 1)
    expected -= math.log(199) + math.log(2 * math.pi * 5e-3**2)
    torch.testing.assert_close(ours.double(), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("h", [0.0, -1.0, math.nan, math.inf, 1e-170])
def test_a_bandwidth_that_is_none_is_refused(h: float) -> None:
    with pytest.raises(InputError, match="bandwidth"):
        kernel_log_density(torch.randn(3, 2), torch.randn(4, 2), h)
    with pytest.raises(InputError, match="0 centres for 3 codes"):
        kernel_log_density(torch.randn(3, 2), torch.randn(0, 2), 1.0)
    with pytest.raises(InputError, match="own kernel"):
        kernel_log_density(torch.randn(3, 2), torch.randn(4, 2), 1.0, leave_one_out=True)
