"""The papers' baselines: each against its formula, a law, or an independent implementation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

import zspace
from tests.conftest import small
from zspace.core import Batches, Density, Frozen, Terms
from zspace.errors import InputError
from zspace.functional import (
    batch_kl,
    gaussian_mmd,
    jacobian_norm,
    log_squared_error,
    multiquadratic_mmd,
)
from zspace.methods.cvae import CVAE
from zspace.methods.gan import GAN, Adversary
from zspace.methods.maskaae import MaskAAE, Masked
from zspace.methods.pioneer import Pioneer
from zspace.methods.rae import RAE
from zspace.methods.two_stage import SecondStage, TwoStage
from zspace.methods.vae import VAE, LearnedVariance
from zspace.methods.vqvae import VQVAE
from zspace.methods.wae import WAE
from zspace.nets.conditional import labelled
from zspace.nets.mlp import mlp
from zspace.recipes import RECIPES, Facts
from zspace.samplers import Mixture
from zspace.samplers import Normal as StandardNormal
from zspace.samplers.autoregressive import Autoregressive
from zspace.samplers.flow import Flow
from zspace.samplers.implicit import ImplicitPrior
from zspace.samplers.labelled import Labelled
from zspace.samplers.sphere import Sphere
from zspace.samplers.vamp import VampPrior
from zspace.storage.run import Run
from zspace.training import descend, fit


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vectors(n: int = 64, dim: int = 5) -> Batches:
    return Batches(torch.randn(n, dim, generator=seeded()), torch.arange(n) % 3, size=16)


def steps(model: object, batches: Batches) -> Iterator[tuple[str, Terms]]:
    """The updates of one iteration, without making them."""
    yield from model.objectives(batches)  # type: ignore[attr-defined]


# ---- WAE


def multiquadratic(x: Tensor, y: Tensor) -> float:
    """WAE's Algorithm 2, pair by pair."""
    n, dim = x.shape

    def k(a: Tensor, b: Tensor) -> float:
        scales = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
        return sum(2 * dim * s / (2 * dim * s + float(((a - b) ** 2).sum())) for s in scales)

    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    within = sum(k(z[i], z[j]) for z in (x, y) for i, j in pairs) / (n * (n - 1))
    across = sum(k(a, b) for a in x for b in y) / n**2
    return within - 2 * across


def test_multiquadratic_mmd_against_a_loop() -> None:
    x, y = torch.randn(6, 3, generator=seeded(1)), torch.randn(6, 3, generator=seeded(2)) + 1
    assert float(multiquadratic_mmd(x, y, 1.0)) == pytest.approx(multiquadratic(x, y), abs=1e-5)


def test_multiquadratic_mmd_has_no_bias_and_tells_laws_apart() -> None:
    g = seeded()
    same = [
        multiquadratic_mmd(torch.randn(20, 4, generator=g), torch.randn(20, 4, generator=g), 1)
        for _ in range(400)
    ]
    each = torch.stack(same)
    assert abs(float(each.mean())) < 4 * float(each.std()) / 20
    other = multiquadratic_mmd(torch.randn(200, 4, generator=g), 3 + torch.randn(200, 4), 1.0)
    assert float(other) > 1


def test_wae_by_an_mmd_leads_codes_to_its_prior() -> None:
    torch.manual_seed(0)
    data = Batches(3 + 2 * torch.randn(2000, 2, generator=seeded()), size=100)
    model = WAE(nn.Linear(2, 2), nn.Linear(2, 2), StandardNormal(2), None, 2, weight=100, rate=3e-3)
    fit(model, data, 1500)
    with torch.no_grad():
        z = model.encode(data.x)
    assert float(z.mean(0).abs().max()) < 0.2
    assert float((z.std(0) - 1).abs().max()) < 0.2


