"""The precision of training: bf16 where it is faster, and what is written down about it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

import zspace
from tests.conftest import SMALL, Cli, Told, small_run
from tests.test_training import launch
from zspace.core import LatentModel
from zspace.generation.fit import fit_sampler
from zspace.papers.base import Experiment, Scale, reproduce
from zspace.papers.entries import Entry
from zspace.papers.lab import Lab
from zspace.storage.run import Run
from zspace.training import devices, make_fabric, settled, slowdown_of_bf16

FAST, SLOW = 0.5, 49.3
REPLACED = "bf16 takes 49.3 times as long as float32 on this CPU: training in float32 instead"
KEPT = (
    "bf16 takes 49.3 times as long as float32 on this CPU, but training was begun in bf16 and goes "
    "on in it"
)


def emulate(monkeypatch: pytest.MonkeyPatch, slowdown: float) -> None:
    """Let this machine seem to have bf16 that takes so many times as long as float32."""
    monkeypatch.setattr(devices, "slowdown_of_bf16", lambda device: slowdown)


def trained(precision: str, **more: Any) -> LatentModel:
    options: dict[str, Any] = {**SMALL, "checkpoint_every": 2, "keep": 0, **more}
    options |= {"iterations": 6, "precision": precision}
    return zspace.train("vae", "digits", device="cpu", **options)


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    others = other.state_dict()
    return all(torch.equal(value, others[name]) for name, value in one.state_dict().items())


def test_bf16_gives_way_where_it_is_slower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = trained("bf16", out=tmp_path / "half")
    emulate(monkeypatch, SLOW)
    told = Told()
    replaced = trained("bf16", out=tmp_path / "replaced", progress=told)
    assert told.said == [*[s for s in told.said if s != REPLACED], REPLACED]
    assert Run(tmp_path / "half").config["precision"] == "bf16"
    assert Run(tmp_path / "replaced").config["precision"] == "32"
    single = trained("32")
    assert same(replaced, single)
    assert not same(half, single)
    emulate(monkeypatch, 1.1)
    assert same(trained("bf16"), half), "a difference that may be chance decides nothing"


@pytest.mark.parametrize("begun, resumed", [(FAST, SLOW), (SLOW, FAST)])
def test_a_run_keeps_the_precision_that_it_was_begun_in(
    begun: float, resumed: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulate(monkeypatch, begun)
    whole = trained("bf16", out=tmp_path / "run")
    held = (tmp_path / "run" / "config.yaml").read_bytes()
    (tmp_path / "run" / "model.safetensors").unlink()
    for path in sorted((tmp_path / "run" / "checkpoints").iterdir())[1:]:
        path.unlink()
    emulate(monkeypatch, resumed)
    told = Told()
    assert same(zspace.resume(tmp_path / "run", progress=told), whole)
    assert (tmp_path / "run" / "config.yaml").read_bytes() == held
    assert (KEPT in told.said) == (begun == FAST)
    assert REPLACED not in told.said


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("precision") / "run")


def fitted(run: Path, precision: str, iterations: int) -> tuple[torch.nn.Module, list[str], str]:
    """A sampler after so many iterations, what was said, and the precision in its folder."""
    told, options = Told(), {"iterations": iterations, "batch_size": 32}
    sampler = fit_sampler(run, "two-stage", options, precision=precision, progress=told)  # type: ignore[arg-type]
    return sampler, told.said, Run(run / "samplers" / "two-stage").config["precision"]


def test_a_fit_keeps_the_precision_that_it_was_begun_in(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, _, precision = fitted(run, "bf16", 6)
    assert precision == "bf16"
    shutil.rmtree(run / "samplers")
    fitted(run, "bf16", 3)
    emulate(monkeypatch, SLOW)
    further, said, precision = fitted(run, "bf16", 6)
    assert KEPT in said
    assert precision == "bf16"
    assert same(further, half)

    # who asks for float32 gets it, from the beginning
    single, said, precision = fitted(run, "32", 6)
    assert any("begins anew" in message for message in said)
    assert precision == "32"
    assert not same(single, half)

    shutil.rmtree(run / "samplers")
    _, said, precision = fitted(run, "bf16", 3)
    assert REPLACED in said
    assert precision == "32"
    emulate(monkeypatch, FAST)
    further, said, precision = fitted(run, "bf16", 6)
    assert any("was begun in float32 and goes on in it" in message for message in said)
    assert not any("begins anew" in message for message in said)
    assert precision == "32"
    assert same(further, single)


def test_the_command_says_so(
    run: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulate(monkeypatch, SLOW)
    options = ["--precision", "bf16", "--device", "cpu", "--iterations", "2", "--batch-size", "16"]
    status, _, err = cli("train", "ae", "--out", tmp_path / "run", *options)
    assert status == 0, err
    assert REPLACED in err
    shutil.rmtree(run / "samplers", ignore_errors=True)
    status, _, err = cli("fit-sampler", run, "--sampler", "flow", *options)
    assert status == 0, err
    assert REPLACED in err


def test_a_table_says_what_was_trained_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finished run is found by the options that were asked for, on every machine."""

    def run(lab: Lab) -> list[Entry]:
        lab.trained("ae", "digits", iterations=2, precision="bf16", **SMALL)
        lab.trained("ae", "digits", iterations=2, precision="32", **SMALL)
        lab.precision("bf16", "a classifier")
        lab.precision("32", "another classifier")
        return []

    experiment = Experiment("all/toy", "A toy.", {"smoke": Scale({}, "", "")}, run)
    for slowdown in (SLOW, FAST):  # the second finds the first one's runs
        emulate(monkeypatch, slowdown)
        reproduce(experiment, "smoke", tmp_path / "out", device="cpu", quiet=True)
        table = json.loads((tmp_path / "out" / "table.json").read_text())
        replaced = [table["runs"][0], *(["a classifier"] if slowdown == SLOW else [])]
        assert table["in_float32"] == replaced
        told = f"Trained in float32, where bf16 was asked for and slower: {', '.join(replaced)}."
        assert told in (tmp_path / "out" / "table.md").read_text()
        assert len(list((tmp_path / "out" / "runs").iterdir())) == len(table["runs"]) == 2


