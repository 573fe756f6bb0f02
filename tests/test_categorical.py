"""Categorical generation: the VAEs, classwise samplers, the search for theta, the experiments."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, kstest
from torch import Tensor, nn

import zspace
from tests.conftest import SMALL, Cli, Told, sampler_of
from zspace import api, papers
from zspace.core import Batches, codes
from zspace.data import load as load_data
from zspace.errors import InputError
from zspace.functional import bernoulli_error, gaussian_mmd, normal_kl
from zspace.generation.fit import fit_sampler
from zspace.generation.tuning import objective as objectives
from zspace.generation.tuning import search
from zspace.generation.tuning.lines import Ask, Line, Space, at_random, descent, on_grid, space_of
from zspace.generation.tuning.objective import Objective
from zspace.generation.tuning.search import Tuned, tune
from zspace.methods.vae import VAE
from zspace.nets.categorical import CategoricalNets
from zspace.nets.classifiers import dropout_cnn
from zspace.options import checked, options_of
from zspace.recipes import find
from zspace.samplers import Medium1, Medium2, Normal, Simple, as_text
from zspace.storage.run import Run

# the VAEs


def brute_mmd(x: Tensor, y: Tensor, variance: float) -> float:
    """The unbiased estimate, pair by pair."""

    def k(a: Tensor, b: Tensor) -> float:
        return math.exp(-float(((a - b) ** 2).sum()) / (2 * variance))

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    xy = sum(k(x[i], y[j]) for i in range(n) for j in range(m)) / (n * m)
    return xx + yy - 2 * xy


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 9), st.integers(2, 9), st.integers(1, 4), st.integers(0, 99))
def test_mmd_against_brute_force(n: int, m: int, dim: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, dim, generator=generator, dtype=torch.float64)
    y = 1 + 2 * torch.randn(m, dim, generator=generator, dtype=torch.float64)
    assert float(gaussian_mmd(x, y, dim)) == pytest.approx(brute_mmd(x, y, dim), abs=1e-12)


def test_mmd_has_no_bias() -> None:
    generator = torch.Generator().manual_seed(0)
    each = torch.stack(
        [gaussian_mmd(*torch.randn(2, 20, 2, generator=generator), 2.0) for _ in range(2000)]
    )
    assert abs(float(each.mean())) < 4 * float(each.std()) / 2000**0.5
    with pytest.raises(InputError, match="two draws of each"):
        gaussian_mmd(torch.zeros(1, 2), torch.zeros(5, 2), 2.0)


@pytest.mark.parametrize("loss", ["elbo", "mmd"])
def test_losses_of_the_vae(loss: Any) -> None:
    torch.manual_seed(0)
    nets = CategoricalNets((1, 8, 8), 3, 16)
    vae = VAE(
        nets.encoder(),
        nets.decoder(),
        Normal(3),
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


def shapes(net: nn.Module) -> list[tuple[int, ...]]:
    return [
        tuple(layer.weight.shape)
        for layer in net.modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
    ]


def test_networks_are_the_tables() -> None:
    nets = CategoricalNets((1, 28, 28), 10)
    assert shapes(nets.encoder()) == [(500, 784), (500, 500), (20, 500)]
    assert shapes(nets.decoder()) == [(500, 10), (500, 500), (784, 500)]
    assert sum(isinstance(m, nn.Softplus) for m in nets.encoder().modules()) == 2
    net = dropout_cnn((1, 28, 28), 10)
    assert shapes(net) == [(32, 1, 3, 3), (64, 32, 3, 3), (128, 9216), (10, 128)]
    assert [m.p for m in net.modules() if isinstance(m, nn.Dropout)] == [0.25, 0.5]
    assert net(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_the_weight_of_an_mmd_is_its_own(tmp_path: Path) -> None:
    for loss, weight in (("elbo", 1.0), ("mmd", 100.0)):
        plan = find("vae-mlp")(zspace.recipes.Facts((1, 28, 28)), prior_loss=loss)  # type: ignore[call-arg]
        assert isinstance(plan.model, VAE)
        assert plan.model.beta == weight
        assert plan.model.latent_dim == 20
        assert {g["lr"] for o in plan.model.optimizers().values() for g in o.param_groups} == {1e-3}


# the samplers


def classes(n: int = 3000, dim: int = 2) -> tuple[Tensor, Tensor]:
    """Codes of three classes, of different places and widths."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    scale = torch.tensor([1.0, 2.0, 0.5])[y][:, None]
    return scale * torch.randn(n, dim, generator=generator) + 10 * y[:, None], y