def test_wae_gan_by_its_formula() -> None:
    torch.manual_seed(0)
    discriminator = mlp(2, [8], 1)
    model = WAE(nn.Linear(5, 2), nn.Linear(2, 5), StandardNormal(2), discriminator, 2, weight=7.0)
    x = next(vectors())[0]
    torch.manual_seed(5)
    drawn = StandardNormal(2).sample(16)
    torch.manual_seed(5)
    (_, ae), (name, judged) = steps(model, vectors())
    z = model.encoder(x)
    s_z, s_p = discriminator(z).sigmoid(), discriminator(drawn).sigmoid()
    error = ((model.decoder(z) - x) ** 2).sum(1).mean()
    torch.testing.assert_close(ae["reconstruction"], error)
    torch.testing.assert_close(ae["fooling"], 7 * -s_z.log().mean())
    assert name == "discriminator"
    expected = -7 * (s_p.log().mean() + (1 - s_z).log().mean())
    torch.testing.assert_close(sum(judged.values()), expected)


def test_wae_takes_a_mixture() -> None:
    facts = Facts((1, 8, 8), tuple("abc"))
    model = RECIPES["wae"](facts, prior="mixture", **small("wae")).model  # type: ignore[call-arg]
    assert isinstance(model.prior, Mixture)
    assert len(model.prior.weights) == 3


# ---- RAE


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


@pytest.mark.parametrize("regulariser", ["l2", "gradient-penalty", "spectral-norm", "none"])
def test_rae_by_its_formula(regulariser: str) -> None:
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(5, 2), nn.Linear(2, 5)
    model = RAE(encoder, decoder, 2, regulariser=regulariser, beta=0.3, weight=0.7)  # type: ignore[arg-type]
    ((_, terms),) = steps(model, vectors())
    x = next(vectors())[0]
    z = encoder(x)
    expected = {
        "reconstruction": ((decoder(z) - x) ** 2).sum(1).mean(),
        "codes": 0.15 * (z**2).sum(1).mean(),
    }
    if regulariser == "l2":
        expected["weights"] = 0.7 * ((decoder.weight**2).sum() + (decoder.bias**2).sum())
    if regulariser == "gradient-penalty":  # of a linear decoder: ||W^T v||^2, on average ||W||^2
        drawn = vectors()
        next(drawn)
        v = drawn.normal(5)
        expected["jacobian"] = 0.7 * ((v @ decoder.weight) ** 2).sum(1).mean()
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)


def test_spectral_norm_bounds_the_decoders_layers() -> None:
    options = {**small("rae"), "iterations": 30, "regulariser": "spectral-norm"}
    model = zspace.train("rae", "digits", device="cpu", **options)
    for layer in model.decoder.modules():
        if isinstance(layer, nn.Linear):
            largest = torch.linalg.matrix_norm(layer.weight, 2)
            assert float(largest.detach()) == pytest.approx(1, abs=0.1)


# ---- VAEs with other priors and posteriors


