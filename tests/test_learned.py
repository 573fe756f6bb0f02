"""Samplers that learn: flow matching against what is known of it; fits that are gone on with."""

from __future__ import annotations

import hashlib
import itertools
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal
from torch.optim.swa_utils import AveragedModel

import zspace
from tests.conftest import Cli, Told, sampler_of
from zspace.core import Batches, Density, Frozen
from zspace.errors import InputError
from zspace.generation.export import export
from zspace.generation.fit import fit_sampler
from zspace.metrics import Figure
from zspace.nets.velocity import Velocity
from zspace.papers.samplers.cells import Cells
from zspace.papers.samplers.densities import against_truth, mixtures
from zspace.recipes import catalogue
from zspace.samplers import FlowMatching, Learned, Normal
from zspace.samplers.flow_matching import ContinuousFlow, integral, mean_line, paired
from zspace.samplers.pushforward import critic_terms
from zspace.storage.run import Run

LEARNED = [name for name, kind in catalogue.SAMPLERS.items() if issubclass(kind, Learned)]
BRIEF: dict[str, Any] = {"iterations": 20, "batch_size": 64}
DATA = Path(__file__).parent / "data"


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


def two_clouds(n: int = 2000) -> tuple[Tensor, Tensor]:
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    y = torch.arange(n) % 2
    return 0.4 * z + torch.tensor([[2.0, 0], [-2.0, 1]])[y], y


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
    found = against_truth(flow, truth, 81, 1500)
    assert found["integral"].value == pytest.approx(1, abs=0.01)
    # 8,000 iterations bring it below 0.05 (docs/results/samplers.md)
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


def test_a_spline_flow_integrates_to_one() -> None:
    z, _ = two_clouds()
    flow = catalogue.make("flow", 2, {"iterations": 200, "hidden": 32}).fit(z)
    assert isinstance(flow, Density)
    side = torch.linspace(-8, 8, 321)
    with torch.no_grad():
        total = flow.log_prob(torch.cartesian_prod(side, side)).double().exp().sum()
    assert float(total) * 0.05**2 == pytest.approx(1, abs=2e-3)


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


def small_run(folder: Path, recipe: str = "ae") -> Path:
    small = {"width": 4, "hidden": 16, "latent_dim": 3, "batch_size": 16}
    zspace.train(recipe, "digits", out=folder, iterations=10, device="cpu", **small)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("learned") / "run")


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", LEARNED)
def test_a_fit_that_is_killed_goes_on_to_the_same_end(name: str, run: Path) -> None:
    options = {"iterations": 30, "batch_size": 32}
    path = run / "samplers" / f"{name}.safetensors"
    fit_sampler(run, name, options)
    whole = path.read_bytes()
    path.unlink()
    fit_sampler(run, name, {**options, "seed": 1})  # another fit in its place: begins anew
    assert path.read_bytes() != whole
    path.unlink()

    class Killing(Told):
        def __call__(self, done: int, *more: Any) -> None:
            if done >= 20:
                raise Killed

    with pytest.raises(Killed):
        fit_sampler(run, name, options, progress=Killing())
    assert not path.exists()
    stopped = max(Run(run / "samplers" / name).checkpoints())
    assert 0 < stopped < 30
    told = Told()
    # drawing is enough: the fit's own options are known
    sampler_of(run, name, zspace.load(run))
    assert hashlib.md5(path.read_bytes()).digest() == hashlib.md5(whole).digest()
    fit_sampler(run, name, {**options, "iterations": 40}, progress=told)
    assert told.said.pop() == "this fit has done 30 iterations of 40: going on from there"
    longer = path.read_bytes()
    path.write_bytes(longer[:1000])  # damaged: its fit is still there
    sampler_of(run, name, zspace.load(run))
    assert path.read_bytes() == longer
    with pytest.raises(InputError, match=r"this fit has done 40 iterations .remove the folder"):
        fit_sampler(run, name, options)
    fit_sampler(run, name, {**options, "iterations": 40}, progress=told)
    assert told.said.pop().startswith("this fit of 40 iterations is complete")
    folder = run / "samplers" / name
    (checkpoint,) = Run(folder).checkpoints().values()
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"truncated.*remove the folder .* to begin anew"):
        fit_sampler(run, name, {**options, "iterations": 50})
    fit_sampler(run, name, {**options, "seed": 2}, progress=told)
    assert "had 40 iterations of a fit by other options" in told.said.pop()
    (folder / "config.yaml").unlink()
    with pytest.raises(InputError, match="is no fit of a sampler: move it away"):
        fit_sampler(run, name, options)
    shutil.rmtree(folder)
    path.unlink()


