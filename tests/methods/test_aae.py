"""The adversarial autoencoder."""

from __future__ import annotations

import torch
from torch import nn

from zspace.methods.aae import AAE
from zspace.nets.mlp import mlp
from zspace.samplers import Normal


def test_the_weight_multiplies_the_step_towards_the_prior_alone() -> None:
    torch.manual_seed(0)
    model = AAE(nn.Linear(4, 2), nn.Linear(2, 4), Normal(2), mlp(2, [8], 1), 2, weight=0.1)
    rates = {name: o.param_groups[0]["lr"] for name, o in model.optimizers().items()}
    assert rates == {"ae": 2e-4, "discriminator": 2e-4, "encoder": 2e-5}
