"""Iterations that are captured and replayed give what iterations that run as written give."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import zspace
from tests.capture import on_cpu
from tests.conftest import small
from tests.samplers.shared import made, two_clouds
from zspace.recipes import RECIPES
from zspace.recipes.catalogue import SAMPLERS
from zspace.samplers import Learned
from zspace.training import graphs

EAGER = {"gen", "flow-matching ot"}
"""What runs as written always."""


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