def test_moments_of_each_class() -> None:
    z, y = classes()
    fitted = Simple(2, theta=0.5).fit(z, y)
    for label in range(3):
        own = z[y == label].double().numpy()
        drawn = fitted.sample(50_000, label, generator=torch.Generator().manual_seed(1)).numpy()
        np.testing.assert_allclose(drawn.mean(0), own.mean(0), atol=0.02)
        np.testing.assert_allclose(drawn.std(0), 0.5 * own.std(0), rtol=0.02)
        one = (drawn[:, 0] - own[:, 0].mean()) / (0.5 * own[:, 0].std())
        assert kstest(one, "norm").pvalue > 0.01


@pytest.mark.parametrize("average", [2, 3, 5])
def test_an_average_of_n_is_one_draw_with_theta_over_root_n(average: int) -> None:
    z, y = classes()
    averaged = Simple(2, theta=0.8, average=average).fit(z, y)
    single = Simple(2, theta=0.8 / average**0.5).fit(z, y)
    other = Simple(2, theta=0.8 / average).fit(z, y)
    drawn = [
        s.sample(20_000, 1, generator=torch.Generator().manual_seed(seed))
        for seed, s in enumerate((averaged, single, other))
    ]
    for d in range(2):
        assert ks_2samp(drawn[0][:, d], drawn[1][:, d]).pvalue > 0.01
        assert ks_2samp(drawn[0][:, d], drawn[2][:, d]).pvalue < 1e-6


def test_theta_scales_each_dimension_and_each_class() -> None:
    z, y = classes()
    one = Medium1(2, theta="0,1").fit(z, y)
    drawn = one.sample(4000, 1, generator=torch.Generator().manual_seed(0))
    assert float(drawn[:, 0].std()) < 1e-5
    assert float(drawn[:, 1].std()) == pytest.approx(float(z[y == 1][:, 1].std()), rel=0.05)
    two = Medium2(2, theta="0,1;1,0;0.5,0.5").fit(z, y)
    for label, factors in enumerate(((0, 1), (1, 0), (0.5, 0.5))):
        drawn = two.sample(4000, label, generator=torch.Generator().manual_seed(0))
        expected = torch.tensor(factors) * z[y == label].std(0)
        torch.testing.assert_close(drawn.std(0), expected, rtol=0.05, atol=1e-4)


def test_without_a_label_classes_come_by_their_shares() -> None:
    z, y = classes()
    keep = (y != 1) | (torch.arange(len(y)) < 300)
    drawn = Simple(2, theta=0.1).fit(z[keep], y[keep]).sample(20_000)
    share = float(((drawn[:, 0] - 10).abs() < 4).float().mean())
    assert share == pytest.approx(float((y[keep] == 1).float().mean()), abs=0.01)


def test_labels_that_can_not_be_drawn() -> None:
    z, y = classes()
    fitted = Simple(2, classes=5).fit(z[y != 1], y[y != 1])
    fitted.with_names(["cat", "dog", "owl", "hen", "cow"])
    for label, name in ((1, "dog"), (4, "cow")):
        with pytest.raises(InputError, match=f"class {name} has no training image"):
            fitted.sample(3, label)
    with pytest.raises(InputError, match="label 5 is none of the 5"):
        fitted.sample(3, 5)
    assert fitted.labels == 5
    with pytest.raises(InputError, match="the data have no labels"):
        Simple(2).fit(z)
    with pytest.raises(InputError, match="the data have no labels"):
        Simple(2).fit(z, torch.full_like(y, -1))


