"""ALAE's gradient penalty."""

from __future__ import annotations

import torch
from torch import nn

from tests.methods.steps import steps, vectors


def test_alaes_penalty_is_the_squared_gradient_at_images() -> None:
    from zspace.methods.alae import ALAE
    from zspace.samplers import Pushforward

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