class StandardDensity(Density):
    """N(0, I), but not `Normal`: the KL is then one draw's."""

    def sample(
        self, n: int, label: int | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return torch.randn(n, 3, generator=generator)

    def log_prob(self, z: Tensor) -> Tensor:
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


def test_a_flow_is_a_density_and_draws_what_it_says() -> None:
    torch.manual_seed(0)
    flow = Flow(2, transforms=2, hidden=16)
    for p in flow.parameters():
        p.data += 0.3 * torch.randn(p.shape, generator=seeded(p.numel()))
    line = torch.linspace(-8, 8, 401)
    grid = torch.cartesian_prod(line, line)
    with torch.no_grad():
        density = flow.log_prob(grid).exp()
        z = flow.sample(20_000, generator=seeded())
    cell = float(line[1] - line[0]) ** 2
    assert float(density.sum()) * cell == pytest.approx(1, abs=0.01)
    mean = (density[:, None] * grid).sum(0) * cell
    torch.testing.assert_close(z.mean(0), mean, atol=0.05, rtol=0)
    second = (density * grid.prod(1)).sum() * cell
    assert float(z.prod(1).mean()) == pytest.approx(float(second), abs=0.1)


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


def test_vampprior_against_pytorchs_mixture() -> None:
    torch.manual_seed(0)
    net = nn.Linear(4, 6)
    prior = VampPrior((4,), 5, lambda u: net(u).chunk(2, 1))
    mean, log_variance = net(prior.pseudo_inputs).chunk(2, 1)
    each = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    expected = MixtureSameFamily(Categorical(torch.ones(5)), each)
    z = torch.randn(600, 3, generator=seeded())
    torch.testing.assert_close(prior.log_prob(z), expected.log_prob(z))
    with torch.no_grad():
        drawn = prior.sample(50_000, generator=seeded())
    torch.testing.assert_close(drawn.mean(0), expected.mean.detach(), atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.var(0), expected.variance.detach(), atol=0.05, rtol=0.03)


def test_pseudo_inputs_learn_and_leave_batch_norm_alone() -> None:
    plan = RECIPES["vampprior"](Facts((1, 8, 8)), **small("vampprior"))  # type: ignore[call-arg]
    model = plan.model
    x = torch.rand(16, 1, 8, 8, generator=seeded())
    data = Batches((x * 255).byte(), size=16)
    alone = [m.running_mean for m in model.encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert alone[0] is not None
    optimizers = model.optimizers()
    before = model.state_dict()["prior.pseudo_inputs"].clone()
    for name, terms in model.objectives(data):
        descend(optimizers[name], terms)
    assert not torch.equal(before, model.state_dict()["prior.pseudo_inputs"])
    # one pass in train mode: that of the images
    counts = [
        m.num_batches_tracked for m in model.encoder.modules() if isinstance(m, nn.BatchNorm2d)
    ]
    assert [int(c) for c in counts if c is not None] == [1]
    assert model.training


def test_an_implicit_prior_draws_from_its_density() -> None:
    """With the true ratio of N(m, s^2) to N(0, I)."""
    m, s = torch.tensor([0.5, -1.0]), torch.tensor([0.5, 0.8])
    target = Independent(Normal(m, s), 1)

    class Ratio(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return (target.log_prob(z) - StandardNormal(2).log_prob(z))[:, None]

    prior = ImplicitPrior(Ratio(), 2)
    z = prior.sample(20_000, generator=seeded())
    torch.testing.assert_close(prior.log_prob(z), target.log_prob(z))
    torch.testing.assert_close(z.mean(0), m, atol=0.03, rtol=0)
    torch.testing.assert_close(z.std(0), s, atol=0.03, rtol=0)


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


def test_the_second_stage_learns_codes_that_are_not_normal() -> None:
    """Codes about -1 and 1, two in three of the latter."""
    torch.manual_seed(0)
    x = 2.0 * (torch.rand(2000, 1, generator=seeded()) < 2 / 3) - 1

    class Exact(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, torch.full_like(x, -8.0)], 1)

    first = VAE(Exact(), nn.Identity(), StandardNormal(1), 1, likelihood="learned-variance")
    second = VAE(
        mlp(1, [64, 64], 2),
        mlp(1, [64, 64], 1),
        StandardNormal(1),
        1,
        rate=2e-3,
        likelihood="learned-variance",
    )
    model = TwoStage(first, SecondStage(second))
    from zspace.data import Images
    from zspace.data.images import Part

    part = Part(x, None)
    moments = model.posteriors(Images("two", part, part, part))
    assert moments.x.shape == (2000, 2)
    torch.testing.assert_close(moments.x[:, :1], x)
    fit(model, Batches(moments.x, size=100), 1500)
    with torch.no_grad():
        z = model.prior.sample(2000, generator=seeded())
    assert float(((z.abs() - 1).abs() < 0.3).double().mean()) > 0.9  # of N(0, I): 0.29
    assert float((z > 0).double().mean()) == pytest.approx(2 / 3, abs=0.07)


def test_the_first_stage_stays_as_it_is(tmp_path: Path) -> None:
    options = {**small("two-stage-vae"), "iterations": 8, "first_iterations": 4}
    zspace.train(
        "two-stage-vae",
        "digits",
        out=tmp_path / "r",
        checkpoint_every=1,
        keep=0,
        device="cpu",
        **options,
    )
    run = Run(tmp_path / "r")
    four, eight = (run.weights(run.checkpoints()[i]) for i in (4, 8))
    changed = {k for k in four if not torch.equal(four[k], eight[k])}
    assert changed
    assert all(k.startswith("prior.vae") for k in changed)


# ---- VQ-VAE


def test_quantisation_and_its_gradients_by_the_formula() -> None:
    torch.manual_seed(0)
    prior = Autoregressive(6, 2, (2, 3), width=4, blocks=1)
    prior.codebook.data.normal_()
    encoder, decoder = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 1, 1)
    model = VQVAE(encoder, decoder, prior, 12, commitment=0.25)
    x = torch.rand(8, 1, 2, 3, generator=seeded())
    batches = Batches((x * 255).byte(), size=8)
    batches.step = 1  # the codebook stays as it is
    (_, terms), (_, likelihood) = steps(model, batches)
    x = next(Batches((x * 255).byte(), size=8))[0]
    grid = encoder(x)
    flat = grid.movedim(1, -1).reshape(-1, 2)
    nearest = torch.stack([(row - prior.codebook).norm(dim=1).argmin() for row in flat])
    e = prior.codebook[nearest].view(8, 2, 3, 2).movedim(-1, 1)
    torch.testing.assert_close(terms["codebook"], ((e - grid) ** 2).flatten(1).sum(1).mean())
    torch.testing.assert_close(terms["commitment"], terms["codebook"] / 4)
    rebuilt = ((decoder(e) - x) ** 2).flatten(1).sum(1).mean()
    torch.testing.assert_close(terms["reconstruction"], rebuilt)
    assert likelihood["likelihood"] > 0
    # the decoder's gradient is handed on to the encoder as if e were its output
    held = grid.detach().requires_grad_()
    through = ((decoder(held + (e - held).detach()) - x) ** 2).flatten(1).sum(1).mean()
    (expected,) = torch.autograd.grad(through, held)
    (found,) = torch.autograd.grad(terms["reconstruction"], encoder.bias, retain_graph=True)
    torch.testing.assert_close(found, expected.sum((0, 2, 3)))
    # nothing of it reaches the codebook
    parts = torch.autograd.grad(terms["reconstruction"], prior.codebook, allow_unused=True)
    assert parts == (None,)
    torch.testing.assert_close(model.encode(x), e.flatten(1))


def test_the_codebook_begins_as_codes_and_is_used() -> None:
    model = zspace.train("vq-vae", "digits", iterations=60, device="cpu", **small("vq-vae"))
    assert isinstance(model, VQVAE)
    x = torch.rand(50, 1, 8, 8, generator=seeded())
    with torch.no_grad():
        assert len(model.quantise(model.encoder(x)).unique()) > 1


def every_grid() -> Tensor:
    return torch.tensor(list(itertools.product(range(3), repeat=4))).view(-1, 2, 2)


def test_the_autoregressive_likelihood_is_normalised_and_drawn_from() -> None:
    torch.manual_seed(0)
    prior = Autoregressive(3, 2, (2, 2), width=8, blocks=2)
    for p in prior.net.parameters():
        p.data += 0.4 * torch.randn(p.shape, generator=seeded(p.numel()))
    grids = every_grid()
    with torch.no_grad():
        logs = torch.stack([-prior.negative_log_likelihood(k[None]) for k in grids])
        z = prior.sample(20_000, generator=seeded())
    assert float(logs.exp().sum()) == pytest.approx(1, abs=1e-5)
    assert float(logs.exp().max()) > 2 / 81  # not uniform: the test means something
    embedded = prior.embed(grids).flatten(1).detach()
    counts = torch.cdist(z, embedded).argmin(1).bincount(minlength=81)
    expected = logs.exp() * 20_000
    chi = float(((counts - expected) ** 2 / expected).sum())
    assert chi < 80 + 5 * math.sqrt(160)


def test_an_index_depends_on_those_before_it_alone() -> None:
    torch.manual_seed(0)
    net = Autoregressive(5, 2, (4, 4), width=8, blocks=3).net
    k = torch.randint(0, 5, (1, 4, 4), generator=seeded())
    other = k.clone()
    other[0, 2, 1] = (other[0, 2, 1] + 1) % 5
    with torch.no_grad():
        differs = (net(k) != net(other)).any(1)[0].flatten()
    place = 2 * 4 + 1
    assert not differs[: place + 1].any()
    assert differs[place + 1 :].any()


# ---- MaskAAE


def test_the_mask_scales_codes_and_prior_alike() -> None:
    torch.manual_seed(0)
    prior = Masked(3)
    prior.mask.data = torch.tensor([20.0, 0.0, -20.0])
    encoder = nn.Linear(5, 3)
    model = MaskAAE(encoder, nn.Linear(3, 5), prior, mlp(3, [8], 1), 3)
    x = torch.randn(7, 5, generator=seeded())
    torch.testing.assert_close(model.encode(x), encoder(x) * torch.tensor([1.0, 0.5, 0.0]))
    with torch.no_grad():
        deviations = prior.sample(20_000, generator=seeded()).std(0)
    torch.testing.assert_close(deviations, torch.tensor([1.0, 0.5, 0.0]), atol=0.02, rtol=0)


def test_the_mask_closes_dimensions_that_the_data_have_not() -> None:
    """Data on a plane in five dimensions, codes of four."""
    torch.manual_seed(0)
    plane = torch.randn(2, 5, generator=seeded(3))
    data = Batches(torch.randn(2000, 2, generator=seeded()) @ plane, size=100)
    model = MaskAAE(
        mlp(5, [32], 4),
        mlp(4, [32], 5),
        Masked(4),
        mlp(4, [64, 64], 1),
        4,
        rate=1e-3,
        mask_rate=5e-3,
    )
    fit(model, data, 1500)
    m = model.prior.scales().detach().sort().values
    assert float(m[0].detach()) < 0.5 < float(m[-1].detach())


# ---- conditional models


def test_labels_are_constant_maps() -> None:
    x, e = torch.rand(2, 1, 3, 4), torch.eye(2)
    both = labelled(x, e)
    assert both.shape == (2, 3, 3, 4)
    assert torch.equal(both[:, :1], x)
    assert both[0, 1].min() == 1
    assert both[0, 2].max() == 0
    assert labelled(torch.rand(2, 5), e).shape == (2, 7)


def test_codes_of_a_conditional_model_hold_the_label() -> None:
    prior = Labelled(4, 3)
    z = prior.sample(3000, generator=seeded())
    assert z.shape == (3000, 7)
    assert torch.equal(z[:, 4:].sum(1), torch.ones(3000))
    assert float((z[:, 4:].mean(0) - 1 / 3).abs().max()) < 0.04
    assert bool((prior.sample(5, 2)[:, 6] == 1).all())
    with pytest.raises(InputError, match="label 3 is none of the 3"):
        prior.sample(5, 3)
    with pytest.raises(InputError, match="knows no labels"):
        Labelled(4, 0).sample(5, 1)


def test_cvae_by_its_formula() -> None:
    torch.manual_seed(0)
    encoder, decoder, classifier = nn.Linear(8, 4), nn.Linear(5, 5), nn.Linear(5, 3)
    model = CVAE(encoder, decoder, classifier, Labelled(2, 3), 5, beta=2.0)
    drawn = vectors()
    x, y = next(drawn)
    assert y is not None
    e = torch.eye(3)[y]
    mean, log_variance = encoder(torch.cat([x, e], 1)).chunk(2, 1)
    z = mean + (log_variance / 2).exp() * drawn.normal(2)
    (_, terms), (_, judged) = steps(model, vectors())
    error = ((decoder(torch.cat([z, e], 1)) - x) ** 2).sum(1).mean()
    torch.testing.assert_close(terms["reconstruction"], error)
    q, p = Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(2), torch.ones(2))
    torch.testing.assert_close(terms["kl"], 2 * kl_divergence(q, p).sum(1).mean())
    log_p = classifier(x).log_softmax(1)
    torch.testing.assert_close(judged["cross-entropy"], -log_p[torch.arange(16), y].mean())
    code = model.encode(x)
    torch.testing.assert_close(code[:, 2:], log_p.exp())