@pytest.mark.parametrize(
    "kind, theta, message",
    [
        (Medium1, "0.1,1.5", r"numbers in \[0, 1\], not 1.5"),
        (Medium1, "0.1,nan", r"numbers in \[0, 1\], not nan"),
        (Medium1, "0.1,-0.2", r"numbers in \[0, 1\], not -0.2"),
        (Medium1, "0.1", "has 1 numbers, codes have 2 dimensions"),
        (Medium1, "0.1,x", "must be numbers with commas"),
        (Medium1, "0.1,0.2;0.3,0.4", "has 2 rows: medium1 has one"),
        (Medium2, "0.1,0.2;0.3", "has 1 numbers, codes have 2"),
        (Medium1, None, "medium1 has no theta: 'zspace tune"),
        (Medium2, None, "medium2 has no theta: 'zspace tune"),
    ],
)
def test_thetas_that_make_no_sense(kind: Any, theta: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(2, theta=theta)


def test_rows_of_theta_are_the_classes() -> None:
    with pytest.raises(InputError, match="theta has 2 rows, the data have 3 classes"):
        Medium2(2, theta="0,1;1,0").fit(*classes())
    assert as_text([[0.1, 1], [0.25, 0]]) == "0.1,1;0.25,0"


# the objective


class Blobs(nn.Module):
    """A decoder of 2-D codes: two pixels as bright as the code says."""

    def __init__(self) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.zeros(1))

    def decode(self, z: Tensor) -> Tensor:
        return (0.5 + z / 40).clamp(0, 1).reshape(-1, 1, 1, 2)


def objective(least: float | None = None, samples: int = 60) -> Objective:
    """Three classes on a line; the judge finds class 1 where the first pixel is in the middle."""
    z, y = classes()
    z = z - 10
    noise = torch.randn(3, samples, 5, 2, generator=torch.Generator().manual_seed(2))

    def judge(x: Tensor) -> Tensor:
        place = 40 * (x[:, 0, 0, 0] - 0.5)
        return torch.stack([-(place + 10).abs(), -place.abs(), -(place - 10).abs()], 1)

    model: Any = Blobs()
    return Objective(model, Simple(2).fit(z, y), judge, noise, least)


def test_objective_is_the_papers() -> None:
    of = objective()
    theta = torch.tensor([[0.4], [0.9], [0.2]])
    score = of.score(theta, 2, [0, 1, 2])
    for label in range(3):
        own = of.sampler
        draws = own.mean[label] + theta[label] * own.deviation[label] * of.noise[label, :, :2]
        x = (of.model.decode(draws.mean(1)) * 255).round().flatten(1).double()
        pairs = [
            float(x[i] @ x[j] / (x[i].norm() * x[j].norm()))
            for i in range(len(x))
            for j in range(len(x))
            if i != j
        ]
        assert float(score.cosine[label]) == pytest.approx(np.mean(pairs), abs=1e-6)
        right = of.judge(x.float().reshape(-1, 1, 1, 2) / 255).argmax(1) == label
        assert float(score.accuracy[label]) == pytest.approx(float(right.double().mean()))
    value = float((score.cosine + 1 - score.accuracy).mean())
    assert of.value(score.cosine, score.accuracy) == pytest.approx(value)


def test_a_least_accuracy_comes_before_the_cosine() -> None:
    of = objective(0.9)
    cosine = torch.tensor([0.5, 0.7])
    assert of.value(cosine, torch.tensor([0.9, 1.0])) == pytest.approx(0.6)
    assert of.value(cosine, torch.tensor([0.8, 0.7])) == pytest.approx(2.3)
    assert of.value(cosine, torch.tensor([0.8, 1.0])) > of.value(torch.ones(2), torch.ones(2))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 10), min_size=3, max_size=3), st.floats(0.1, 2.5), st.booleans())
