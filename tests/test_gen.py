"""GEN: kernel densities, bandwidths, the method, novelty - against independent implementations."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.neighbors import KernelDensity
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

import zspace
from tests.conftest import SMALL, Cli
from zspace import api
from zspace.core import Batches, codes
from zspace.errors import InputError
from zspace.evaluation.novelty import auroc, log_densities, novelty
from zspace.functional import (
    jacobian_log_determinant,
    kernel_entropy,
    kernel_jsd,
    kernel_jsd_slope,
    kernel_log_density,
    log_share,
)
from zspace.methods.gen import GEN
from zspace.nets.gen import GENNets
from zspace.papers.base import published
from zspace.recipes.gen import ring
from zspace.samplers import KDE, Mixture, Normal
from zspace.samplers.kde import least_samples, likeliest_bandwidth, optimal_bandwidths
from zspace.training import fit

DIM, M, N = 4, 60, 25


@pytest.fixture
def sets() -> tuple[Tensor, Tensor, Tensor]:
    """z', z'' and centres, float64, away from the origin."""
    generator = torch.Generator().manual_seed(0)
    z, other, centres = (
        torch.randn(k, DIM, generator=generator).double() + 0.3 for k in (N, N + 5, M)
    )
    return z, other, centres


def plain_log_density(z: Tensor, centres: Tensor, h: float | Tensor) -> Tensor:
    """Eq. 1 as it is written."""
    h = torch.as_tensor(h, dtype=z.dtype)
    squares = (z[:, None] - centres[None]).square().sum(2)
    kernels = torch.exp(-squares / (2 * h**2)) / (2 * math.pi * h**2) ** (z.shape[1] / 2)
    return kernels.mean(1).log()


def test_kernel_density_against_sklearn_and_a_loop(sets: tuple[Tensor, Tensor, Tensor]) -> None:
    z, _, centres = sets
    ours = kernel_log_density(z, centres, 0.7)
    theirs = KernelDensity(bandwidth=0.7).fit(centres.numpy()).score_samples(z.numpy())
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    for i in range(3):
        total = sum(math.exp(-float((z[i] - c).square().sum()) / (2 * 0.49)) for c in centres) / (
            2 * math.pi * 0.49
        ) ** (DIM / 2)
        assert float(ours[i]) == pytest.approx(math.log(total / M), rel=1e-10)
    normal = torch.stack(
        [MultivariateNormal(c, 0.49 * torch.eye(DIM).double()).log_prob(z) for c in centres]
    )
    torch.testing.assert_close(ours, normal.logsumexp(0) - math.log(M))