@pytest.mark.parametrize("adversary", ["logistic", "wasserstein", "hinge"])
def test_gan_losses_by_their_formulas(adversary: Adversary) -> None:
    torch.manual_seed(0)
    critic, decoder = mlp(8, [6], 1, nn.Tanh), nn.Linear(5, 5)
    model = GAN(
        nn.Linear(5, 5),
        decoder,
        critic,
        Labelled(2, 3),
        5,
        adversary=adversary,
        critic_steps=1,
        rate=1e-3,
        betas=(0.5, 0.9),
    )
    drawn = vectors()
    (x, y), noise = next(drawn), drawn.normal(2)
    assert y is not None
    e = torch.eye(3)[y]
    fake = decoder(torch.cat([noise, e], 1))
    shown, made = torch.cat([x, e], 1), torch.cat([fake, e], 1).detach()
    c_x, c_g = critic(shown), critic(made)
    found = [
        (name, {k: v.detach() for k, v in terms.items()}) for name, terms in steps(model, vectors())
    ]
    assert [name for name, _ in found] == ["critic", "generator", "encoder"]
    total = sum(found[0][1].values())
    if adversary == "logistic":
        expected = -c_x.sigmoid().log().mean() - (1 - c_g.sigmoid()).log().mean()
    elif adversary == "hinge":
        expected = (1 - c_x).clamp(min=0).mean() + (1 + c_g).clamp(min=0).mean()
    else:
        mix = drawn.uniform(1)
        u = (mix * x + (1 - mix) * fake.detach()).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(torch.cat([u, e], 1)).sum(), u)
        expected = c_g.mean() - c_x.mean() + 10 * ((gradient.norm(dim=1) - 1) ** 2).mean()
    torch.testing.assert_close(total, expected.detach())


