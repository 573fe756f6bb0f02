"""The implicit optimal prior learns the ratio that it should."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from tests.conftest import seeded
from zspace.core import Batches
from zspace.methods.iop import IOP
from zspace.methods.vae import ERRORS, Likelihood
from zspace.nets.categorical import CategoricalNets
from zspace.nets.mlp import mlp
from zspace.samplers.implicit import ImplicitPrior
from zspace.training import fit


def test_iop_learns_the_ratio_and_its_kl_is_that_to_all_codes() -> None:
    """Codes of a fixed encoder: q(z) = N(1, 0.5^2), made of q(z | x) = N(x, 0.3^2)."""
    torch.manual_seed(0)
    x = 1 + 0.4 * torch.randn(4000, 1, generator=seeded())

    class Encoder(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, torch.full_like(x, 2 * math.log(0.3))], 1)

    model = IOP(
        Encoder(), nn.Linear(1, 1), ImplicitPrior(mlp(1, [32, 32], 1), 1), 1, ratio_rate=3e-3
    )
    fit(model, Batches(x, size=500), 1500)
    z = torch.linspace(0, 2, 21)[:, None]
    true = Normal(1, 0.5).log_prob(z)[:, 0]
    with torch.no_grad():
        assert float((model.prior.log_prob(z) - true).abs().mean()) < 0.15
        terms = dict(next(iter(model.objectives(Batches(x, size=4000))))[1])
    # KL(N(x, 0.3^2) || N(1, 0.5^2)), mean over x
    least = kl_divergence(Normal(x, 0.3), Normal(1.0, 0.5)).mean()
    assert float(terms["kl"] + terms["ratio"]) == pytest.approx(float(least), abs=0.1)


@pytest.mark.parametrize("likelihood", ["bernoulli", "log-mse", "learned-variance"])
def test_iop_takes_the_likelihoods_of_the_vae(likelihood: Likelihood) -> None:
    """The reconstruction's term is the likelihood's, and what it learns is updated."""
    torch.manual_seed(0)
    nets = CategoricalNets((1, 8, 8), 2, 16)
    model = IOP(
        nets.encoder(), nets.decoder(), ImplicitPrior(mlp(2, [8], 1), 2), 2, likelihood=likelihood
    )
    x = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=seeded())
    terms = dict(next(iter(model.objectives(Batches(x, size=40, seed=3))))[1])
    again = Batches(x, size=40, seed=3)
    batch, _ = next(again)
    mean, log_variance = model.moments(batch)
    z = mean + (log_variance / 2).exp() * again.normal(2)
    expected = ERRORS[likelihood]()(model.decode(z), batch)
    torch.testing.assert_close(terms["reconstruction"], expected)
    learned = [p for p in model.parameters() if p.requires_grad]
    updated = [p for o in model.optimizers().values() for g in o.param_groups for p in g["params"]]
    assert {id(p) for p in updated} == {id(p) for p in learned}
