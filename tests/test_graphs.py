"""Iterations that are captured and replayed give what iterations that run as written give."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

import zspace
from tests.capture import NotCaptured, on_cpu
from tests.conftest import small
from tests.samplers.shared import made, two_clouds
from zspace.core import Batches, Method, Terms, always
from zspace.errors import InputError
from zspace.recipes import RECIPES
from zspace.recipes.catalogue import SAMPLERS
from zspace.samplers import Learned
from zspace.training import fit, graphs

EAGER = {"gen"}
"""The recipes whose iterations run as written."""


class Counted:
    """Captures on the CPU, and counts how often."""

    def __init__(self) -> None:
        self.captured = 0

    def __call__(self, device: torch.device) -> Any:
        capture = on_cpu(device)

        def counted(function: Callable[[], None]) -> Callable[[], object]:
            self.captured += 1
            return capture(function)

        return counted


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()
    monkeypatch.setattr(graphs, "captured", counted)
    return counted


def same(a: nn.Module, b: nn.Module) -> None:
    for (key, x), (_, y) in zip(a.state_dict().items(), b.state_dict().items(), strict=True):
        assert torch.equal(x, y), key


def log_of(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def trained(name: str, out: Path, patch: pytest.MonkeyPatch, **more: Any) -> zspace.LatentModel:
    options = {**small(name), "iterations": 6, "log_every": 1, "out": out, **more}
    with patch.context() as during:
        for key in ("captured", "capturable", "WARM_UP"):
            if key in options:
                during.setattr(graphs, key, options.pop(key))
        return zspace.train(name, "digits", **options)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tape gives what is drawn one by one, and a graph what its iteration gives: the same bits.

    Between the two stands the learning rate, which a graph reads from a tensor, in float32.
    """
    count = Counted()
    begin = {"captured": on_cpu, "WARM_UP": 99}
    plain = trained(name, tmp_path / "plain", monkeypatch)
    taped = trained(name, tmp_path / "taped", monkeypatch, capturable=lambda *_: True, **begin)
    eager = trained(name, tmp_path / "eager", monkeypatch, **begin)
    replayed = trained(name, tmp_path / "replayed", monkeypatch, captured=count)
    assert (count.captured > 0) == (name not in EAGER)
    same(taped, plain)
    same(replayed, eager)
    assert log_of(tmp_path / "taped") == log_of(tmp_path / "plain")
    assert log_of(tmp_path / "replayed") == log_of(tmp_path / "eager")
    first, other = log_of(tmp_path / "plain")[:3], log_of(tmp_path / "replayed")[:3]
    for a, b in zip(first, other, strict=True):
        assert a == pytest.approx(b, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize(("prior", "captured"), [("normal", 1), ("mixture", 0)])
def test_a_prior_that_jumps_is_never_captured(prior: str, captured: int, count: Counted) -> None:
    options = {"iterations": 8, "device": "cpu", **small("wae-gan")}
    zspace.train("wae-gan", "digits", prior=prior, **options)
    assert count.captured == captured


LEARNED = [n for n, kind in SAMPLERS.items() if issubclass(kind, Learned)]


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("name", LEARNED)
def test_every_learned_sampler(
    name: str, labelled: bool, monkeypatch: pytest.MonkeyPatch, count: Counted
) -> None:
    z, y = two_clouds(400)

    def fitted() -> Learned[Any]:
        sampler = made(name, 2)
        assert isinstance(sampler, Learned)
        sampler.iterations = 6
        return sampler.fit(z, y if labelled else None)

    replayed = fitted()
    assert count.captured == 1
    monkeypatch.setattr(graphs, "WARM_UP", 99)
    same(replayed, fitted())


FUSED = partial(Adam, fused=True)


class Line(Method):
    """Fits a line to points, by an optimiser of choice."""

    repeats = always

    def __init__(self, kind: Callable[..., Optimizer] = FUSED) -> None:
        super().__init__()
        self.net, self.kind = nn.Linear(2, 1), kind
        self.runs = 0

    def optimizers(self) -> dict[str, Optimizer]:
        return {"line": self.kind(self.parameters(), lr=0.1)}

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        self.runs += 1
        x, _ = next(batches)
        yield "line", {"error": (self.net(x) - x.sum(1, keepdim=True)).square().mean()}


class Told(Line):
    """It has objectives of its own, of which `repeats` says nothing."""

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        yield from super().objectives(batches)


class Diverging(Line):
    """A loss that becomes infinite at the seventh iteration."""

    repeats = always

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("grown", torch.ones(()))

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        for name, terms in super().objectives(batches):
            self.grown *= 1e6
            yield name, {**terms, "grown": self.grown.clone()}


def line(method: Line, iterations: int = 8, **more: Any) -> Line:
    torch.manual_seed(0)
    nn.init.ones_(method.net.weight)
    nn.init.zeros_(method.net.bias)
    points = torch.randn(40, 2)
    fit(method, Batches(points, size=5), iterations, **more)
    return method


def test_python_runs_until_an_iteration_is_captured(count: Counted) -> None:
    method = line(Line())
    assert (method.runs, count.captured) == (3, 1)


def test_what_a_class_says_is_of_its_own_objectives(count: Counted) -> None:
    method = line(Told())
    assert (method.runs, count.captured) == (8, 0)


@pytest.mark.parametrize("kind", [SGD, FUSED])
def test_an_optimiser_that_reads_its_rate_in_python(
    kind: Callable[..., Optimizer], count: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rate would stay what it was when the iteration was captured."""
    replayed = line(Line(kind), rate=lambda i: 1 / (1 + i))
    assert (count.captured == 0) == (kind is SGD)
    monkeypatch.setattr(graphs, "captured", lambda device: None)
    plain = line(Line(kind), rate=lambda i: 1 / (1 + i))
    torch.testing.assert_close(replayed.net.weight, plain.net.weight)


def test_a_loss_that_is_not_finite_is_found_at_the_log(count: Counted) -> None:
    with pytest.raises(InputError, match=r"'line.grown' became inf at iteration 7"):
        line(Diverging(), iterations=20, log_every=10)
    assert count.captured == 1


def test_each_kind_of_iteration_is_captured(count: Counted) -> None:
    class InTurns(Line):
        def repeats(self, batches: Batches) -> Hashable:
            return batches.step % 2

        def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
            self.runs += 1
            x, _ = next(batches)
            if batches.step % 2:
                x = x + batches.normal(2)
            yield "line", {"error": (self.net(x) - x.sum(1, keepdim=True)).square().mean()}

    method = line(InTurns(), iterations=12)
    assert (method.runs, count.captured) == (6, 2)


def test_an_epoch_begins_with_the_same_iteration(
    count: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for iterations whose batches were drawn before they began."""

    class Twofold(Line):
        def repeats(self, batches: Batches) -> Hashable:
            return batches.begins

        def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
            first = batches.begins  # before the batch is taken
            x, _ = next(batches)
            factor = 3.0 if first else 1.0
            yield "line", {"error": factor * (self.net(x) - x.sum(1, keepdim=True)).square().mean()}

    taped = line(Twofold(), iterations=30)
    assert count.captured == 2
    monkeypatch.setattr(graphs, "captured", lambda device: None)
    torch.testing.assert_close(taped.net.weight, line(Twofold(), iterations=30).net.weight)


def test_an_iteration_that_draws_less_than_said_is_refused(count: Counted) -> None:
    class Fewer(Line):
        repeats = always

        def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
            yield from Line.objectives(self, batches)
            if not batches.step:
                batches.normal(1)

    with pytest.raises(RuntimeError, match="draws 1 times, fewer than the 2"):
        line(Fewer())


@pytest.mark.parametrize(
    ("what", "method"),
    {
        "a number that is read": lambda x: x * float(x.detach().sum()),
        "a choice by a mask": lambda x: x[x > 0],
        "a tensor of Python's numbers": lambda x: x * torch.tensor([1.0, 2.0]),
    }.items(),
)
def test_the_stand_in_refuses_what_a_graph_can_not_hold(
    what: str, method: Callable[[Tensor], Tensor], count: Counted
) -> None:
    class Reading(Line):
        repeats = always

        def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
            x, _ = next(batches)
            yield "line", {"error": method(self.net(x) + x).square().mean()}

    with pytest.raises(NotCaptured):
        line(Reading())