def test_a_conditional_gan_draws_the_class_that_is_asked_for() -> None:
    """Two classes of vectors' images: dark and bright ones."""
    torch.manual_seed(0)
    y = torch.arange(400) % 2
    x = (60 + 140 * y[:, None, None, None] + torch.randint(0, 20, (400, 1, 8, 8))).byte()
    options = {**small("dcgan"), "arch": "fc", "rate": 1e-3}
    model = RECIPES["dcgan"](Facts((1, 8, 8), ("dark", "bright")), **options).model  # type: ignore[call-arg]
    fit(model, Batches(x, y, size=32), 300)
    dark, bright = (float(model.sample(50, label, generator=seeded()).mean()) for label in (0, 1))
    assert bright - dark > 0.25
    codes = model.encode(torch.cat([torch.full((5, 1, 8, 8), v) for v in (0.27, 0.82)]))
    assert codes.shape == (10, 5)


@pytest.mark.parametrize("name", ["cvae"])
def test_conditional_models_need_labels(name: str) -> None:
    with pytest.raises(InputError, match="labels of two classes or more, these have 0"):
        RECIPES[name](Facts((1, 8, 8)))


def test_gans_without_labels_are_unconditional() -> None:
    model = RECIPES["dcgan"](Facts((1, 8, 8)), **small("dcgan")).model  # type: ignore[call-arg]
    assert model.latent_dim == 3
    fit(model, Batches(torch.zeros(40, 1, 8, 8, dtype=torch.uint8), size=8), 2)
    assert model.sample(2).shape == (2, 1, 8, 8)


