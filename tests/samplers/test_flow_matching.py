"""Flow matching against what is known of it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal
from torch.optim.swa_utils import AveragedModel

from tests.samplers.shared import two_clouds
from zspace.core import Density
from zspace.errors import InputError
from zspace.functional import integral
from zspace.nets.velocity import Velocity
from zspace.papers.samplers.densities import against_truth, mixtures
from zspace.recipes import catalogue
from zspace.samplers import FlowMatching, Normal
from zspace.samplers.continuous_flow import ContinuousFlow
from zspace.samplers.flow_matching import mean_line, paired


class Linear(nn.Module):
    """v(u, t) = A u: u_1 = exp(A) u_0, whose density is known."""

    def __init__(self, a: Tensor) -> None:
        super().__init__()
        self.a = nn.Parameter(a)

    def forward(self, u: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return u @ self.a.T


def linear_flow(a: Tensor, **options: Any) -> ContinuousFlow:
    given: dict[str, Any] = {"labels": 0, "steps": 40, "solver": "heun", "guidance": 1.0, **options}
    return ContinuousFlow(AveragedModel(Linear(a)), len(a), **given)


def matrix(dim: int) -> Tensor:
    return 0.4 * torch.randn(dim, dim, generator=torch.Generator().manual_seed(2)) / dim**0.5


@pytest.mark.parametrize("solver", ["heun", "adaptive"])
def test_a_linear_velocity_has_the_density_that_is_known(solver: str) -> None:
    a = matrix(5)
    flow = linear_flow(a, solver=solver)
    carried = torch.linalg.matrix_exp(a)
    truth = MultivariateNormal(torch.zeros(5), carried @ carried.T)
    z = flow.sample(200, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(z, noise @ carried.T, rtol=0, atol=2e-3)
    torch.testing.assert_close(flow.log_prob(z), truth.log_prob(z), rtol=0, atol=5e-3)


def test_hutchinsons_estimate_is_near_the_trace_and_the_same_every_time() -> None:
    dim = 80
    a = matrix(dim)
    flow = linear_flow(a)
    carried = torch.linalg.matrix_exp(a)
    truth = MultivariateNormal(torch.zeros(dim), carried @ carried.T)
    z = flow.sample(30, generator=torch.Generator().manual_seed(0))
    found = flow.log_prob(z)
    assert torch.equal(found, flow.log_prob(z))
    # the estimate of sum_i d_i^T A d_i over 16 directions of signs
    spread = math.sqrt(float((a + a.T).square().sum() - (2 * a.diagonal()).square().sum()) / 2 / 16)
    error = found - truth.log_prob(z)
    assert error.abs().max() < 4 * spread
    assert error.std() < 0.02  # v is linear: all codes have the same one
    # of a diagonal the estimate is exact
    diagonal = linear_flow(torch.linspace(-1, 1, dim).diag())
    known = MultivariateNormal(torch.zeros(dim), (2 * torch.linspace(-1, 1, dim)).exp().diag())
    drawn = diagonal.sample(10)
    torch.testing.assert_close(diagonal.log_prob(drawn), known.log_prob(drawn), rtol=0, atol=0.05)


def test_heuns_method_is_of_second_order() -> None:
    def rates(x: Tensor, t: Tensor) -> Tensor:
        return x * torch.cos(2 * t)

    x = torch.ones(1, 1, dtype=torch.float64)
    true = math.exp(math.sin(2) / 2)
    wrong = [abs(float(integral(rates, x, 0.0, 1.0, k, "heun")) - true) for k in (20, 40, 80)]
    assert wrong[0] / wrong[1] == pytest.approx(4, rel=0.15)
    assert wrong[1] / wrong[2] == pytest.approx(4, rel=0.1)
    assert float(integral(rates, x, 0.0, 1.0, 1, "adaptive")) == pytest.approx(true, abs=1e-4)


def test_the_mean_line_is_the_mean_of_all_lines_through_a_point() -> None:
    generator = torch.Generator().manual_seed(0)
    codes, noise = torch.randn(7, 2, generator=generator), 0.1
    t = torch.tensor([[0.0], [0.3], [0.8], [0.999]])
    x_t = torch.randn(4, 2, generator=generator)
    own = torch.rand(4, 7, generator=generator) < 0.6
    own[:, 0] = True
    found = mean_line(x_t, t, codes, own, noise)
    for i in range(4):
        width = 1 - (1 - noise) * float(t[i])
        weights, lines = [], []
        for j in range(7):
            if not own[i, j]:
                continue
            x_0 = (x_t[i] - t[i] * codes[j]) / width
            weights.append(math.exp(-float(x_0.square().sum()) / 2))
            lines.append(codes[j] - (1 - noise) * x_0)
        mean = sum(w * line for w, line in zip(weights, lines, strict=True)) / sum(weights)
        torch.testing.assert_close(found[i], mean, rtol=1e-4, atol=1e-4)


def test_the_mean_line_does_not_move_the_minimum() -> None:
    """On average over noise and codes it is the line of the pair itself."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(50, 2, generator=generator).sign() * 2
    n = 20_000
    x_1 = codes[torch.randint(50, (n,), generator=generator)]
    x_0, t = torch.randn(n, 2, generator=generator), torch.rand(n, 1, generator=generator)
    x_t = (1 - t) * x_0 + t * x_1
    line, mean = x_1 - x_0, mean_line(x_t, t, codes, None, 0.0)
    # against any function of (x_t, t)
    for function in (x_t, t.expand(n, 2), x_t * t, x_t.sin()):
        difference = ((line - mean) * function).sum(1)
        assert abs(float(difference.mean())) < 4 * float(difference.std()) / math.sqrt(n)
    assert float((line - mean).square().mean()) > 0.3  # and it has far less variance
    assert float(mean.var()) < float(line.var())