def test_what_is_not_judged_could_not_win(thetas: list[int], bound: float, least: bool) -> None:
    of = objective(0.9 if least else None, samples=20)
    theta = torch.tensor(thetas)[:, None] / 10
    group = [0, 1, 2]
    whole = of.score(theta, 1, group)
    short = of.score(theta, 1, group, bound)
    if bool(short.accuracy.isnan().any()):
        assert of.value(whole.cosine, whole.accuracy) >= bound
    else:
        assert torch.equal(short.accuracy, whole.accuracy)


# the search


def walk(
    line: Line, value: Callable[[tuple[int, ...]], float], trials: int
) -> tuple[float, list[tuple[int, ...]]]:
    """Follow a line; what it asks for is judged by a function of one group's row."""
    seen: list[tuple[int, ...]] = []
    best = math.inf
    ask: Ask | None = next(line, None)
    while ask is not None and len(seen) < trials:
        row = ask.rows[0]
        assert row is not None
        seen.append(row)
        found = value(row)
        assert ask.bounds[0] == best or len(ask.rows) > 1
        best = min(best, found)
        try:
            ask = line.send([found])
        except StopIteration:
            break
    return best, seen


@pytest.mark.parametrize("seed", range(3))
def test_descent_and_grid_agree_in_two_dimensions(seed: int) -> None:
    """On a slanted valley, which has local minima for coordinate descent: restarts find it."""
    place = torch.rand(2, generator=torch.Generator().manual_seed(seed)) * 10

    def value(row: tuple[int, ...]) -> float:
        a, b = row[0] - float(place[0]), row[1] - float(place[1])
        return a * a + b * b + 1.5 * a * b

    space = Space((11, 11), [[0]])
    by_grid = min(walk(on_grid(space, i), value, 1)[0] for i in range(space.size))
    found = [walk(descent(space, 0, start), value, 10**6) for start in range(40)]
    assert min(best for best, _ in found) == by_grid
    # a line ends where no change of one coordinate helps
    for best, seen in found:
        at = next(row for row in seen if value(row) == best)
        neighbours = [
            tuple(k if i == d else v for i, v in enumerate(at)) for d in range(2) for k in range(11)
        ]
        assert min(map(value, neighbours)) == best
        assert set(neighbours) <= set(seen)


def test_groups_descend_each_by_itself() -> None:
    space = Space((11, 11), [[0], [1]])
    goals = [(2, 9), (7, 0)]
    line = descent(space, 0, 0)
    ask: Ask | None = next(line)
    best: list[Any] = [(math.inf, ()), (math.inf, ())]
    while ask is not None:
        values = []
        for g, row in enumerate(ask.rows):
            if row is None:
                values.append(math.inf)
                continue
            values.append(float(sum((r - t) ** 2 for r, t in zip(row, goals[g], strict=True))))
            best[g] = min(best[g], (values[-1], row))
        try:
            ask = line.send(values)
        except StopIteration:
            ask = None
    assert best == [(0, (2, 9)), (0, (7, 0))]