def test_kernel_density_far_away_and_far_from_the_origin() -> None:
    """In log space nothing underflows; about the centres' mean, little cancels."""
    far = kernel_log_density(torch.full((1, 3), 1e3), torch.zeros(5, 3), 0.1)
    assert float(far) == pytest.approx(-3e6 / 0.02, rel=1e-6)
    generator = torch.Generator().manual_seed(1)
    z, centres = torch.randn(9, 3, generator=generator), torch.randn(50, 3, generator=generator)
    near = kernel_log_density(z.double(), centres.double(), 0.5).float()
    torch.testing.assert_close(
        kernel_log_density(z + 1000, centres + 1000, 0.5), near, rtol=1e-2, atol=1e-2
    )
    torch.testing.assert_close(kernel_log_density(z, centres, 0.5), near, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_blocks_change_nothing(
    sets: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    z, other, centres = sets
    log_target = Normal(DIM).double().log_prob
    whole = kernel_log_density(z, centres, 0.6), kernel_entropy(z, 0.6)
    slope = kernel_jsd_slope(z, other, centres, 0.6, log_target)
    monkeypatch.setattr("zspace.functional.kernels.BLOCK", rows * M)
    torch.testing.assert_close(kernel_log_density(z, centres, 0.6), whole[0])
    assert kernel_entropy(z, 0.6) == pytest.approx(whole[1])
    assert kernel_jsd_slope(z, other, centres, 0.6, log_target) == pytest.approx(slope)


def test_jsd_gradients_against_autograd_and_finite_differences(
    sets: tuple[Tensor, Tensor, Tensor],
) -> None:
    z, other, centres = sets
    log_target = Normal(DIM).double().log_prob

    def plain(z: Tensor, h: float | Tensor) -> Tensor:
        """Eq. 2 with its constants, as it is written."""
        terms = []
        for queries, sign in ((z, 1), (other, -1)):
            p_e, p_t = plain_log_density(queries, centres, h).exp(), log_target(queries).exp()
            terms.append(((p_e if sign > 0 else p_t) / (p_e + p_t)).log().mean())
        return math.log(2) + sum(terms) / 2

    z.requires_grad_()
    h = torch.tensor(0.65, dtype=torch.float64, requires_grad=True)
    ours, expected = kernel_jsd(z, other, centres, h, log_target), plain(z, h)
    torch.testing.assert_close(ours, expected)
    mine = torch.autograd.grad(ours, (z, h))
    automatic = torch.autograd.grad(expected, (z, h))
    for a, b in zip(mine, automatic, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)
    step = 1e-5
    with torch.no_grad():
        for i, j in ((0, 0), (3, 2), (N - 1, DIM - 1)):
            moved = [z.clone(), z.clone()]
            moved[0][i, j] += step
            moved[1][i, j] -= step
            difference = (plain(moved[0], 0.65) - plain(moved[1], 0.65)) / (2 * step)
            assert float(mine[0][i, j]) == pytest.approx(float(difference), rel=1e-6, abs=1e-9)
        difference = (plain(z, 0.65 + step) - plain(z, 0.65 - step)) / (2 * step)
    z = z.detach()
    assert float(mine[1]) == pytest.approx(float(difference), rel=1e-6)
    slope, _ = kernel_jsd_slope(z, other, centres, 0.65, log_target)
    assert slope == pytest.approx(float(difference), rel=1e-6)


def supplement_equation_2(z: Tensor, other: Tensor, centres: Tensor, h: float) -> float:
    """The supplement's Eq. 2, term by term, with loops for its expectations."""
    dim, m = z.shape[1], len(centres)

    def parts(query: Tensor) -> tuple[float, float, float]:
        squares = (query - centres).square().sum(1)
        kernel = (-squares / (2 * h**2)).exp() / (2 * math.pi * h**2) ** (dim / 2)
        p_t = math.exp(-0.5 * float(query.square().sum())) / (2 * math.pi) ** (dim / 2)
        return float(kernel.sum()), float((kernel * squares / h**2).sum()), p_t

    total = 0.0
    for query in z:
        g, gs, p_t = parts(query)
        total += (gs / g / h - dim / h) / len(z)
        total -= gs / (p_t + g / m) / (m * h) / len(z)
        total += (g / m) / (p_t + g / m) * dim / h / len(z)
    for query in other:
        g, gs, p_t = parts(query)
        total -= gs / (p_t + g / m) / (m * h) / len(other)
        total += (g / m) / (p_t + g / m) * dim / h / len(other)
    return total


@pytest.mark.parametrize("h", [0.3, 0.8, 1.3])
def test_slope_is_the_supplements_equation_2(sets: tuple[Tensor, Tensor, Tensor], h: float) -> None:
    z, other, centres = sets
    slope, _ = kernel_jsd_slope(z, other, centres, h, Normal(DIM).double().log_prob)
    assert 2 * slope == pytest.approx(supplement_equation_2(z, other, centres, h), rel=1e-6)


def test_entropy_against_a_loop_and_the_known_value() -> None:
    z = torch.randn(40, 3, generator=torch.Generator().manual_seed(2)).double()
    each = []
    for i in range(40):
        rest = torch.cat([z[:i], z[i + 1 :]])
        each.append(float(plain_log_density(z[i : i + 1], rest, 0.5)))
    assert kernel_entropy(z, 0.5) == pytest.approx(-np.mean(each), rel=1e-10)


def test_likeliest_bandwidth_is_the_fixed_point_of_equation_5() -> None:
    z = torch.randn(300, 3, generator=torch.Generator().manual_seed(3)).double()
    h = likeliest_bandwidth(z)
    squares = torch.cdist(z, z).square().fill_diagonal_(torch.inf)
    weights = torch.softmax(squares / (-2 * h**2), 1)
    update = (weights * squares.nan_to_num(posinf=0)).sum() / (3 * 300)
    assert math.sqrt(float(update)) == pytest.approx(h, rel=5e-3)


@pytest.mark.parametrize("dim, samples", [(5, 1000), (20, 1000)])
def test_bandwidths_are_those_of_table_1(dim: int, samples: int) -> None:
    column = (250, 500, 1000, 2000, 4000, 8000).index(samples)
    theirs = published()["gen/table1"][str(dim)][column]
    error = max(0.01, published()["gen/table1-sd"][str(dim)][column])
    root = optimal_bandwidths(Normal(dim), samples, trials=5)
    assert abs(float(root.mean()) - theirs) <= error
    fixed = optimal_bandwidths(Normal(dim), samples, trials=5, route="fixed-point")
    torch.testing.assert_close(fixed, root, rtol=0, atol=1e-3)


def test_a_fixed_point_that_does_not_settle_is_none() -> None:
    found = optimal_bandwidths(Normal(2), 250, route="fixed-point")
    assert 0 < int(found.isnan().sum()) < len(found)


def test_bandwidth_scales_with_the_target() -> None:
    """One Gaussian of deviation 3: three times the bandwidth; far components: those of each."""
    wide = Mixture.of(torch.ones(1), torch.zeros(1, 3), 9 * torch.eye(3)[None])
    a = optimal_bandwidths(wide, 200, trials=4).mean()
    b = optimal_bandwidths(Normal(3), 200, trials=4).mean()
    assert float(a) == pytest.approx(3 * float(b), rel=0.15)


def test_least_samples_is_where_the_bandwidth_passes_1() -> None:
    least = least_samples(20)
    assert least is not None
    above, below = (
        float(optimal_bandwidths(Normal(20), m, trials=5, queries=2000).mean())
        for m in (round(least / 1.5), round(least * 1.5))
    )
    assert below < 1 < above


@pytest.mark.parametrize("kind", ["net", "conv"])
def test_jacobian_determinant_against_autograd(kind: str) -> None:
    torch.manual_seed(0)
    if kind == "net":
        net: nn.Module = GENNets((1, 4, 4), 3, 16).decoder()
    else:
        from zspace.nets.flexae import FlexAENets

        net = FlexAENets((1, 8, 8), 3, 4, 16).decoder()
    net = net.double().eval()
    z = torch.randn(5, 3).double()
    with torch.no_grad():
        ours, rank = jacobian_log_determinant(net, z)
    assert rank.tolist() == [3] * 5
    for i in range(5):
        jacobian = torch.autograd.functional.jacobian(lambda code: net(code[None]).flatten(), z[i])
        expected = 0.5 * torch.linalg.slogdet(jacobian.T @ jacobian)[1]
        assert float(ours[i]) == pytest.approx(float(expected), abs=1e-8)


def test_a_singular_jacobian_has_its_least_volume() -> None:
    torch.manual_seed(0)
    net = nn.Linear(3, 6, bias=False).double()
    with torch.no_grad():
        net.weight[:, 2] = 0
    volume, rank = jacobian_log_determinant(net, torch.randn(4, 3).double())
    assert rank.tolist() == [2] * 4
    values = torch.linalg.svdvals(net.weight.detach())
    expected = values[0].log() * 2 + values[1].log() + math.log(1e-6)
    torch.testing.assert_close(volume, expected.expand(4))
    with torch.no_grad():
        net.weight.zero_()
    with pytest.raises(InputError, match="constant"):
        jacobian_log_determinant(net, torch.randn(4, 3).double())


# --- samplers


def test_mixture_of_known_parameters() -> None:
    weights = torch.tensor([1.0, 3.0])
    means = torch.tensor([[0.0, 0.0], [4.0, 0.0]])
    covariances = torch.stack([torch.eye(2), torch.tensor([[2.0, 0.5], [0.5, 1.0]])])
    mixture = Mixture.of(weights, means, covariances, labelled=True)
    z = torch.randn(6, 2)
    each = [MultivariateNormal(m, c).log_prob(z) for m, c in zip(means, covariances, strict=True)]
    expected = torch.logsumexp(torch.stack(each) + torch.tensor([[0.25], [0.75]]).log(), 0)
    torch.testing.assert_close(mixture.log_prob(z), expected)
    drawn = mixture.sample(40_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.std(0), mixture.deviation(), rtol=0.02, atol=0)
    one = mixture.sample(20_000, 1, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(one.mean(0), means[1], rtol=0, atol=0.05)
    torch.testing.assert_close(one.T.cov(), covariances[1], rtol=0, atol=0.06)
    with pytest.raises(InputError, match="label 2"):
        mixture.sample(3, 2)
    with pytest.raises(InputError, match="knows no labels"):
        Mixture.of(weights, means, covariances).sample(3, 1)
    with pytest.raises(InputError, match="weights must be above 0"):
        Mixture.of(torch.tensor([1.0, 0.0]), means, covariances)
    with pytest.raises(InputError, match="positive definite"):
        Mixture.of(weights, means, torch.zeros(2, 2, 2))


def test_a_deconvolved_mixture_and_the_kernel_make_the_mixture() -> None:
    mixture = ring(5, 2, 4.0)
    generator = torch.Generator().manual_seed(0)
    drawn = mixture.deconvolved(0.6).sample(50_000, generator=generator)
    noisy = drawn + 0.6 * torch.randn(50_000, 2, generator=generator)
    both = [x.T.cov() for x in (noisy, mixture.sample(50_000, generator=generator))]
    torch.testing.assert_close(both[0], both[1], rtol=0.02, atol=0.1)
    of_one = noisy[(noisy - mixture.means[0]).norm(dim=1) < 1.5]
    theirs = mixture.sample(50_000, generator=generator)
    theirs = theirs[(theirs - mixture.means[0]).norm(dim=1) < 1.5]
    assert len(of_one) == pytest.approx(len(theirs), rel=0.05)
    with pytest.raises(InputError, match="below 1"):
        mixture.deconvolved(1.0)


def test_kde_sampler_is_a_density_of_the_codes() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(800, 3, generator=generator) @ torch.diag(torch.tensor([5.0, 1.0, 0.1])) + 2
    kde = KDE(3).fit(z)
    drawn = kde.sample(20_000, generator=generator)
    torch.testing.assert_close(drawn.mean(0), z.mean(0), rtol=0, atol=0.2)
    scale = drawn.std(0) / z.std(0)
    widened = math.sqrt(1 + float(kde.h) ** 2)
    torch.testing.assert_close(scale, torch.full((3,), widened), rtol=0.05, atol=0)
    # in the white space: the plain kernel density, times the volume of the whitening
    factor = torch.linalg.cholesky(torch.cov(z.T, correction=0).double())
    white = torch.linalg.solve(factor, (z - z.mean(0)).double().T).T
    queries = torch.linalg.solve(factor, (drawn[:9] - z.mean(0)).double().T).T
    expected = plain_log_density(queries, white, float(kde.h)) - factor.diagonal().log().sum()
    torch.testing.assert_close(kde.log_prob(drawn[:9]).double(), expected, rtol=1e-3, atol=1e-3)
    assert len(KDE(3, centres=100).fit(z).centres) == 100
    assert float(KDE(3, bandwidth=0.5).fit(z).h) == 0.5
    with pytest.raises(InputError, match="no labels"):
        kde.sample(3, 1)


# --- the method


def test_the_law_of_section_4() -> None:
    """Codes that can match N(0, I) end as N(0, (1 - h^2) I), h at its optimum."""
    torch.manual_seed(0)
    dim, m = 2, 2000
    h = float(optimal_bandwidths(Normal(dim), m, trials=5).mean())
    x = torch.randn(10_000, dim) @ torch.tensor([[1.0, 0.3], [0.0, 0.6]])
    model = GEN(
        nn.Linear(dim, dim),
        nn.Linear(dim, dim),
        Mixture(dim, components=1),
        dim,
        centres=m,
        bandwidth=h,
        weight=1.0,
        rate=5e-3,
    )
    batches = Batches(x, size=500, reserve=m)
    for factor in (1.0, 0.2, 0.04):
        fit(model, batches, batches.step + 300, rate=lambda iteration, f=factor: f)
    law = math.sqrt(1 - h**2)
    assert 0.9 < law < 0.95
    expected = torch.full((dim,), law)
    torch.testing.assert_close(codes(model, x).std(0), expected, rtol=0.03, atol=0)
    drawn = {name: s.sample(40_000) for name, s in model.samplers().items()}
    torch.testing.assert_close(drawn["prior"].std(0), expected, rtol=0.02, atol=0)
    torch.testing.assert_close(drawn["target"].std(0), torch.ones(dim), rtol=0.02, atol=0)


@pytest.mark.parametrize("dim, m", [(2, 1000), (20, 1000)])
def test_forces_balance_at_the_law(dim: int, m: int) -> None:
    """Without any training: the gradient's pull on the codes' scale changes sign within 3%."""
    h = float(optimal_bandwidths(Normal(dim), m, trials=3).mean())
    law = math.sqrt(1 - h**2)

    def pull(scale: float) -> float:
        total = 0.0
        for seed in range(4):
            generator = torch.Generator().manual_seed(seed)
            centres, z = (scale * torch.randn(k, dim, generator=generator) for k in (m, 2000))
            z.requires_grad_()
            loss = log_share(kernel_log_density(z, centres, h), Normal(dim).log_prob(z)).mean()
            (gradient,) = torch.autograd.grad(loss, z)
            total += float((gradient * z.detach()).sum())
        return total

    assert pull(0.97 * law) < 0 < pull(1.03 * law)


def test_centres_are_of_images_that_no_step_uses() -> None:
    """Each epoch sets its own images aside; the centres are theirs, refreshed when it begins."""
    x = torch.arange(40.0)[:, None].repeat(1, 2)
    batches = Batches(x, torch.arange(40), size=5, reserve=12, seed=3)
    aside: list[set[int]] = []
    for _ in range(3):
        assert batches.begins
        rows, y = batches.set_aside()
        assert y is not None
        assert rows[:, 0].tolist() == y.tolist()
        seen = [int(label) for _ in range(5) for label in next(batches)[1]]  # type: ignore[union-attr]
        assert len(set(seen)) == 25
        assert not set(seen) & set(y.tolist())
        aside.append(set(y.tolist()))
        assert len(aside[-1]) == 12
    assert aside[0] != aside[1] != aside[2]
    with pytest.raises(InputError, match="set aside"):
        Batches(x, size=30, reserve=12)


class Fixed(nn.Module):
    """An encoder whose codes are its input."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.shift


def test_one_iteration_against_a_transcription_of_equation_3() -> None:
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    encoder, decoder = Fixed(), nn.Linear(2, 2)
    model = GEN(
        encoder,
        decoder,
        Mixture(2, components=1),
        2,
        centres=20,
        bandwidth=0.5,
        weight=0.07,
        floor=False,
    )
    batches, same = (Batches(x, size=8, reserve=20, seed=1) for _ in "ab")
    centres, _ = same.set_aside()
    batch, _ = next(same)
    p_e, p_t = plain_log_density(batch, centres, 0.5).exp(), Normal(2).log_prob(batch).exp()
    divergence = 0.07 * (p_e / (p_t + p_e)).log().mean()
    error = (decoder(batch) - batch).square().mean()
    ((name, terms),) = model.objectives(batches)
    assert name == "gen"
    torch.testing.assert_close(terms["reconstruction"], error)
    torch.testing.assert_close(terms["divergence"], divergence)
    assert set(terms) == {"reconstruction", "divergence"}


def test_labelled_codes_are_matched_to_their_own_mode() -> None:
    """The extra term against its definition, over the labelled images alone."""
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    y = torch.arange(60) % 4 - 1
    target = ring(3, 2, 3.0, labelled=True)
    model = GEN(
        Fixed(),
        nn.Linear(2, 2),
        target,
        2,
        centres=24,
        bandwidth=0.5,
        weight=0.07,
        form="non-saturating",
        floor=False,
    )
    batches, same = (Batches(x, y, size=12, reserve=24, seed=1) for _ in "ab")
    centres, labels = same.set_aside()
    batch, own = next(same)
    assert labels is not None
    assert own is not None
    parts = []
    for z, label in zip(batch, own, strict=True):
        if label >= 0:
            p_e = plain_log_density(z[None], centres[labels == label], 0.5).exp()
            p_t = MultivariateNormal(target.means[label], torch.eye(2)).log_prob(z).exp()
            parts.append(-(p_t / (p_t + p_e)).log())
    ((_, terms),) = model.objectives(batches)
    torch.testing.assert_close(terms["labelled"], 0.07 * torch.cat(parts).mean())


def test_between_two_refreshes_a_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    """The lagged centres are part of a checkpoint: they are of weights that are gone."""
    options = {**SMALL, "target": "mixture", "labelled": 50, "lag": 4, "device": "cpu"}
    whole = zspace.train("gen", "digits", out=tmp_path / "w", iterations=410, **options)
    zspace.train("gen", "digits", out=tmp_path / "r", iterations=406, **options)
    resumed = zspace.resume(tmp_path / "r", iterations=410)
    for (k, a), (_, b) in zip(
        whole.state_dict().items(), resumed.state_dict().items(), strict=True
    ):
        assert torch.equal(a, b), k
    assert isinstance(resumed, GEN)
    images = api.run_images(api.Run(tmp_path / "r"))
    stale = (codes(resumed, images.train.x)[:, None, :1] - resumed.centres[None, :200, :1]).abs()
    assert float(stale.amin(0).max()) > 0, "the centres are not lagged"


def test_what_was_found_stands_in_the_configuration(tmp_path: Path) -> None:
    model = zspace.train("gen", "digits", out=tmp_path / "r", iterations=1, device="cpu", **SMALL)
    config = api.Run(tmp_path / "r").config
    assert isinstance(model, GEN)
    assert config["bandwidth"] == model.bandwidth
    assert config["centres"] == len(model.centres) == 647
    assert config["latent_dim"] == 3


def test_codes_that_run_away_stop_the_training() -> None:
    x = torch.randn(200, 2)
    model = GEN(Fixed(), nn.Linear(2, 2), Mixture(2, components=1), 2, centres=50, bandwidth=0.5)
    with torch.no_grad():
        model.encoder.shift.fill_(20.0)  # type: ignore[operator]
    with pytest.raises(InputError, match="ran away from the target at iteration 0"):
        fit(model, Batches(x, size=8, reserve=50), 3)


def test_floor_is_the_density_at_the_edge() -> None:
    model = GEN(
        Fixed(), nn.Linear(2, 2), Mixture(2, components=1), 2, centres=50, bandwidth=0.5, floor=True
    )
    # of two dimensions exp(-r^2 / 2) lie beyond the radius r
    edge = math.log(0.001) - math.log(2 * math.pi)
    assert model.floor == pytest.approx(edge, abs=0.15)
    far = model._log_density(torch.full((1, 2), 50.0), model.centres)
    assert float(far) == pytest.approx(model.floor)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"latent_dim": 40, "centres": 100}, "--latent-dim 40 is too large for 100 centres"),
        ({"bandwidth": 1.5}, "below 1, the least"),
        ({"centres": 1290}, "1295 training images are too few to set 1290 aside"),
        ({"components": 900, "target": "mixture"}, "raise --centres, or lower --components"),
        ({"separation": 1e9, "target": "mixture"}, "--separation must be"),
        ({"labelled": 50}, "--target mixture"),
        ({"labelled": 9, "target": "mixture"}, "there are 10 classes, each needs one"),
        ({"labelled": 50, "target": "mixture", "components": 4}, "leave out --components"),
        ({"labelled": 5000, "target": "mixture"}, "1295 training images at most"),
        ({"labelled": 1, "target": "mixture", "classes": "3"}, "two classes or more"),
    ],
)
def test_what_gen_refuses(
    tmp_path: Path, refused: Callable[..., str], options: dict[str, object], words: str
) -> None:
    given = [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
    assert words in refused("train", "gen", *given, "--out", tmp_path / "r", "--iterations=2")
    assert not (tmp_path / "r").exists()


def test_a_bandwidth_out_of_reach_says_how_many_samples_would_do(
    cli: Cli, refused: Callable[..., str]
) -> None:
    status, out, _ = cli("bandwidth", "--dim=20", "--samples=30", "--trials=2")
    assert status == 0
    assert "out of reach" in out
    assert "h is below 1 from about" in out
    status, out, _ = cli("bandwidth", "--dim=2", "--samples=250", "--route=fixed-point")
    assert status == 0
    assert "did not settle in" in out
    assert "--dim must be at least 1" in refused("bandwidth", "--dim=0", "--samples=30")
    assert "--samples must be at least 2" in refused("bandwidth", "--dim=3", "--samples=1")
    assert "unknown route" in refused("bandwidth", "--dim=3", "--samples=30", "--route=up")


# --- novelty


def test_scores_of_a_linear_model_are_known() -> None:
    """x = W z: log p(x) in closed form."""
    torch.manual_seed(0)
    net = nn.Linear(2, 5)
    model = GEN(Toy(), net, Mixture(2, components=1), 2, centres=5, bandwidth=0.5).eval()
    x = torch.randn(7, 5)
    found = log_densities(model, x, Normal(2), 0.3)
    z = x[:, :2]
    with torch.no_grad():
        volume = 0.5 * torch.logdet(net.weight.T @ net.weight)
        residual = MultivariateNormal(net(z), 0.3 * torch.eye(5)).log_prob(x)
    expected = Normal(2).log_prob(z) - volume + residual
    torch.testing.assert_close(-found.score.float(), expected)
    with pytest.raises(InputError, match="codes of size 2 are larger than the data, which have 1"):
        log_densities(model, x[:, :1], Normal(2), 0.3)


class Toy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :2]


def test_auroc_against_counting() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randint(0, 9, (k,), generator=generator).double() for k in (50, 70))
    b += 1
    wins = (b[None] > a[:, None]).double() + 0.5 * (b[None] == a[:, None])
    figure = auroc(a, b)
    assert figure.value == pytest.approx(float(wins.mean()))
    assert 0 < figure.error < 0.1


def test_novelty_of_a_run(tmp_path: Path, runs: dict[str, Path], cli: Cli) -> None:
    out = tmp_path / "scores.csv"
    status, text, err = cli("novelty", runs["gen"], "--label=1", "--out", out)
    assert status == 0, err
    assert "AUROC 0." in text
    assert out.with_suffix(".png").exists()
    with out.open() as file:
        rows = list(csv.DictReader(file))
    found = novelty(runs["gen"], label="1")
    assert len(rows) == len(found.part) == 359
    assert [r["label"] for r in rows[:3]] == [str(int(y)) for y in found.part.y[:3]]  # type: ignore[index]
    scores = np.array([float(r["score"]) for r in rows])
    np.testing.assert_allclose(scores, found.scores.score, atol=1e-5)
    parts = np.array([[float(r[k]) for k in ("latent", "volume", "residual")] for r in rows])
    np.testing.assert_allclose(scores, parts @ [-1, 1, -1], atol=1e-4)
    # images one by one: batches change nothing
    model = api.load(runs["gen"])
    alone = log_densities(model, found.part.x[5:6], model.samplers()["prior"], found.variance)  # type: ignore[arg-type]
    assert float(alone.score) == pytest.approx(float(found.scores.score[5]), rel=1e-4)


def test_novelty_by_a_fitted_density(tmp_path: Path, runs: dict[str, Path], cli: Cli) -> None:
    for density in ("normal", "mixture", "kde"):
        status, text, err = cli(
            "novelty", runs["ae"], "--density", density, "--out", tmp_path / "s.csv", "--quiet"
        )
        assert status == 0, err
        assert "AUROC" not in text


def test_known_labels_are_those_of_the_training(tmp_path: Path, cli: Cli) -> None:
    run = tmp_path / "r"
    zspace.train("vae", "digits", out=run, iterations=10, classes="3,8", device="cpu", **SMALL)
    out = tmp_path / "s.csv"
    status, text, err = cli("novelty", run, "--out", out)
    assert status == 0
    assert "no AUROC" in err
    status, text, err = cli("novelty", run, "--data=digits", "--out", out)
    assert status == 0, err
    assert "AUROC" in text
    assert "known against 2" in text


def test_what_novelty_refuses(
    tmp_path: Path, runs: dict[str, Path], refused: Callable[..., str]
) -> None:
    out = f"--out={tmp_path / 's.csv'}"
    assert "has no prior of known density" in refused("novelty", runs["ae"], out)
    assert "of known density" in refused("novelty", runs["flexae-sr"], out)
    assert "must be a .csv file" in refused("novelty", runs["gen"], "--out=s.txt")
    assert "unknown class 'x'" in refused("novelty", runs["gen"], "--label=x", out)
    assert "unknown part" in refused("novelty", runs["gen"], "--part=some", out)
    assert "unknown sampler" in refused("novelty", runs["gen"], "--density=flat", out)
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(200, 2)))
    run = tmp_path / "r"
    zspace.train("vae", str(tmp_path / "v.npy"), out=run, iterations=2, device="cpu", **SMALL)
    assert "codes of size 3 are larger than the data" in refused("novelty", run, out)
    assert "have no labels" in refused("novelty", run, "--label=1", out)
    assert list(tmp_path.glob("s*")) == []


def test_samples_of_the_target_and_of_one_mode(
    tmp_path: Path, runs: dict[str, Path], cli: Cli, refused: Callable[..., str]
) -> None:
    run = tmp_path / "r"
    zspace.train(
        "gen",
        "digits",
        out=run,
        iterations=3,
        target="mixture",
        labelled=100,
        device="cpu",
        **SMALL,
    )
    for sampler in ("prior", "target"):
        status, _, err = cli(
            "sample",
            run,
            "--sampler",
            sampler,
            "--label=7",
            "--n=5",
            "--out",
            tmp_path / f"{sampler}.npz",
        )
        assert status == 0, err
    out = f"--out={tmp_path / 's.png'}"
    assert "unknown class" in refused("sample", run, "--label=12", out)
    assert "knows no labels" in refused("sample", runs["gen"], "--label=1", out)
    assert "has no target of its own" in refused("sample", runs["vae"], "--sampler=target", out)
    status, text, err = cli("evaluate", run, "--metrics=mse,w1", "--features=pixels", "--n=100")
    assert status == 0, err
    assert "target" in text


def test_labels_are_withheld_evenly() -> None:
    from zspace.data.images import Part, withhold

    y = torch.tensor([0] * 50 + [1] * 5 + [2] * 45)
    part = Part(torch.zeros(100, 2), y)
    kept = withhold(part, ("a", "b", "c"), 35)
    assert torch.bincount(kept + 1).tolist() == [65, 15, 5, 15]
    assert bool((kept[kept >= 0] == y[kept >= 0]).all())
    assert torch.equal(kept, withhold(part, ("a", "b", "c"), 35))
    with pytest.raises(InputError, match="class d has no training image"):
        withhold(part, ("a", "b", "c", "d"), 35)
    with pytest.raises(InputError, match="expected one for each of the 3"):
        withhold(part, ("a", "b", "c"), 2)


def test_small_bandwidths_are_exact_in_single_precision() -> None:
    """Far apart codes, small kernels: products of float32 would be wrong by nats."""
    generator = torch.Generator().manual_seed(0)
    clusters = 100 * torch.randn(5, 2, generator=generator).repeat_interleave(40, 0)
    z = clusters + 1e-2 * torch.randn(200, 2, generator=generator)
    ours = kernel_log_density(z, z, 5e-3, leave_one_out=True)
    squares = (z.double()[:, None] - z.double()[None]).square().sum(2).fill_diagonal_(torch.inf)
    expected = torch.logsumexp(squares / (-2 * 5e-3**2), 1)
    expected -= math.log(199) + math.log(2 * math.pi * 5e-3**2)
    torch.testing.assert_close(ours.double(), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("h", [0.0, -1.0, math.nan, math.inf, 1e-170])
def test_a_bandwidth_that_is_none_is_refused(h: float) -> None:
    with pytest.raises(InputError, match="bandwidth"):
        kernel_log_density(torch.randn(3, 2), torch.randn(4, 2), h)
    with pytest.raises(InputError, match="0 centres for 3 codes"):
        kernel_log_density(torch.randn(3, 2), torch.randn(0, 2), 1.0)
    with pytest.raises(InputError, match="own kernel"):
        kernel_log_density(torch.randn(3, 2), torch.randn(4, 2), 1.0, leave_one_out=True)


def test_a_label_is_no_index_where_names_are_numbers() -> None:
    from zspace.data.images import class_numbers

    assert class_numbers(["5", "1"], ("1", "5", "9")) == [1, 0]
    assert class_numbers(["0"], ("cat", "dog")) == [0]
    with pytest.raises(InputError, match="unknown class '0'"):
        class_numbers(["0"], ("1", "5", "9"))
