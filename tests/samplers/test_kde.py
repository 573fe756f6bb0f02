"""Kernel density samplers and their bandwidths."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from tests.functional.plain import plain_log_density
from tests.samplers.shared import clouds, two_clouds
from zspace.errors import InputError
from zspace.functional import kernel_entropy, kernel_entropy_slopes
from zspace.papers.entries import published
from zspace.samplers import KDE, Mixture, Normal, kde
from zspace.samplers.kde import least_samples, likeliest_bandwidth, optimal_bandwidths


def test_likeliest_bandwidth_is_the_fixed_point_of_equation_5() -> None:
    z = torch.randn(300, 3, generator=torch.Generator().manual_seed(3)).double()
    h = likeliest_bandwidth(z)
    squares = torch.cdist(z, z).square().fill_diagonal_(torch.inf)
    weights = torch.softmax(squares / (-2 * h**2), 1)
    update = (weights * squares.nan_to_num(posinf=0)).sum() / (3 * 300)
    assert math.sqrt(float(update)) == pytest.approx(h, rel=5e-3)


def by_brent(z: Tensor) -> float:
    """The likeliest bandwidth by Brent's method, for the entropy of all codes in float64."""
    scale = float(z.double().std(0).square().mean().sqrt())
    found: Any = minimize_scalar(
        lambda log_h: kernel_entropy(z.double(), math.exp(log_h)),
        bounds=(math.log(1e-3 * scale), math.log(2 * scale)),
        options={"xatol": 1e-5},
    )
    return math.exp(found.x)


def heavy(n: int) -> Tensor:
    """Codes of which some lie far away from all others."""
    uniform = torch.rand(n, 2, generator=torch.Generator().manual_seed(0)).double()
    return torch.tan(math.pi * (uniform - 0.5))


@pytest.mark.parametrize(
    "z",
    [
        two_clouds(3000)[0],
        torch.cat([clouds(4500), torch.zeros(4500, 2)], 1),
        clouds(2500) * torch.tensor([1e-3, 0, 0]) + 100,
        heavy(2200),
        torch.cat([clouds(2100), clouds(2100)[:300]]),
    ],
    ids=["clouds", "subspace", "line", "heavy", "some twice"],
)
def test_likeliest_bandwidth_is_that_of_all_codes(z: Tensor) -> None:
    """Although parts lead to it; what codes of a class have in common misleads no part."""
    assert likeliest_bandwidth(z) == pytest.approx(by_brent(z), rel=1e-3)


def test_all_codes_are_met_once_or_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counted(z: Tensor, h: float) -> tuple[float, float, float]:
        sizes.append(len(z))
        return kernel_entropy_slopes(z, h)

    monkeypatch.setattr(kde, "kernel_entropy_slopes", counted)
    likeliest_bandwidth(torch.randn(9000, 5, generator=torch.Generator().manual_seed(0)))
    assert 1 <= sizes.count(9000) <= 2
    assert set(sizes) == {562, 2250, 9000}


def test_bandwidths_of_few_codes() -> None:
    """Of two codes: each has the other's kernel alone, so h^2 is their squared distance over D."""
    z = torch.tensor([[0.0, 0, 0], [1, 2, 2]])
    assert likeliest_bandwidth(z) == pytest.approx(3 / math.sqrt(3), rel=1e-3)
    assert likeliest_bandwidth(z + 1e4) == pytest.approx(3 / math.sqrt(3), rel=1e-3)
    assert float(KDE(3).fit(z).h) > 0


@pytest.mark.parametrize(
    "z, message",
    [
        (torch.ones(500, 3), "all the same"),
        (clouds(300).repeat(2, 1), "repeat one another"),
        (clouds(3000).repeat_interleave(2, 0), "repeat one another"),
        (clouds(3000).repeat(2, 1) + torch.tensor([[1e-7, 0, 0]]), "repeat one another"),
    ],
)
def test_codes_that_repeat_one_another_have_no_bandwidth(z: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        likeliest_bandwidth(z)


@pytest.mark.parametrize("dim, samples", [(5, 1000), (20, 1000)])
def test_bandwidths_are_those_of_table_1(dim: int, samples: int) -> None:
    column = (250, 500, 1000, 2000, 4000, 8000).index(samples)
    theirs = published()["gen/table1"][str(dim)][column]
    error = max(0.01, published()["gen/table1-sd"][str(dim)][column])
    root = optimal_bandwidths(Normal(dim), samples, trials=5)
    assert abs(float(root.mean()) - theirs) <= error
    fixed = optimal_bandwidths(Normal(dim), samples, trials=5, route="fixed-point")
    torch.testing.assert_close(fixed, root, rtol=0, atol=1e-3)


def test_a_fixed_point_that_does_not_settle_is_none() -> None:
    found = optimal_bandwidths(Normal(2), 250, route="fixed-point")
    assert 0 < int(found.isnan().sum()) < len(found)


def test_bandwidth_scales_with_the_target() -> None:
    """One Gaussian of deviation 3: three times the bandwidth; far components: those of each."""
    wide = Mixture.of(torch.ones(1), torch.zeros(1, 3), 9 * torch.eye(3)[None])
    a = optimal_bandwidths(wide, 200, trials=4).mean()
    b = optimal_bandwidths(Normal(3), 200, trials=4).mean()
    assert float(a) == pytest.approx(3 * float(b), rel=0.15)


def test_least_samples_is_where_the_bandwidth_passes_1() -> None:
    least = least_samples(20)
    assert least is not None
    above, below = (
        float(optimal_bandwidths(Normal(20), m, trials=5, queries=2000).mean())
        for m in (round(least / 1.5), round(least * 1.5))
    )
    assert below < 1 < above


def test_kde_sampler_is_a_density_of_the_codes() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(800, 3, generator=generator) @ torch.diag(torch.tensor([5.0, 1.0, 0.1])) + 2
    fitted = KDE(3).fit(z)
    drawn = fitted.sample(20_000, generator=generator)
    torch.testing.assert_close(drawn.mean(0), z.mean(0), rtol=0, atol=0.2)
    scale = drawn.std(0) / z.std(0)
    widened = math.sqrt(1 + float(fitted.h) ** 2)
    torch.testing.assert_close(scale, torch.full((3,), widened), rtol=0.05, atol=0)
    # in the white space: the plain kernel density, times the volume of the whitening
    factor = torch.linalg.cholesky(torch.cov(z.T, correction=0).double())
    white = torch.linalg.solve(factor, (z - z.mean(0)).double().T).T
    queries = torch.linalg.solve(factor, (drawn[:9] - z.mean(0)).double().T).T
    expected = plain_log_density(queries, white, float(fitted.h)) - factor.diagonal().log().sum()
    torch.testing.assert_close(fitted.log_prob(drawn[:9]).double(), expected, rtol=1e-3, atol=1e-3)
    assert len(KDE(3, centres=100).fit(z).centres) == 100
    assert float(KDE(3, bandwidth=0.5).fit(z).h) == 0.5
    with pytest.raises(InputError, match="no labels"):
        fitted.sample(3, 1)
