"""Normalising flows as densities."""

from __future__ import annotations

import pytest
import torch

from tests.conftest import seeded
from tests.samplers.shared import two_clouds
from zspace.core import Density
from zspace.recipes import catalogue
from zspace.samplers.flow import Flow


def test_a_flow_is_a_density_and_draws_what_it_says() -> None:
    torch.manual_seed(0)
    flow = Flow(2, transforms=2, hidden=16)
    for p in flow.parameters():
        p.data += 0.3 * torch.randn(p.shape, generator=seeded(p.numel()))
    line = torch.linspace(-8, 8, 401)
    grid = torch.cartesian_prod(line, line)
    with torch.no_grad():
        density = flow.log_prob(grid).exp()
        z = flow.sample(20_000, generator=seeded())
    cell = float(line[1] - line[0]) ** 2
    assert float(density.sum()) * cell == pytest.approx(1, abs=0.01)
    mean = (density[:, None] * grid).sum(0) * cell
    torch.testing.assert_close(z.mean(0), mean, atol=0.05, rtol=0)
    second = (density * grid.prod(1)).sum() * cell
    assert float(z.prod(1).mean()) == pytest.approx(float(second), abs=0.1)


@pytest.mark.parametrize("dim", [1, 2, 7])
def test_a_draw_inverts_the_map_of_the_density_as_zuko_does(dim: int) -> None:
    torch.manual_seed(0)
    flow = Flow(dim, transforms=3, hidden=16).double()
    for p in flow.parameters():
        p.data += 0.3 * torch.randn(p.shape, generator=seeded(p.numel()))
    noise = 2 * torch.randn(300, dim, generator=seeded()).double()
    with torch.no_grad():
        z = flow.of_noise(noise)
        theirs = flow.flow().transform
        torch.testing.assert_close(z, theirs.inv(noise), atol=1e-9, rtol=0)
        torch.testing.assert_close(theirs(z), noise, atol=1e-6, rtol=0)
    assert not torch.allclose(z, noise, atol=0.1)


def test_a_spline_flow_integrates_to_one() -> None:
    z, _ = two_clouds()
    flow = catalogue.make("flow", 2, {"iterations": 200, "hidden": 32}).fit(z)
    assert isinstance(flow, Density)
    side = torch.linspace(-8, 8, 321)
    with torch.no_grad():
        total = flow.log_prob(torch.cartesian_prod(side, side)).double().exp().sum()
    assert float(total) * 0.05**2 == pytest.approx(1, abs=2e-3)