def test_the_measurement_is_made_once_and_draws_nothing() -> None:
    before = torch.get_rng_state()
    first = slowdown_of_bf16("cpu")
    assert first > 0
    assert slowdown_of_bf16("cpu") == first
    assert torch.equal(torch.get_rng_state(), before)


SCRIPT = """
import os
from zspace import training

def measured(device):
    assert os.environ["RANK"] == "0", "only the first process measures"
    return 49.3

training.devices.slowdown_of_bf16 = measured
fabric = training.make_fabric("cpu", threads=1)
assert training.settled("bf16", fabric, print) == "32"
training.leave(fabric)
"""


def test_threads_are_those_of_numpy_too() -> None:
    with threadpool_limits(2):
        make_fabric("cpu", threads=1)
        assert {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"} == {1}


@pytest.mark.slow
def test_processes_decide_alike(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    launch(2, str(tmp_path / "script.py"))


@pytest.mark.parametrize(
    ("slowdown", "taken", "said"),
    [
        (0.5, "bf16", ["training in bf16, which takes 0.5 of the time on this CPU"]),
        (0.9, "32", []),
        (49.3, "32", []),
    ],
)
def test_auto_takes_bf16_where_it_is_faster(
    slowdown: float, taken: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    emulate(monkeypatch, slowdown)
    told: list[str] = []
    assert settled("auto", make_fabric("cpu"), told.append) == taken
    assert told == said


def test_auto_goes_on_in_the_precision_that_a_fit_was_begun_in(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulate(monkeypatch, 0.5)
    _, _, precision = fitted(run, "bf16", 3)
    assert precision == "bf16"
    emulate(monkeypatch, 49.3)
    _, said, precision = fitted(run, "auto", 6)
    assert precision == "bf16"
    assert any("goes on in it" in line for line in said)


def test_auto_is_written_down_as_what_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulate(monkeypatch, 0.5)
    trained("auto", out=tmp_path / "run")
    assert Run(tmp_path / "run").config["precision"] == "bf16"
