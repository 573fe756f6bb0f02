"""The push-forward of noise, and the critic that teaches it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.samplers.shared import two_clouds
from zspace.core import Batches
from zspace.recipes import catalogue
from zspace.samplers import Pushforward
from zspace.samplers.pushforward import critic_terms


def test_pushforward_is_the_generator_of_noise() -> None:
    prior = Pushforward(nn.Linear(2, 3), 2)
    noise = torch.randn(7, 2, generator=torch.Generator().manual_seed(1))
    drawn = prior.sample(7, generator=torch.Generator().manual_seed(1))
    assert torch.equal(drawn, prior.generator(noise))


def test_what_the_critic_minimises() -> None:
    """FlexAE's Eq. 6 of a linear critic, whose gradient is the same everywhere."""
    critic = nn.Linear(3, 1)
    real, fake = torch.randn(8, 3), torch.randn(8, 3)
    terms = critic_terms(critic, real, fake, Batches(real, size=8))
    norm = critic.weight.norm()
    torch.testing.assert_close(terms["penalty"], 10 * (norm - 1) ** 2)
    torch.testing.assert_close(terms["wasserstein"], (critic(fake) - critic(real)).mean())


@pytest.mark.parametrize("name, iterations", [("pushforward", 500), ("two-stage", 600)])
def test_the_others_learn_what_they_are_shown(name: str, iterations: int) -> None:
    z, _ = two_clouds()
    options = {"iterations": iterations, "hidden": 64, "rate": 1e-3, "batch_size": 128}
    sampler = catalogue.make(name, 2, options).fit(z)
    drawn = sampler.sample(4000, generator=torch.Generator().manual_seed(0))
    assert float((drawn[:, 0] > 0).float().mean()) == pytest.approx(0.5, abs=0.2)
    # few codes lie between the two clouds, where a normal has a third of its own
    assert float((drawn[:, 0].abs() < 0.7).float().mean()) < 0.15
