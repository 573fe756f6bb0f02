"""An implicit prior draws from its density."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from tests.conftest import seeded
from zspace.samplers import Normal as StandardNormal
from zspace.samplers.implicit import ImplicitPrior


def test_an_implicit_prior_draws_from_its_density() -> None:
    """With the true ratio of N(m, s^2) to N(0, I)."""
    m, s = torch.tensor([0.5, -1.0]), torch.tensor([0.5, 0.8])
    target = Independent(Normal(m, s), 1)

    class Ratio(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return (target.log_prob(z) - StandardNormal(2).log_prob(z))[:, None]

    prior = ImplicitPrior(Ratio(), 2)
    z = prior.sample(20_000, generator=seeded())
    torch.testing.assert_close(prior.log_prob(z), target.log_prob(z))
    torch.testing.assert_close(z.mean(0), m, atol=0.03, rtol=0)
    torch.testing.assert_close(z.std(0), s, atol=0.03, rtol=0)