# ---- ALAE and Pioneer


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


def test_batch_kl_against_pytorch() -> None:
    z = 2 + 3 * torch.randn(500, 4, generator=seeded(), dtype=torch.float64)
    fitted = Normal(z.mean(0), z.std(0, unbiased=False))
    expected = kl_divergence(fitted, Normal(torch.zeros(4), torch.ones(4))).sum()
    torch.testing.assert_close(batch_kl(z), expected.double())


def test_pioneers_codes_lie_on_the_sphere() -> None:
    model = Pioneer(nn.Linear(5, 3), nn.Linear(3, 5), Sphere(3), 3)
    torch.testing.assert_close(model.encode(torch.randn(9, 5)).norm(dim=1), torch.ones(9))
    z = Sphere(3).sample(20_000, generator=seeded())
    torch.testing.assert_close(z.norm(dim=1), torch.ones(20_000))
    # uniform: no direction is preferred, and so E z z^T = I / D
    torch.testing.assert_close(z.T @ z / 20_000, torch.eye(3) / 3, atol=0.01, rtol=0)
    x = torch.randn(3, 3)
    torch.testing.assert_close(model.decode(x), model.decode(5 * x))


def test_frozen_parts_have_no_gradients() -> None:
    plan = RECIPES["two-stage-vae"](Facts((1, 8, 8)), **small("two-stage-vae"))  # type: ignore[call-arg]
    assert isinstance(plan.model.encoder, Frozen)
    assert not any(p.requires_grad for p in plan.model.encoder.parameters())


