"""The adversarial autoencoder."""

from __future__ import annotations

import torch
from torch import nn

from tests.methods.steps import steps, vectors
from zspace.methods.aae import AAE
from zspace.nets.mlp import mlp
from zspace.samplers import Normal


def test_the_weight_multiplies_the_step_towards_the_prior_alone() -> None:
    torch.manual_seed(0)
    model = AAE(nn.Linear(4, 2), nn.Linear(2, 4), Normal(2), mlp(2, [8], 1), 2, weight=0.1)
    rates = {name: o.param_groups[0]["lr"] for name, o in model.optimizers().items()}
    assert rates == {"ae": 2e-4, "discriminator": 2e-4, "encoder": 2e-5}


def test_aae_by_its_formula() -> None:
    torch.manual_seed(0)
    encoder, decoder, critic = nn.Linear(5, 2), nn.Linear(2, 5), mlp(2, [8], 1)
    model = AAE(encoder, decoder, Normal(2), critic, 2)
    x = next(vectors())[0]
    torch.manual_seed(5)
    z, real = encoder(x), Normal(2).sample(16)
    torch.manual_seed(5)
    found = dict(steps(model, vectors()))
    s_z, s_p = critic(z).sigmoid(), critic(real).sigmoid()
    torch.testing.assert_close(found["ae"]["reconstruction"], ((decoder(z) - x) ** 2).mean())
    torch.testing.assert_close(found["discriminator"]["prior"], -s_p.log().mean())
    torch.testing.assert_close(found["discriminator"]["codes"], -(1 - s_z).log().mean())
    torch.testing.assert_close(found["encoder"]["fooling"], -s_z.log().mean())