def test_spaces() -> None:
    assert space_of("simple", 20, 10).size == 44
    assert space_of("medium1", 2, 10).size == 121
    assert space_of("medium1", 3, 4).groups == [[0, 1, 2, 3]]
    assert space_of("medium2", 3, 4).groups == [[0], [1], [2], [3]]
    assert space_of("simple", 9, 4).theta((4, 3)) == ([0.4], 5)
    rows = {walk(on_grid(space_of("simple", 9, 4), i), lambda r: 0.0, 1)[1][0] for i in range(44)}
    assert len(rows) == 44
    assert next(on_grid(space_of("simple", 9, 4), 44), None) is None
    a, b = (next(at_random(space_of("medium1", 9, 4), 1, i)).rows for i in (0, 1))
    assert a != b
    assert a == next(at_random(space_of("medium1", 9, 4), 1, 0)).rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE of the digits that tells some of them apart. Tests must not change it."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("vae") / "run"
    zspace.train(
        "vae-mlp",
        "digits",
        out=out,
        latent_dim=2,
        hidden=64,
        iterations=1200,
        device="cpu",
        prior_loss="mmd",
    )
    return out


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def test_tune_stores_a_sampler_that_sample_uses(
    run: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FRESH", 50)
    for name in ("simple", "medium1", "medium2"):
        status, out, err = cli(
            "tune",
            run,
            "--sampler",
            name,
            "--trials",
            44,
            "--samples",
            20,
            "--device=cpu",
            "--search=descent",
        )
        assert status == 0, err
        assert f"{name}, found in 44 trials: theta" in out
        assert "below 0.97: what it says of generated images is as uncertain" in err
        stored = json.loads((run / "tuning" / f"{name}.json").read_text())
        assert stored["trials"] == 44
        assert len(stored["cosine"]) == 10
        fitted, theta = sampler_of(run, name, zspace.load(run)), stored["options"]["theta"]
        text = as_text(fitted.theta.tolist())  # type: ignore[union-attr, operator]
        assert text == (f"{theta:g}" if name == "simple" else theta)
        status, _, err = cli(
            "sample",
            run,
            "--sampler",
            name,
            "--label",
            7,
            "--n",
            5,
            "--out",
            tmp_path / f"{name}.npz",
            "--device=cpu",
        )
        assert status == 0, err
        assert np.load(tmp_path / f"{name}.npz")["images"].shape == (5, 8, 8)
    # another search of the same kind is another one
    values = [
        tune(run, "medium1", trials=30, samples=20, seed=s, device="cpu").value for s in (0, 1)
    ]
    assert values[0] != values[1]


def test_figures_of_a_search_are_of_its_sampler(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn anew through the stored sampler: the same cosines and accuracies within errors."""
    monkeypatch.setattr(search, "FRESH", 400)
    found = tune(run, "medium2", trials=60, samples=50, device="cpu")
    model = zspace.load(run)
    fitted = sampler_of(run, "medium2", model)
    generator = torch.Generator().manual_seed(9)
    for label in range(10):
        with torch.no_grad():
            x = model.decode(fitted.sample(400, label, generator=generator))
            right = found.judge.net(x).argmax(1) == label
        unit = x.flatten(1) / x.flatten(1).norm(dim=1, keepdim=True)
        cosine = float((unit.sum(0).square().sum() - 400) / (400 * 399))
        assert cosine == pytest.approx(found.cosine[label], abs=0.01)
        spread = max(0.01, (found.accuracy[label] * (1 - found.accuracy[label]) / 200) ** 0.5)
        assert float(right.float().mean()) == pytest.approx(found.accuracy[label], abs=4 * spread)


def outcome(found: Tuned) -> tuple[Any, ...]:
    return found.options, found.trials, found.value, found.cosine, found.accuracy, found.curve


def test_a_search_goes_on_where_it_stopped(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "FRESH", 40)
    ask: dict[str, Any] = {"trials": 50, "samples": 20, "device": "cpu"}
    other = run.parent / "other"
    shutil.copytree(run, other)
    whole = tune(other, "medium2", **ask)
    score, count = Objective.score, 0

    def stopping(self: Objective, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == 170:  # within a trial: it has ten rows
            raise KeyboardInterrupt
        return score(self, *arguments)

    monkeypatch.setattr(Objective, "score", stopping)
    with pytest.raises(KeyboardInterrupt):
        tune(run, "medium2", **ask)
    assert not (run / "samplers").exists()
    told = Told()
    again = tune(run, "medium2", progress=told, **ask)
    assert outcome(again) == outcome(whole)
    assert 10 < told.calls[0][1] < 20
    # all trials are there: nothing is tried any more
    monkeypatch.setattr(Objective, "score", None)
    assert outcome(tune(run, "medium2", **ask)) == outcome(whole)


def test_processes_share_a_search(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "FRESH", 40)
    url = f"sqlite:///{run.parent}/shared.db"
    tune(run, "simple", trials=1, samples=20, device="cpu", storage=url)  # its classifier is made
    command = [
        sys.executable,
        "-m",
        "zspace",
        "tune",
        str(run),
        "--sampler=medium1",
        "--trials=40",
        "--samples=20",
        "--device=cpu",
        "--search=random",
        "--storage",
        url,
    ]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ended = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    import optuna

    (name,) = [s for s in optuna.get_all_study_names(url) if s.startswith("medium1")]
    trials = optuna.load_study(study_name=name, storage=url).get_trials()
    done = [t for t in trials if "found" in t.user_attrs]
    where = [tuple(t.user_attrs["where"]) for t in done]
    assert len(done) in (40, 41)  # the last of each may end at the same time
    assert len(set(where)) == len(where)


def test_what_can_not_be_tuned(
    run: Path, runs: dict[str, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    assert "unknown sampler to tune 'normal'" in refused("tune", run, "--sampler=normal")
    assert "--min-accuracy must be above 0" in refused(
        "tune", run, "--sampler=simple", "--min-accuracy=1.5"
    )
    assert "--trials must be at least 1" in refused("tune", run, "--sampler=simple", "--trials=0")
    assert "unknown search 'best'" in refused("tune", run, "--sampler=simple", "--search=best")
    assert "is no folder" in refused("tune", tmp_path / "x", "--sampler=simple")
    vectors = tmp_path / "v"
    zspace.train("ae", "mog2", out=vectors, iterations=2, device="cpu", **SMALL)
    assert "has no labelled images" in refused("tune", vectors, "--sampler=simple", "--device=cpu")
    status = refused(
        "tune",
        run,
        "--sampler=simple",
        "--storage=nosuch://x",
        "--quiet",
        "--samples=10",
        "--device=cpu",
    )
    assert "--storage 'nosuch://x' can't be used" in status
    assert "--storage '' can't be used" in refused(
        "tune", run, "--sampler=simple", "--storage=", "--quiet", "--device=cpu"
    )
    (run / "tuning").mkdir()
    (run / "tuning" / "trials.log").write_text("no journal\n")
    message = refused("tune", run, "--sampler=simple", "--quiet", "--samples=10", "--device=cpu")
    assert "trials.log can't be used" in message
    assert "remove it" in message


def test_an_accuracy_that_no_candidate_has(run: Path, refused: Callable[..., str]) -> None:
    message = refused(
        "tune",
        run,
        "--sampler=simple",
        "--min-accuracy=1",
        "--quiet",
        "--samples=50",
        "--trials=5",
        "--device=cpu",
    )
    assert "none of 5 candidates has accuracy 1 for every class" in message
    assert "more --trials" in message
    message = refused(
        "tune",
        run,
        "--sampler=simple",
        "--min-accuracy=1",
        "--quiet",
        "--samples=20",
        "--device=cpu",
    )
    assert "none of 44 candidates" in message
    assert "more --trials" not in message
    assert not (run / "samplers").exists()


def test_images_that_are_all_alike_are_no_shortfall(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their cosine is 1, whatever rounding makes of it, and every image is right."""
    monkeypatch.setattr(search, "FRESH", 40)
    monkeypatch.setattr(Objective, "right", lambda self, x, label: torch.ones(len(x)))
    for seed in range(6):
        found = tune(
            run, "medium2", trials=1, min_accuracy=0.9, samples=20, seed=seed, device="cpu"
        )
        assert found.value == pytest.approx(1, abs=1e-6)
        assert found.value <= 1


def test_one_class_that_falls_short_is_enough(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Objective, "right", lambda self, x, label: torch.full((len(x),), float(label != 4))
    )
    monkeypatch.setattr(objectives, "pair_cosine", lambda x: 0.1)
    with pytest.raises(InputError, match=r"for every class \(4\): lower"):
        tune(run, "medium2", trials=3, min_accuracy=0.9, samples=20, device="cpu")


def test_a_lock_that_a_kill_left(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setattr(search, "FRESH", 40)
    monkeypatch.chdir(run.parent)
    (run / "tuning").mkdir()
    lock = run / "tuning" / "trials.log.lock"
    lock.symlink_to("run/tuning/trials.log")  # leads nowhere from there
    os.utime(lock, (1, 1), follow_symlinks=False)
    found = tune("run", "simple", trials=3, samples=20, device="cpu")
    assert found.trials == 3
    assert not lock.is_symlink()


def test_a_damaged_trial(run: Path, refused: Callable[..., str]) -> None:
    tune(run, "simple", trials=3, samples=20, device="cpu")
    log = run / "tuning" / "trials.log"
    log.write_text(log.read_text().replace('"rows"', '"lines"'))
    message = refused(
        "tune", run, "--sampler=simple", "--trials=3", "--samples=20", "--quiet", "--device=cpu"
    )
    assert "of this search is damaged: remove" in message


def test_a_class_without_members(run: Path) -> None:
    """Images whose labels leave one out: said by its name, before anything is trained."""
    images = load_data("digits")
    keep = images.train.y != 3
    assert images.train.y is not None
    images = zspace.data.Images(
        "no threes",
        images.train.take(keep.nonzero()[:, 0]),
        images.validation,
        images.test,
        images.classes,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "run_images", lambda run: images)
        with pytest.raises(InputError, match="class 3 has no training image"):
            tune(run, "simple", device="cpu")


def test_evaluate_asks_for_labels(run: Path, cli: Cli) -> None:
    fit_sampler(run, "simple", {"theta": 0.3})
    status, out, err = cli(
        "evaluate",
        run,
        "--metrics=accuracy",
        "--samplers=simple",
        "--features=classifier",
        "--quiet",
    )
    assert status == 0, err
    head, row = (
        next(line for line in out.splitlines() if name in line) for name in ("simple", "accuracy")
    )
    assert "±" in row.split("|")[head.split("|").index(" simple ")]


def test_theta_by_hand(run: Path, cli: Cli, refused: Callable[..., str]) -> None:
    assert "--theta must be at most 1, not 1.5" in refused(
        "fit-sampler", run, "--sampler=simple", "--theta=1.5"
    )
    assert "numbers in [0, 1]" in refused("fit-sampler", run, "--sampler=medium1", "--theta=0.5,2")
    status, _, err = cli("fit-sampler", run, "--sampler=medium1", "--theta=0,1")
    assert status == 0, err
    fitted = sampler_of(run, "medium1", zspace.load(run))
    z = codes(zspace.load(run), api.run_images(Run(run)).train.x)
    y = api.run_images(Run(run)).train.y
    drawn = fitted.sample(5000, 4)
    assert float(drawn[:, 0].std()) < 1e-4
    assert float(drawn[:, 1].std()) == pytest.approx(float(z[y == 4][:, 1].std()), rel=0.1)
    message = refused("sample", run, "--sampler=medium2", "--label=7", "--out=x.png")
    assert "medium2 has no theta: 'zspace tune RUN --sampler medium2'" in message


# experiments

NAMES = [name for name in papers.EXPERIMENTS if name.startswith("categorical/")]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


@pytest.mark.parametrize("name", NAMES)
def test_experiments_run(
    name: str, cli: Cli, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FRESH", 40)
    status, out, err = cli(
        "reproduce",
        name,
        "--scale=smoke",
        "--data=digits",
        "--quiet",
        "--device=cpu",
        "--out",
        tmp_path / "o",
        "--runs",
        shelf,
    )
    assert status == 0, err
    assert "ours is of" in out
    known = options_of(find("vae-mlp")) | options_of(zspace.train)
    for scale in papers.find(name).scales.values():
        given = scale.settings["options"]
        assert checked(known, given).items() >= given.items()
