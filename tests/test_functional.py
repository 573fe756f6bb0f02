"""Formulas against independent implementations."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

from zspace.functional import bernoulli_error, convex, gradient_penalty, normal_kl, squared_error


def test_squared_error_against_numpy() -> None:
    x, y = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4)
    expected = np.mean([((a - b) ** 2).sum() for a, b in zip(x.numpy(), y.numpy(), strict=True)])
    np.testing.assert_allclose(squared_error(x, y), expected, rtol=1e-6)


def test_bernoulli_error_against_torch_also_at_the_ends() -> None:
    x = torch.cat([torch.rand(6, 10), torch.tensor([[0.0, 1.0] * 5])])
    y = torch.cat([torch.rand(6, 10), torch.tensor([[1.0, 0.0] * 5])])
    expected = nn.functional.binary_cross_entropy(x, y, reduction="sum") / len(x)
    torch.testing.assert_close(bernoulli_error(x, y), expected)


def test_bernoulli_error_of_a_saturated_mean_has_a_finite_gradient() -> None:
    logits = torch.tensor([[20.0, -200.0, 20.0, -200.0]], requires_grad=True)
    y = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    (gradient,) = torch.autograd.grad(bernoulli_error(logits.sigmoid(), y), logits)
    assert bool(torch.isfinite(gradient).all())
    assert gradient[0, :2].tolist() == [0, 0]


@settings(deadline=None)  # a slow machine is no failure
@given(st.integers(0, 10_000))
def test_kl_against_torch_distributions(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mean = 3 * torch.randn(4, 5, generator=generator)
    log_variance = 2 * torch.randn(4, 5, generator=generator)
    q = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    p = Independent(Normal(torch.zeros(4, 5), torch.ones(4, 5)), 1)
    expected = kl_divergence(q, p).mean()
    torch.testing.assert_close(normal_kl(mean, log_variance), expected, rtol=1e-4, atol=1e-4)


def test_convex_takes_one_weight_for_each_sample() -> None:
    a, b, weight = torch.rand(3, 2, 4), torch.rand(3, 2, 4), torch.tensor([[0.0], [0.25], [1.0]])
    mixed = convex(a, b, weight)
    torch.testing.assert_close(mixed[0], b[0])
    torch.testing.assert_close(mixed[1], 0.25 * a[1] + 0.75 * b[1])
    torch.testing.assert_close(mixed[2], a[2])


def test_gradient_penalty_of_a_linear_critic_is_known() -> None:
    critic = nn.Linear(4, 1).double()
    real, fake = torch.randn(6, 4).double(), torch.randn(6, 4).double()
    penalty = gradient_penalty(critic, real, fake, torch.rand(6, 1).double())
    expected = (critic.weight.norm() - 1) ** 2
    torch.testing.assert_close(penalty, expected)


def test_gradient_penalty_against_finite_differences() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    real, fake, mix = (
        torch.randn(5, 3).double(),
        torch.randn(5, 3).double(),
        torch.rand(5, 1).double(),
    )
    u = mix * real + (1 - mix) * fake
    norms = []
    for point in u:
        slope = [
            (critic(point + step) - critic(point - step)).item() / 2e-6
            for step in 1e-6 * torch.eye(3).double()
        ]
        norms.append(np.linalg.norm(slope))
    expected = np.mean([(n - 1) ** 2 for n in norms])
    np.testing.assert_allclose(
        gradient_penalty(critic, real, fake, mix).item(), expected, rtol=1e-7
    )


def test_gradient_penalty_of_a_flat_critic_has_a_finite_gradient() -> None:
    critic = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        for p in critic.parameters():
            p.zero_()
    penalty = gradient_penalty(critic, torch.ones(2, 3), torch.zeros(2, 3), torch.rand(2, 1))
    assert penalty.item() == 1
    for g in torch.autograd.grad(penalty, list(critic.parameters()), allow_unused=True):
        assert g is None or bool(torch.isfinite(g).all())