@pytest.mark.parametrize("labelled", [False, True])
def test_pairing_is_the_best_of_all_permutations(labelled: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    noise, codes = (torch.randn(6, 2, generator=generator) for _ in range(2))
    labels = torch.tensor([0, 1, 0, 1, 1, 0]) if labelled else None
    rows = paired(noise, codes, labels)
    assert sorted(rows.tolist()) == list(range(6))

    def cost(order: Any) -> float:
        return float((noise[list(order)] - codes).square().sum())

    allowed = [
        order
        for order in itertools.permutations(range(6))
        if labels is None or all(labels[i] == labels[j] for i, j in enumerate(order))
    ]
    assert cost(rows.tolist()) == pytest.approx(min(map(cost, allowed)), rel=1e-6)


@pytest.mark.parametrize("pairing", ["random", "ot", "mean"])
def test_the_loss_is_that_of_straight_paths(pairing: str) -> None:
    """v is shown points of the path, and what it should be is their derivative in t."""
    z = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    flow = FlowMatching(3, batch_size=64, noise=0.2, pairing=pairing, width=8, classes=0)  # type: ignore[arg-type]
    batches = flow.batches(z)
    seen: list[tuple[Tensor, Tensor]] = []

    def watch(module: nn.Module, given: Any, out: Tensor) -> Tensor:
        seen.append((given[0], given[1]))
        return torch.zeros_like(out)

    flow.velocity.register_forward_hook(watch)
    name, terms = next(flow.objectives(batches))
    assert name == "velocity"
    (x_t, t) = seen[0]
    again = FlowMatching(3, batch_size=64, noise=0.2, pairing=pairing, width=8, classes=0).batches(
        z
    )  # type: ignore[arg-type]
    x_1, _ = next(again)
    x_0 = again.normal(3)
    if pairing == "ot":
        x_0 = x_0[paired(x_0, x_1, None)]
    path = torch.func.jvp(lambda t: (1 - 0.8 * t) * x_0 + t * x_1, (t,), (torch.ones_like(t),))
    torch.testing.assert_close(path[0], x_t)
    slope = mean_line(x_t, t, x_1, None, 0.2) if pairing == "mean" else path[1]
    torch.testing.assert_close(terms["matching"], slope.square().sum(1).mean())


def test_before_training_it_draws_standard_noise_with_the_codes_moments() -> None:
    z = 3 * torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) + 5
    flow = FlowMatching(4, width=8, steps=32)
    flow.batches(z)
    drawn = flow.sample(5000, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn.mean(0), z.mean(0), rtol=0, atol=0.15)
    torch.testing.assert_close(drawn.std(0), z.std(0), rtol=0.05, atol=0)
    normal = MultivariateNormal(z.mean(0), (z.std(0, correction=0) ** 2).diag())
    torch.testing.assert_close(flow.log_prob(z), normal.log_prob(z), rtol=0, atol=0.02)


