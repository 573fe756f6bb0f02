"""The implicit optimal prior learns the ratio that it should."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from tests.conftest import seeded
from zspace.core import Batches
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

    from zspace.methods.iop import IOP

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