def test_gaussian_mmd_stays_what_it_was() -> None:
    x, y = torch.randn(5, 2, generator=seeded(1)), torch.randn(7, 2, generator=seeded(2))

    def k(a: Tensor, b: Tensor) -> float:
        return math.exp(-float((a - b).square().sum()) / 4)

    within = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / 20
    within += sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / 42
    across = sum(k(a, b) for a in x for b in y) / 35
    assert float(gaussian_mmd(x, y, 2.0)) == pytest.approx(within - 2 * across, abs=1e-5)


# ---- what an attack found


@pytest.mark.parametrize("recipe", ["vampprior", "vae-flow", "vae-iop", "two-stage-vae"])
def test_lsrgan_renders_every_variational_encoder(recipe: str, tmp_path: Path) -> None:
    quick = {"iterations": 4, "device": "cpu"}
    zspace.train(recipe, "digits", out=tmp_path / "e", **quick, **small(recipe))
    model = zspace.train(
        "lsrgan",
        "digits",
        out=tmp_path / "r",
        encoder=str(tmp_path / "e"),
        width=4,
        batch_size=8,
        **quick,
    )
    x = torch.rand(3, 1, 8, 8, generator=seeded())
    torch.testing.assert_close(model.encode(x), zspace.load(tmp_path / "e").encode(x))
    assert (tmp_path / "r" / "interpolation.png").exists()
    assert model.sample(2).shape == (2, 1, 8, 8)


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


def test_the_penalty_is_of_the_gradient_in_the_image_alone() -> None:
    torch.manual_seed(0)
    critic = nn.Linear(8, 1, bias=False)
    critic.weight.data = torch.tensor([[0.6, 0.8, 0.0, 0.0, 0.0, 9.0, 9.0, 9.0]])
    model = GAN(
        nn.Linear(5, 5),
        nn.Linear(5, 5),
        critic,
        Labelled(2, 3),
        5,
        adversary="wasserstein",
        critic_steps=1,
        rate=1e-3,
        betas=(0.5, 0.9),
    )
    name, terms = next(steps(model, vectors()))
    assert name == "critic"
    assert float(terms["penalty"].detach()) == pytest.approx(0, abs=1e-10)


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


def test_pioneer_needs_a_sphere() -> None:
    with pytest.raises(InputError, match="--latent-dim must be at least 2"):
        RECIPES["pioneer"](Facts((1, 8, 8)), latent_dim=1)  # type: ignore[call-arg]


def test_options_of_a_mixture_need_one() -> None:
    with pytest.raises(InputError, match="--components 7 is of a mixture"):
        RECIPES["wae"](Facts((1, 8, 8)), components=7)  # type: ignore[call-arg]


def test_a_count_beyond_all_numbers_is_refused() -> None:
    with pytest.raises(InputError, match="--hidden must be at most 9007199254740991"):
        zspace.train("vae", "digits", hidden=10**21)


def test_gans_say_their_papers_defaults() -> None:
    for name, steps_, rate in (("dcgan", 1, 2e-4), ("wgan-gp", 5, 1e-4), ("sngan", 5, 2e-4)):
        plan = RECIPES[name](Facts((1, 8, 8)), **small(name))  # type: ignore[call-arg]
        assert plan.found == {"critic_steps": steps_, "learning_rate": rate}