@pytest.fixture(scope="module")
def labelled() -> FlowMatching:
    z, y = two_clouds()
    y = y.masked_fill(torch.arange(len(y)) % 10 == 0, -1)  # unknown ones among them
    return FlowMatching(2, iterations=400, width=32, batch_size=256).fit(z, y)


def test_labels_are_learned(labelled: FlowMatching) -> None:
    z, y = two_clouds()
    assert labelled.labels == 2
    for label in (0, 1):
        drawn = labelled.sample(2000, label, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(drawn.mean(0), z[y == label].mean(0), rtol=0, atol=0.12)
    both = labelled.sample(4000, generator=torch.Generator().manual_seed(1))
    assert float((both[:, 0] > 0).float().mean()) == pytest.approx(0.5, abs=0.06)
    with pytest.raises(InputError, match="label 2 is none of the 2"):
        labelled.sample(3, 2)
    with pytest.raises(InputError, match="knows no labels"):
        FlowMatching(2).sample(3, 1)
    with pytest.raises(InputError, match="--classes 1: the data have a label 1"):
        FlowMatching(2, classes=1).batches(z, y)
    assert FlowMatching(2, classes=0).batches(z, y).y is None


@pytest.mark.parametrize("pairing", ["random", "ot", "mean"])
def test_codes_without_a_label_have_their_own_share(pairing: str) -> None:
    """Three of four are on the left, labelled; one of four on the right is not."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(2000) % 4
    z = 0.3 * torch.randn(2000, 1, generator=generator) + torch.where(y < 3, -2.0, 2.0)[:, None]
    labels = torch.where(y < 3, y % 2, -1)
    flow = FlowMatching(1, iterations=500, width=32, batch_size=128, pairing=pairing)  # type: ignore[arg-type]
    flow.fit(z, labels)
    drawn = flow.sample(4000, generator=torch.Generator().manual_seed(1))
    assert float((drawn > 0).float().mean()) == pytest.approx(0.25, abs=0.06)


def test_a_class_without_images_is_refused(labelled: FlowMatching) -> None:
    z, y = two_clouds(200)
    flow = FlowMatching(2, iterations=2, width=8, classes=4).fit(z, 2 * y)
    flow.with_names(("a", "b", "c", "d", "e"))
    assert flow.learned() == [0, 2]
    for label, name in ((1, "b"), (3, "d"), (4, "e")):
        with pytest.raises(InputError, match=f"class {name} has no training image"):
            flow.sample(3, label)
    assert flow.sample(3, 2).shape == (3, 2)
    with pytest.raises(InputError, match="the data have no labels"):
        FlowMatching(2, classes=2).batches(z)


@pytest.mark.parametrize(
    ("dim", "width", "units"), [(20, None, 256), (300, None, 300), (300, 64, 64)]
)
def test_units_are_no_fewer_than_the_numbers_of_a_code(
    dim: int, width: int | None, units: int
) -> None:
    flow = FlowMatching(dim, width=width)
    assert isinstance(flow.velocity, Velocity)
    assert flow.velocity.enter.weight.shape == (units, dim)


def test_networks_are_made_where_the_sampler_is() -> None:
    """As on an accelerator: what is built for the labels goes where the rest has gone."""
    flow = FlowMatching(2, width=8).double()
    flow.batches(*two_clouds(50))
    assert {p.dtype for p in flow.parameters()} == {torch.float64}
    assert flow.mean.dtype == torch.float64


class Constant(nn.Module):
    """A velocity of (1, 0), or of (0, 2 y) for a label."""

    def forward(self, u: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        told = torch.tensor([1.0, 0.0]) if y is None else torch.stack([0 * y, 2 * y], 1).float()
        return told.expand_as(u)


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_guidance_goes_from_no_label_towards_it(weight: float) -> None:
    flow = ContinuousFlow(
        AveragedModel(Constant()), 2, labels=3, steps=2, solver="heun", guidance=weight
    )
    u, y = torch.randn(4, 2), torch.tensor([0, 1, 2, 1])
    plain, told = torch.tensor([1.0, 0.0]), torch.stack([0 * y, 2 * y], 1).float()
    torch.testing.assert_close(flow.of_noise(u, y), u + plain + weight * (told - plain))
    torch.testing.assert_close(flow.of_noise(u), u + plain)


@pytest.mark.parametrize("name", ["two, far apart", "two, slanted"])
def test_a_known_mixture_is_met(name: str) -> None:
    truth = mixtures()[name]
    z = truth.sample(20_000, generator=torch.Generator().manual_seed(0))
    flow = FlowMatching(2, iterations=600, width=64, batch_size=256).fit(z)
    found = against_truth(flow, truth, 49, 1500)
    assert found["integral"].value == pytest.approx(1, abs=0.01)
    # the default number of iterations brings it below 0.01 (docs/results/samplers.md)
    assert abs(found["mean of log p - truth"].value) < 0.15
    normal = Normal(2).fit(z)
    fresh = truth.sample(5000, generator=torch.Generator().manual_seed(1))
    other = float((normal.log_prob(fresh) - truth.log_prob(fresh)).mean())
    assert found["mean of log p - truth"].value > other / 2


@pytest.mark.parametrize(
    "name, options",
    [
        ("flow", {"iterations": 300, "hidden": 32}),
        ("flow-matching", {"iterations": 300, "width": 32}),
    ],
)
def test_what_is_drawn_has_the_density_that_is_said(name: str, options: dict[str, Any]) -> None:
    """E over draws of q of p(z) / q(z) is 1, for any p that q covers, however q was learned."""
    z, _ = two_clouds()
    density = catalogue.make(name, 2, {**options, "batch_size": 256}).fit(z)
    assert isinstance(density, Density)
    drawn = density.sample(4000, generator=torch.Generator().manual_seed(0))
    for mean in ([2.0, 0.0], [-2.0, 1.0]):
        p = MultivariateNormal(torch.tensor(mean), 0.04 * torch.eye(2))
        with torch.no_grad():
            ratio = (p.log_prob(drawn) - density.log_prob(drawn)).exp()
        error = float(ratio.std()) / math.sqrt(len(ratio))
        assert error < 0.1
        assert abs(float(ratio.mean()) - 1) < 4 * error


def test_initial_weights_are_the_seeds_alone() -> None:
    torch.manual_seed(5)
    first = FlowMatching(3, seed=2).velocity.enter.weight
    torch.manual_seed(6)
    again, other = FlowMatching(3, seed=2), FlowMatching(3, seed=3)
    assert torch.equal(first, again.velocity.enter.weight)
    assert not torch.equal(first, other.velocity.enter.weight)


@pytest.mark.parametrize("codes, iterations", [(2, 250), (2000, 390), (5000, 976), (50_000, 4000)])
def test_iterations_follow_the_number_of_codes(codes: int, iterations: int) -> None:
    """100 passes, from 250 to 4,000 iterations of 512 codes, unless others are asked for."""
    z = torch.randn(codes, 2)
    flow, told = FlowMatching(2), FlowMatching(2, iterations=8000)
    flow.batches(z)
    told.batches(z)
    assert flow.iterations == flow.found["iterations"] == iterations
    assert told.iterations == 8000
    assert "iterations" not in told.found
    assert flow.schedule(0) == 1
    assert flow.schedule(iterations // 2) == pytest.approx(0.5, abs=0.01)
    assert 0 < flow.schedule(iterations - 1) < 1e-4
