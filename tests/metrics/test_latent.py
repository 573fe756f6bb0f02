"""Figures of codes: entropy, divergence, activity, probes."""

from __future__ import annotations

import math

import pytest
import torch

from tests.metrics.shared import modes, normal
from zspace import metrics
from zspace.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


def test_entropy_of_known_densities() -> None:
    exact = 1.5 * math.log(2 * math.pi * math.e)
    found = metrics.differential_entropy(normal(1500, 3), whiten=False)
    assert found.value == pytest.approx(exact, abs=0.15)
    # scaling by s adds D log s; whitening takes it away again
    wide = metrics.differential_entropy(3 * normal(1500, 3), whiten=False)
    assert wide.value - found.value == pytest.approx(3 * math.log(3), abs=1e-3)
    assert metrics.differential_entropy(3 * normal(1500, 3)).value == pytest.approx(exact, abs=0.15)
    # two far-apart modes: log 2 more
    two = torch.cat([normal(750, 3), 50 + normal(750, 3, 1)])
    both = metrics.differential_entropy(two, whiten=False)
    assert both.value == pytest.approx(exact + math.log(2), abs=0.15)
    with pytest.raises(InputError, match="do not vary in 1 of 3"):
        metrics.differential_entropy(torch.cat([normal(50, 2), torch.ones(50, 1)], 1))


def test_the_normal_has_the_largest_entropy_of_whitened_codes() -> None:
    gauss = metrics.differential_entropy(normal(2000, 2))
    square = metrics.differential_entropy(torch.rand(2000, 2).double())
    assert gauss.value > square.value + 3 * math.hypot(gauss.error, square.error)


@pytest.mark.parametrize("dim", [2, 32])
def test_jensen_shannon_of_equal_and_of_disjoint_codes(dim: int) -> None:
    x = normal(1200, dim)
    assert abs(metrics.jensen_shannon_divergence(x, normal(1200, dim, 1)).value) < 0.02
    apart = metrics.jensen_shannon_divergence(x, normal(1200, dim, 1) + 30)
    assert apart.value == pytest.approx(math.log(2), abs=0.01)
    narrower = [
        metrics.jensen_shannon_divergence(x, normal(1200, dim, 1) * s).value
        for s in (0.8, 0.6, 0.4)
    ]
    assert narrower == sorted(narrower)
    assert narrower[0] > 0.01


def test_jensen_shannon_is_below_its_exact_value() -> None:
    """Of N(0, 1) and N(2, 1), by a sum over a fine grid."""
    grid = torch.linspace(-10, 12, 40_001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(m, 1.0).log_prob(grid) for m in (0.0, 2.0))
    both = torch.logaddexp(p, q) - math.log(2)
    density = 0.5 * (p.exp() * (p - both) + q.exp() * (q - both))
    exact = float(density.sum() * (grid[1] - grid[0]))
    found = metrics.jensen_shannon_divergence(normal(3000, 1), normal(3000, 1, 1) + 2)
    assert exact - 0.05 < found.value < exact + 2 * found.error


def test_no_figure_of_sorted_data_differs_for_being_sorted() -> None:
    x, y = modes([0, 1, 2, 3], 400, 0), modes([0, 1, 2, 3], 400, 1)
    x, y = (z[z.argmax(1).argsort()] for z in (x, y))
    assert abs(metrics.jensen_shannon_divergence(x, y).value) < 0.03


def test_an_entropy_of_few_codes_of_many_dimensions_has_no_error() -> None:
    """Nine tenths of them can't be whitened."""
    found = metrics.differential_entropy(normal(100, 92))
    assert math.isfinite(found.value)
    assert math.isnan(found.error)
    assert metrics.differential_entropy(normal(100, 50)).error > 0


def test_codes_that_repeat_one_another_have_no_bandwidth() -> None:
    z = normal(40, 3).repeat(5, 1)
    with pytest.raises(InputError, match="repeat one another"):
        metrics.differential_entropy(z)


def test_activity_and_dead_dimensions() -> None:
    z = normal(2000, 4) * torch.tensor([1.0, 0.05, 2.0, 0.0])
    used = metrics.active_dimensions(metrics.activity(z))
    assert used.tolist() == [True, False, True, False]
    assert metrics.active_dimensions(metrics.activity(100 * z)).tolist() == [True] * 3 + [False]
    relative = metrics.active_dimensions(metrics.activity(100 * z), relative=True)
    assert relative.tolist() == [True, False, True, False]


def test_the_gap_between_prior_and_codes() -> None:
    x = normal(2000, 3)
    assert metrics.prior_gap(x, normal(2000, 3, 1)) < 0.05
    assert metrics.prior_gap(x, 5 * normal(2000, 3, 1)) > 2
    a, b = metrics.prior_gap(x, x + 1), metrics.prior_gap(10 * x, 10 * x + 10)
    assert a == pytest.approx(b)


def test_a_linear_probe_of_separable_codes() -> None:
    z, y = modes([0, 1, 2], 300, 0), torch.arange(300) % 3
    test = modes([0, 1, 2], 90, 1)
    assert float(metrics.linear_probe(z, y, test, torch.arange(90) % 3).mean()) == 1
    shuffled = y[torch.randperm(300, generator=torch.Generator().manual_seed(0))]
    chance = metrics.linear_probe(z, shuffled, test, torch.arange(90) % 3).mean()
    assert float(chance) < 0.6
    with pytest.raises(InputError, match="two classes or more"):
        metrics.linear_probe(z, torch.zeros(300), test, torch.zeros(90))


def test_a_probe_leaves_out_what_has_no_label() -> None:
    random = torch.Generator().manual_seed(0)
    y = torch.arange(90) % 3
    z = torch.nn.functional.one_hot(y).double() * 4 + torch.randn(90, 3, generator=random)
    known = (y < 2).nonzero()[:, 0]
    some = torch.where(y < 2, y, -1)
    expected = metrics.linear_probe(z[known], y[known], z[known], y[known])
    assert torch.equal(metrics.linear_probe(z, some, z, some), expected)
