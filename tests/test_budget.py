"""A time in place of a number of iterations."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import torch
import yaml

import zspace
from tests.conftest import SMALL, Cli, small
from zspace import execution
from zspace.api import run_options
from zspace.data import load
from zspace.errors import InputError
from zspace.execution import affordable, seconds_of
from zspace.options import checked


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400), ("1m0.5s", 60.5)],
)
def test_times(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "3 m", "1m1h", "-3s", "0s", "1e3s", "99999999h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--budget must be a time such as 90s, 30m or 1h30m"):
        seconds_of(text)


def settings(recipe: str, **options: object) -> dict[str, object]:
    given = {**small(recipe), "device": "cpu", **options}
    return {"recipe": recipe, "data": "digits", **checked(run_options(recipe), given)}


class Ticks:
    """A clock by which an iteration of the first stage takes 0.2 s, and of the second 0.05 s."""

    def __init__(self) -> None:
        self.lengths = iter([0.2, 0.05])

    def __call__(self, done: int, total: int | None = None, figures: object = None) -> None:
        raise StopIteration

    def cost(self) -> float:
        return next(self.lengths)


@pytest.mark.parametrize(
    ("more", "iterations"),
    [
        # a third of all in the first stage: 0.1 s each on average
        ({}, 1000),
        # 100 iterations of 0.2 s, then 80 s at 0.05 s
        ({"first_iterations": 100}, 1700),
    ],
)
def test_iterations_fill_the_time_of_all_stages(
    more: dict[str, int], iterations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Ticks()
    monkeypatch.setattr(execution, "_Clock", lambda _: clock)
    found = affordable(settings("two-stage-vae", **more), load("digits"), 100)
    assert found == pytest.approx(iterations, abs=2)


def test_the_time_of_an_iteration_is_that_of_all_stages_in_proportion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """300 iterations of 0.2 s and 700 of 0.05 s."""
    clock = Ticks()
    monkeypatch.setattr(execution, "_Clock", lambda _: clock)
    asked = settings("two-stage-vae", iterations=1000, first_iterations=300)
    found = execution.seconds_per_iteration(asked, load("digits"))
    assert found == pytest.approx((300 * 0.2 + 700 * 0.05) / 1000)


def test_too_little_time_is_refused_with_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Ticks()
    monkeypatch.setattr(execution, "_Clock", lambda _: clock)
    with pytest.raises(InputError, match=r"2\.9 s are too short .* expected are 4 s or more"):
        affordable(settings("two-stage-vae"), load("digits"), 2.9)


def test_a_long_first_stage_is_paid_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """300,000 iterations of 0.2 s, more than the plan that is measured has by itself."""
    clocks = [Ticks(), Ticks()]
    monkeypatch.setattr(execution, "_Clock", lambda _: clocks[-1])
    asked = settings("two-stage-vae", first_iterations=300_000)
    found = affordable(asked, load("digits"), 60_000 + 1000 * 0.05)
    assert found == pytest.approx(301_000, abs=20)
    clocks.pop()
    with pytest.raises(InputError, match=r"too short .* expected are 60001 s or more"):
        affordable(asked, load("digits"), 100)


def test_a_run_keeps_the_number_of_iterations(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def affordable(config: object, images: object, seconds: float, **_: object) -> int:
        asked.append(seconds)
        return 3

    monkeypatch.setattr(zspace.api, "affordable", affordable)
    options = [f"--{k.replace('_', '-')}={v}" for k, v in SMALL.items()]
    status, _, err = cli("train", "ae", "--budget=2m", *options, f"--out={tmp_path / 'r'}")
    assert status == 0, err
    assert asked == [120]
    assert yaml.safe_load((tmp_path / "r" / "config.yaml").read_text())["iterations"] == 3


def test_the_measurement_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same weights as those of a run that was asked for the same number of iterations."""
    monkeypatch.setattr(execution, "MEASURED", 0.05)
    monkeypatch.setattr(execution._Clock, "cost", lambda self: 0.02)  # whatever it took here
    options = {**SMALL, "device": "cpu", "seed": 5}
    first = zspace.train("ae", "digits", budget="0.5s", out=tmp_path / "r", **options)
    n = yaml.safe_load((tmp_path / "r" / "config.yaml").read_text())["iterations"]
    assert n == 25
    again = zspace.train("ae", "digits", iterations=n, **options)
    for (name, a), b in zip(first.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_budget_and_a_number_are_refused_together(tmp_path: Path, cli: Cli) -> None:
    status, _, err = cli("train", "ae", "--budget=2m", "--iterations=5", f"--out={tmp_path / 'r'}")
    assert (status, err) == (2, "zspace: give --budget or --iterations, not both\n")
    status, _, err = cli("train", "ae", "--budget=soon", f"--out={tmp_path / 'r'}")
    assert status == 2
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "r").exists()


def test_what_comes_every_few_iterations_counts() -> None:
    """A median would leave it out."""
    times = iter([0.0, 5.0, *(5 + k * 0.1 + 0.9 * (k // 10) for k in range(1, 21))])
    clock = execution._Clock(lambda: next(times))
    for done in range(22):
        with suppress(StopIteration):
            clock(done)
    assert clock.cost() == pytest.approx(0.19)