def test_files_of_other_samplers_and_folders_in_the_way(run: Path) -> None:
    model = zspace.load(run)
    sampler_of(run, "normal", model)
    path = run / "samplers" / "flow.safetensors"
    path.write_bytes((run / "samplers" / "normal.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"is no sampler flow: 'zspace fit-sampler .* makes it"):
        sampler_of(run, "flow", model)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="is a folder: move it away"):
        fit_sampler(run, "flow", BRIEF)
    path.rmdir()
    folder = run / "samplers" / "flow"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is no fit of a sampler: move it away"):
        fit_sampler(run, "flow", BRIEF)
    assert (folder / "notes.txt").read_text() == "mine"
    shutil.rmtree(folder)


def test_nothing_is_fitted_for_what_is_refused(run: Path, cli: Cli, tmp_path: Path) -> None:
    before = sorted((run / "samplers").iterdir())
    out = str(tmp_path / "x.png")
    for command, message in (
        (["sample", str(run), "--sampler", "two-stage", "--label", "7", "--out", out], "no labels"),
        (
            ["novelty", str(run), "--density", "two-stage", "--out", str(tmp_path / "s.csv")],
            "of known density",
        ),
        (["export", str(run), "--sampler", "two-stage", "--decoder", "x"], "unknown decoder"),
    ):
        (run / "samplers" / "two-stage.safetensors").unlink(missing_ok=True)
        shutil.rmtree(run / "samplers" / "two-stage", ignore_errors=True)
        status, _, err = cli(*command, "--quiet")
        assert status == 2
        assert message in err
        assert not (run / "samplers" / "two-stage").exists()
    assert set((run / "samplers").iterdir()) <= set(before)


def test_how_codes_are_drawn_is_no_reason_to_learn_again(run: Path) -> None:
    fit_sampler(run, "flow-matching", BRIEF)
    log = run / "samplers" / "flow-matching" / "log.jsonl"
    before = log.read_bytes()
    told = Told()
    options = {**BRIEF, "steps": 3, "guidance": 2.0, "solver": "adaptive"}
    fit_sampler(run, "flow-matching", options, progress=told)
    assert not told.calls
    assert log.read_bytes() == before
    loaded = sampler_of(run, "flow-matching", zspace.load(run))
    assert isinstance(loaded, FlowMatching)
    assert (loaded.inner.steps, loaded.inner.guidance, loaded.inner.solver) == (3, 2.0, "adaptive")


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("name", LEARNED)
def test_commands_know_them(name: str, precision: str, run: Path, cli: Cli, tmp_path: Path) -> None:
    fitted = ["fit-sampler", str(run), "--sampler", name, "--precision", precision]
    status, out, err = cli(*fitted, "--iterations", "12", "--batch-size", "32")
    assert status == 0, err
    assert out.strip() == f"{run}/samplers/{name}.safetensors"
    assert "12/12" in err
    status, _, err = cli(
        "sample", str(run), "--sampler", name, "--n", "4", "--out", str(tmp_path / "x.npz")
    )
    assert status == 0, err
    assert np.load(tmp_path / "x.npz")["images"].shape == (4, 8, 8)


def test_samples_of_a_label_and_bad_options(run: Path, cli: Cli, tmp_path: Path) -> None:
    fit_sampler(run, "flow-matching", BRIEF)
    out = str(tmp_path / "x.png")
    sample = ["sample", str(run), "--n", "4", "--out", out]
    status, _, err = cli(
        *sample,
        "--sampler",
        "flow-matching",
        "--label",
        "7",
        "--guidance",
        "2",
        "--steps",
        "3",
        "--solver",
        "adaptive",
    )
    assert status == 0, err
    for given, message in (
        (["--sampler", "flow-matching", "--label", "x"], "x"),
        (["--sampler", "flow-matching", "--steps", "0"], "--steps must be at least 1"),
        (["--sampler", "flow-matching", "--solver", "euler"], "--solver must be one of heun"),
        (["--sampler", "flow-matching", "--combine", "2"], "--combine belongs to --sampler convex"),
        (["--sampler", "normal", "--steps", "3"], "--steps belongs to --sampler flow-matching"),
        (["--sampler", "normal", "--from", "images"], "--from belongs to --sampler convex"),
        (["--sampler", "flow-machting"], "flow-matching"),
    ):
        status, _, err = cli(*sample, *given)
        assert status == 2
        assert message in err
        assert "Traceback" not in err
    fitted = ["fit-sampler", str(run), "--sampler"]
    for given, message in (
        (["flow-matching", "--iterations", "0"], "--iterations must be at least 1"),
        (["flow-matching", "--pairing", "best"], "--pairing must be one of mean, random, ot"),
        (["flow-matching", "--noise", "1"], "--noise must be below 1"),
        (["flow-matching", "--classes", "3"], "--classes 3: the data have a label 9"),
        (["flow", "--precision", "16"], "precision"),
        (["two-stage", "--steps", "3"], "--steps"),
    ):
        status, _, err = cli(*fitted, *given)
        assert status == 2
        assert message in err
    status, text, _ = cli("fit-sampler", "--help")
    assert status == 0
    assert "Options of --sampler flow-matching" in text
    assert "--critic-steps" in text


def test_novelty_by_flow_matching(run: Path, cli: Cli, tmp_path: Path) -> None:
    fit_sampler(run, "flow-matching", BRIEF)
    status, out, err = cli(
        "novelty",
        str(run),
        "--density",
        "flow-matching",
        "--label",
        "1",
        "--out",
        str(tmp_path / "s.csv"),
        "--quiet",
    )
    assert status == 0, err
    assert "AUROC" in out
    status, _, err = cli(
        "novelty", str(run), "--density", "pushforward", "--out", str(tmp_path / "s.csv")
    )
    assert status == 2
    assert "no pushforward of known density" in err


def test_measured_like_the_others(run: Path, cli: Cli) -> None:
    fit_sampler(run, "flow-matching", BRIEF)
    status, _, err = cli(
        "evaluate",
        str(run),
        "--n",
        "100",
        "--samplers",
        "flow-matching,normal",
        "--metrics",
        "fid,accuracy",
        "--quiet",
    )
    assert status == 0, err
    status, out, err = cli("compare", str(run), "--quiet")
    assert status == 0, err
    assert "flow-matching" in out


NO_TORCH = """
import json, sys
sys.modules["torch"] = None
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
told = session.get_modelmeta().custom_metadata_map
given = {"noise": np.random.default_rng(0).standard_normal((5, int(told["noise_dim"])), "float32")}
if json.loads(told["labels"]):
    given["label"] = np.array([0, 1, 2, 3, 9])
(images,) = session.run(None, given)
np.savez(sys.argv[2], images=images, **given)
"""


@pytest.mark.parametrize("name", ["prior", "normal", "mixture", "kde", "simple", *LEARNED])
def test_an_exported_generator_draws_without_torch(
    name: str, run: Path, cli: Cli, tmp_path: Path
) -> None:
    folder = small_run(tmp_path / "vae", "vae") if name == "prior" else run
    if name in LEARNED:
        fit_sampler(run, name, BRIEF)
    path = tmp_path / "generator.onnx"
    status, out, err = cli(
        "export", str(folder), "--sampler", name, "--format", "onnx", "--out", str(path)
    )
    assert status == 0, err
    assert out.startswith(f"{path}: noise (N, ")
    program = [sys.executable, "-c", NO_TORCH, str(path), str(tmp_path / "x.npz")]
    subprocess.run(program, check=True, capture_output=True)
    made = np.load(tmp_path / "x.npz")
    model = zspace.load(folder)
    sampler = sampler_of(folder, name, model)
    y = torch.from_numpy(made["label"]) if "label" in made else None
    assert (y is not None) == (name in ("simple", "flow-matching"))
    with torch.no_grad():
        expected = model.decode(sampler.of_noise(torch.from_numpy(made["noise"]), y))
    np.testing.assert_allclose(made["images"], expected, atol=1e-4)


@pytest.mark.parametrize("name", ["normal", "mixture", "kde", "flow", "flow-matching"])
def test_codes_of_noise_are_the_samplers_own(name: str) -> None:
    """Drawing as a function has the moments that drawing has."""
    z, _ = two_clouds()
    options = {} if name in ("normal", "mixture", "kde") else {"iterations": 200, "batch_size": 128}
    options |= {"width": 32} if name == "flow-matching" else {}
    sampler = catalogue.make(name, 2, options).fit(z)
    noise = torch.randn(20_000, sampler.noise_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made = sampler.of_noise(noise)
        drawn = sampler.sample(20_000, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(made.mean(0), drawn.mean(0), rtol=0, atol=0.08)
    torch.testing.assert_close(made.T.cov(), drawn.T.cov(), rtol=0.1, atol=0.05)


def test_what_can_not_be_exported(run: Path, cli: Cli, tmp_path: Path) -> None:
    exporting = ["export", str(run), "--out", str(tmp_path / "x.onnx"), "--quiet"]
    for given, message in (
        (["--sampler", "convex"], "the sampler convex can't be exported"),
        (["--sampler", "normal", "--format", "pb"], "onnx"),
        (["--sampler", "normal", "--out", str(tmp_path / "x.png")], "--out must be an .onnx file"),
        (["--sampler", "flow-matching", "--solver", "adaptive"], "can't be exported"),
        (["--sampler", "normal", "--steps", "4"], "--steps belongs to --sampler flow-matching"),
        (["--sampler", "prior"], "no prior of its own"),
    ):
        status, _, err = cli(*exporting, *given)
        assert status == 2, given
        assert message in err
        assert "Traceback" not in err
    assert not list(tmp_path.glob("*.onnx"))


def test_a_generator_that_differs_is_not_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = zspace.load(run)
    monkeypatch.setattr("zspace.generation.export.AGREEMENT", -1.0)
    with pytest.raises(InputError, match=r"differs from PyTorch's by .* it was not written"):
        export(model, sampler_of(run, "normal", model), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_initial_weights_are_the_seeds_alone() -> None:
    torch.manual_seed(5)
    first = FlowMatching(3, seed=2).velocity.enter.weight
    torch.manual_seed(6)
    again, other = FlowMatching(3, seed=2), FlowMatching(3, seed=3)
    assert torch.equal(first, again.velocity.enter.weight)
    assert not torch.equal(first, other.velocity.enter.weight)


def test_velocities_of_many_labels_in_one_batch_are_those_of_each() -> None:
    v = Velocity(3, 16, 2, labels=4)
    nn.init.normal_(v.leave.weight)
    u, t, y = torch.randn(5, 3), torch.rand(5, 1), torch.tensor([0, 1, 2, 3, 4])
    whole = v(u, t, y)
    for i in range(5):
        torch.testing.assert_close(whole[i : i + 1], v(u[i : i + 1], t[i : i + 1], y[i : i + 1]))
    torch.testing.assert_close(v(u, t), v(u, t, torch.full((5,), 4)))


def test_densities_are_densities() -> None:
    assert issubclass(catalogue.SAMPLERS["flow-matching"], Density)
    assert issubclass(catalogue.SAMPLERS["flow"], Density)
    assert isinstance(Frozen(FlowMatching(2)).module, Density)


@pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")
@pytest.mark.parametrize(
    "name, rows",
    [
        ("samplers", ("| AE: flow matching | log p of test codes |", "| FlexAE-SR: own prior |")),
        ("conditional", ("| AE: flow matching, guidance 2 | accuracy |", "| ReGene: Medium2 |")),
        ("steps", ("| steps 2 | Frechet to reconstructions |", "| adaptive | drawing, s |")),
        ("densities", ("| eight in a ring | integral |", "| AUROC, flow-matching |")),
    ],
)
def test_experiments_run(name: str, rows: tuple[str, ...], cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / name
    command = ["reproduce", f"all/{name}", "--scale=smoke", "--data=digits", "--quiet"]
    status, _, err = cli(*command, "--out", str(out), "--device", "cpu")
    assert status == 0, err
    table = (out / "table.md").read_text()
    for row in rows:
        assert row in table


def test_a_comparison_that_was_stopped_measures_nothing_twice(tmp_path: Path) -> None:
    cells = Cells(tmp_path / "cells.json")
    calls: list[int] = []

    def measure() -> dict[str, Figure]:
        calls.append(1)
        return {"Frechet": Figure(2.5, 0.5), "fit, s": Figure(3.0, math.nan)}

    first = cells.of("a", measure)
    again = Cells(tmp_path / "cells.json").of("a", measure)
    assert len(calls) == 1
    assert again["Frechet"] == first["Frechet"] == Figure(2.5, 0.5)
    assert again["fit, s"].value == 3.0
