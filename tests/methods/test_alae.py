"""ALAE against its formulas."""

from __future__ import annotations

import torch
from torch import nn

from tests.methods.steps import steps, vectors
from zspace.methods.alae import ALAE
from zspace.nets.mlp import mlp
from zspace.samplers import Pushforward


def test_alaes_penalty_is_the_squared_gradient_at_images() -> None:
    torch.manual_seed(0)
    encoder, critic = nn.Linear(5, 2, bias=False), nn.Linear(2, 1, bias=False)
    model = ALAE(encoder, nn.Linear(2, 5), Pushforward(nn.Linear(2, 2), 2), critic, 2, gamma=4.0)
    found = dict(steps(model, vectors()))
    # of linear maps the gradient is the same everywhere
    gradient = (critic.weight @ encoder.weight).square().sum()
    torch.testing.assert_close(found["discriminator"]["penalty"], 2 * gradient)
    x = next(vectors())[0]
    real = (1 + (-critic(encoder(x))).exp()).log().mean()
    torch.testing.assert_close(found["discriminator"]["real"], real)


def test_alae_by_its_formula() -> None:
    torch.manual_seed(0)
    e, g, f, c = nn.Linear(5, 2), nn.Linear(2, 5), nn.Linear(2, 2), mlp(2, [8], 1)
    model = ALAE(e, g, Pushforward(f, 2), c, 2)
    drawn = vectors()
    x = next(drawn)[0]
    noises = [drawn.normal(2) for _ in range(3)]
    found = dict(steps(model, vectors()))
    on_fakes = [c(e(g(f(noise)))).sigmoid() for noise in noises]
    judged, fooling, latent = (found[name] for name in ("discriminator", "generator", "latent"))
    torch.testing.assert_close(judged["fake"], -(1 - on_fakes[0]).log().mean())
    torch.testing.assert_close(judged["real"], -c(e(x)).sigmoid().log().mean())
    torch.testing.assert_close(fooling["fooling"], -on_fakes[1].log().mean())
    w = f(noises[2])
    torch.testing.assert_close(latent["reciprocity"], ((e(g(w)) - w) ** 2).sum(1).mean())
