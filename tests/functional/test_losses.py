"""Losses against independent implementations, PyTorch's distributions and finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

from tests.conftest import seeded
from zspace.functional import (
    batch_kl,
    bernoulli_error,
    classification_error,
    gradient_penalty,
    jacobian_norm,
    log_squared_error,
    normal_kl,
    squared_error,
)


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


def test_the_four_losses_of_section_6_7() -> None:
    torch.manual_seed(0)
    logits, y = torch.randn(6, 4, dtype=torch.float64) - 1, torch.tensor([0, 1, 2, 3, 0, 1])
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    truth = np.eye(4)[y]
    for of, s in (("softmax", p), ("logits", logits.numpy())):
        right, others = (s * truth).sum(1), np.where(truth, -np.inf, s).max(1)
        plain = {
            "cross-entropy": -np.log((p * truth).sum(1)),
            "hinge": np.maximum(0, 1 + others - right),
            "cosine": 1 - right / np.sqrt((s**2).sum(1)),
            "mse": ((s - truth) ** 2).mean(1),
        }
        for loss, each in plain.items():
            ours = classification_error(logits, y, loss, of)  # type: ignore[arg-type]
            assert float(ours) == pytest.approx(each.mean(), abs=1e-12), (loss, of)


def test_gradient_of_the_log_error_is_the_gaussians_at_its_likeliest_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(5, 3, 4, 4, generator=generator, dtype=torch.float64)
    x = torch.rand(5, 3, 4, 4, generator=generator, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(log_squared_error(x, y), x)
    variance = (x.detach() - y).square().mean()  # maximises the likelihood of all pixels together
    gaussian = torch.distributions.Normal(x, variance.sqrt())
    loss = -gaussian.log_prob(y).sum() / len(y)
    (expected,) = torch.autograd.grad(loss, x)
    torch.testing.assert_close(gradient, expected)
    # and the value, up to the constant of the paper's derivation
    constant = y[0].numel() / 2 * (1 + math.log(2 * math.pi))
    x, least = x.detach(), float(loss.detach())
    assert float(log_squared_error(x, y)) + constant == pytest.approx(least)
    # which no other variance has
    for factor in (0.9, 1.1):
        worse = torch.distributions.Normal(x, (factor * variance).sqrt())
        assert float(-worse.log_prob(y).sum() / len(y)) > least


def test_another_range_of_pixels_adds_a_constant() -> None:
    x, y = torch.rand(2, 4, 1, 8, 8, dtype=torch.float64)
    more = log_squared_error(2 * x - 1, 2 * y - 1) - log_squared_error(x, y)
    assert float(more) == pytest.approx(64 * math.log(2))
    assert math.isfinite(float(log_squared_error(x, x)))


def test_jacobian_norm_against_the_whole_jacobian() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 4)).double()
    z = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    exact = torch.stack(
        [torch.autograd.functional.jacobian(net, row).square().sum() for row in z.detach()]
    ).mean()
    g = seeded()
    estimates = torch.stack(
        [jacobian_norm(net(z), z, torch.randn(5, 4, generator=g)).detach() for _ in range(4000)]
    )
    error = float(estimates.std()) / math.sqrt(4000)
    assert abs(float(estimates.mean() - exact)) < 4 * error
    assert error < 0.02 * float(exact)


def test_batch_kl_against_pytorch() -> None:
    z = 2 + 3 * torch.randn(500, 4, generator=seeded(), dtype=torch.float64)
    fitted = Normal(z.mean(0), z.std(0, unbiased=False))
    expected = kl_divergence(fitted, Normal(torch.zeros(4), torch.ones(4))).sum()
    torch.testing.assert_close(batch_kl(z), expected.double())
