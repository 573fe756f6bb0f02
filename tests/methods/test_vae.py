"""VAEs with all their priors, posteriors and likelihoods, against formulas and laws."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

import zspace
from tests.conftest import seeded, small
from tests.methods.steps import steps, vectors
from zspace.core import Batches, Density
from zspace.functional import bernoulli_error, gaussian_mmd, log_squared_error, normal_kl
from zspace.methods.vae import VAE, LearnedVariance
from zspace.nets.categorical import CategoricalNets
from zspace.recipes import RECIPES, Facts
from zspace.samplers import Normal as StandardNormal


@pytest.mark.parametrize("loss", ["elbo", "mmd"])
def test_losses_of_the_vae(loss: Any) -> None:
    torch.manual_seed(0)
    nets = CategoricalNets((1, 8, 8), 3, 16)
    vae = VAE(
        nets.encoder(),
        nets.decoder(),
        StandardNormal(3),
        3,
        beta=7,
        likelihood="bernoulli",
        prior_loss=loss,
    )
    x = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8)
    ((name, terms),) = vae.objectives(Batches(x, size=40, seed=3))
    again = Batches(x, size=40, seed=3)
    batch, _ = next(again)
    mean, log_variance, _ = vae.moments(batch)
    z = mean + (log_variance / 2).exp() * again.normal(3)
    assert name == "vae"
    torch.testing.assert_close(terms["reconstruction"], bernoulli_error(vae.decode(z), batch))
    expected = (
        normal_kl(mean, log_variance) if loss == "elbo" else gaussian_mmd(z, again.normal(3), 3)
    )
    torch.testing.assert_close(terms["kl" if loss == "elbo" else "mmd"], 7 * expected)


class StandardDensity(Density):
    """N(0, I), but not `Normal`: the KL is then one draw's."""

    def draw(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return torch.randn(n, 3, generator=generator)

    def log_density(self, z: Tensor) -> Tensor:
        return Independent(Normal(torch.zeros(3), torch.ones(3)), 1).log_prob(z)


def test_the_kl_of_a_draw_is_on_average_the_closed_form() -> None:
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(5, 6), nn.Linear(3, 5)
    closed = VAE(encoder, decoder, StandardNormal(3), 3)
    drawn = VAE(encoder, decoder, StandardDensity(), 3)
    ((_, exact),) = steps(closed, vectors())
    x = next(vectors())[0]
    repeated = Batches(x.repeat(500, 1), size=8000)
    ((_, estimate),) = steps(drawn, repeated)
    assert float(estimate["kl"].detach()) == pytest.approx(float(exact["kl"].detach()), rel=0.03)


def test_a_flow_posterior_is_the_density_of_its_draws() -> None:
    facts = Facts((5,))
    options = {**small("vae-flow"), "place": "posterior"}
    model = RECIPES["vae-flow"](facts, **options).model  # type: ignore[call-arg]
    assert isinstance(model, VAE)
    assert model.flow is not None
    x = torch.randn(16, 5, generator=seeded())
    batches = vectors()
    x, _ = next(batches)
    mean, log_variance, context = model.moments(x)
    z_0 = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=seeded(1))
    z, log_det = model.flow(context).call_and_ladj(z_0)
    base = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    # the other way round: from z back to z_0
    again = model.posterior(x).log_prob(z)
    torch.testing.assert_close(again, base.log_prob(z_0) - log_det, rtol=1e-4, atol=1e-4)
    # and log |det| against the whole Jacobian, which is triangular up to the order
    whole = torch.autograd.functional.jacobian(
        lambda v: model.flow(context[:1])(v[None])[0], z_0[0].detach()
    )
    torch.testing.assert_close(log_det[0], torch.linalg.slogdet(whole)[1], atol=1e-4, rtol=1e-4)


def test_learned_variance_is_least_at_the_mean_squared_error() -> None:
    x, y = torch.randn(50, 4, generator=seeded(1)), torch.randn(50, 4, generator=seeded(2))
    error = LearnedVariance()
    optimiser = torch.optim.LBFGS(error.parameters(), line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = error(x, y)
        loss.backward()
        return loss

    for _ in range(5):
        optimiser.step(closure)  # type: ignore[arg-type]
    mse = (x - y).square().mean()
    assert float(error.log_deviation.detach().exp() ** 2) == pytest.approx(float(mse), rel=1e-3)
    # there it is the likeliest Gaussian's, up to d / 2
    torch.testing.assert_close(error(x, y).detach(), log_squared_error(x, y) + 2)


def test_a_learned_variance_arrives_long_before_the_networks() -> None:
    options = {**small("vae"), "latent_dim": 8, "width": 8, "hidden": 64, "rate": 1e-4}
    model = zspace.train(
        "vae", "digits", iterations=500, likelihood="learned-variance", device="cpu", **options
    )
    assert isinstance(model, VAE)
    assert isinstance(model.error, LearnedVariance)
    images = zspace.data.load("digits")
    x = images.train.x.float() / 255
    mse = (model.reconstruct(x) - x).square().mean()
    # 500 updates at the networks' rate would leave it at 0.9 at least
    assert float(model.error.log_deviation.detach().exp() ** 2) < 2 * float(mse) < 0.25


def test_a_flow_runs_in_full_precision_under_autocast() -> None:
    model = RECIPES["vae-flow"](Facts((5,)), **small("vae-flow")).model  # type: ignore[call-arg]
    assert isinstance(model, VAE)
    assert model.flow is not None
    seen: list[bool] = []
    model.flow.register_forward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    with torch.autocast("cpu", torch.bfloat16):
        list(steps(model, vectors()))
        model.encode(next(vectors())[0])
    assert seen == [False, False]
