"""The loop: what an update does, what a run survives, what several processes do together."""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, Optimizer

import zspace
from tests.conftest import SMALL, Told
from zspace.cli import main
from zspace.core import Batches, Method, Terms
from zspace.errors import InputError
from zspace.recipes import RECIPES, Facts
from zspace.storage.files import read_tensors
from zspace.storage.run import Run
from zspace.training import adam, descend, fit


class TwoPlayers(Method):
    """Two numbers that pull at each other: each loss depends on both."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.0))
        self.b = nn.Parameter(torch.tensor(2.0))

    def optimizers(self) -> dict[str, Optimizer]:
        return {"a": SGD([self.a], lr=0.1), "b": SGD([self.b], lr=0.1)}

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        next(batches)
        yield "a", {"product": self.a * self.b, "square": self.a**2}
        yield "b", {"product": -self.a * self.b}


def vectors(n: int = 8, size: int = 4) -> Batches:
    return Batches(torch.zeros(n, 1), size=size)


def test_updates_follow_one_another_and_do_not_mix() -> None:
    players = TwoPlayers()
    told = Told()
    fit(players, vectors(), 1, progress=told)
    seen = [figures for _, _, _, figures in told.calls]
    a = 1.0 - 0.1 * (2.0 + 2 * 1.0)
    b = 2.0 + 0.1 * a  # the second loss sees the first player's new place
    assert players.a.item() == pytest.approx(a)
    assert players.b.item() == pytest.approx(b)
    assert seen == [{"a.product": 2.0, "a.square": 1.0, "b.product": pytest.approx(-2 * a)}]


def test_rate_multiplies_every_optimisers_own() -> None:
    halved, plain = TwoPlayers(), TwoPlayers()
    fit(halved, vectors(), 1, rate=lambda iteration: 0.5)
    fit(plain, vectors(), 1)
    assert 1 - halved.a.item() == pytest.approx(0.5 * (1 - plain.a.item()))


def test_a_rate_that_changes_is_that_of_each_iteration() -> None:
    stepped, by_hand = TwoPlayers(), TwoPlayers()
    factors = (1.0, 1.0, 0.25, 0.25, 1.0)
    fit(stepped, vectors(), 5, rate=lambda iteration: factors[iteration])
    a, b = by_hand.a.item(), by_hand.b.item()
    for factor in factors:
        a -= 0.1 * factor * (b + 2 * a)
        b += 0.1 * factor * a
    assert (stepped.a.item(), stepped.b.item()) == pytest.approx((a, b))


def test_a_loss_that_leaves_a_parameter_out_is_an_error() -> None:
    used, left_out = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(()))
    with pytest.raises(RuntimeError, match="does not depend on all parameters"):
        descend(SGD([used, left_out], lr=0.1), {"loss": used**2})
    assert used.item() == 1


def test_descend_equals_plain_adam_also_in_channels_last() -> None:
    """The fused update against PyTorch's plain one, gradients by backward, memory in rows."""
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.Flatten())
    plain = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.Flatten())
    plain.load_state_dict(ours.state_dict())
    ours.to(memory_format=torch.channels_last)
    optimizer = adam(ours.parameters(), 1e-3, (0.5, 0.9))
    reference = Adam(plain.parameters(), 1e-3, (0.5, 0.9), fused=False, foreach=False)
    for _ in range(20):
        x = torch.randn(8, 3, 9, 9)
        loss = ours(x.contiguous(memory_format=torch.channels_last)).square().mean()
        descend(optimizer, {"loss": loss})
        reference.zero_grad()
        plain(x).square().mean().backward()
        reference.step()
    for p, q in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)


class Poisoned(Method):
    def __init__(self, at: int, value: float) -> None:
        super().__init__()
        self.weight, self.at, self.value = nn.Parameter(torch.ones(())), at, value

    def optimizers(self) -> dict[str, Optimizer]:
        return {"player": SGD([self.weight], lr=0.1)}

    def objectives(self, batches: Batches) -> Iterator[tuple[str, Terms]]:
        next(batches)
        bad = self.value if batches.step + 1 == self.at else 1.0
        yield "player", {"good": self.weight**2, "ill": self.weight * bad}


def new_run(folder: Path) -> Run:
    with Run.create(folder, {"recipe": "made"}) as run:
        return run


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path, value: float) -> None:
    run = new_run(tmp_path / "run")
    with pytest.raises(
        InputError, match=r"'player\.ill' became (nan|-inf) at iteration 8"
    ) as error:
        fit(Poisoned(8, value), vectors(), 20, run=run, checkpoint_every=5)
    assert "last checkpoint stays" in str(error.value)
    assert list(run.checkpoints()) == [5]
    tensors, _ = read_tensors(run.checkpoints()[5], dict)
    assert torch.isfinite(tensors["model.weight"])


def test_log_has_the_means_since_the_last_line(tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    told = Told()
    fit(TwoPlayers(), vectors(), 6, progress=told, log_every=1)
    fit(TwoPlayers(), vectors(), 6, run=run, log_every=3, checkpoint_every=100)
    each = [figures["a.square"] for _, _, _, figures in told.calls]
    lines = run.losses()
    assert [line["iteration"] for line in lines] == [3, 6]
    assert lines[0]["a.square"] == pytest.approx(np.mean(each[:3]))
    assert lines[1]["a.square"] == pytest.approx(np.mean(each[3:]))


def test_keep_drops_the_oldest_checkpoints(tmp_path: Path) -> None:
    for keep, expected in ((1, [10]), (2, [8, 10]), (0, [2, 4, 6, 8, 10])):
        run = new_run(tmp_path / f"keep{keep}")
        fit(TwoPlayers(), vectors(), 10, run=run, checkpoint_every=2, keep=keep)
        assert list(run.checkpoints()) == expected


QUICK = [f"--{k.replace('_', '-')}={v}" for k, v in SMALL.items()]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **more}


@pytest.mark.slow
def test_a_run_killed_at_random_times_ends_bit_for_bit(tmp_path: Path) -> None:
    """At least ten real processes are killed by SIGKILL; the last one ends by itself."""
    # a server that has imported everything forks them: else most of their time goes into that
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(
        [
            "tests.test_training",
            "zspace.api",
            "lightning_fabric",
            "matplotlib.pyplot",
            "sklearn.datasets",
        ]
    )
    train = [
        "train",
        "flexae-sr",
        "--iterations=40",
        "--checkpoint-every=2",
        "--threads=1",
        "--device=cpu",
        "--quiet",
        *QUICK,
    ]
    imported = processes.Process(target=int)  # what others wait for, once, is not timed
    imported.start()
    imported.join()
    began = time.monotonic()
    whole = processes.Process(target=main, args=([*train, f"--out={tmp_path / 'whole'}"],))
    whole.start()
    whole.join()
    assert whole.exitcode == 0
    whole_time = time.monotonic() - began

    dice, kills, number = random.Random(0), 0, 0
    while kills < 10:
        run = tmp_path / f"killed{number}"
        number += 1
        patience = whole_time
        while True:
            started = ["resume", str(run), "--quiet"] if run.exists() else [*train, f"--out={run}"]
            process = processes.Process(target=main, args=(started,))
            process.start()
            process.join(dice.uniform(0.3, 1.0) * patience)
            if process.exitcode is not None:
                assert process.exitcode == 0
                break
            process.kill()
            process.join()
            kills += 1
            patience *= 1.2  # a machine that has become slower must come to an end, too
            assert kills < 100
        for file in ("model.safetensors", "log.jsonl", "config.yaml", "samples.png"):
            assert (run / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


SCRIPT = """
import sys, torch
from tests.test_training import small_method
from zspace.core import Batches
from zspace.storage.files import write_tensors
from zspace.training import fit, leave, make_fabric

fabric = make_fabric("cpu", threads=1)
method, shape = small_method(sys.argv[2])
x = torch.rand(64, *shape, generator=torch.Generator().manual_seed(0))
batches = Batches(x, size=16, rank=fabric.global_rank, world=fabric.world_size)
fit(method, batches, 25, fabric=fabric)
if fabric.is_global_zero:
    write_tensors(__import__("pathlib").Path(sys.argv[1]), method.state_dict(), {})
leave(fabric)
"""


def small_method(name: str) -> tuple[Method, tuple[int, ...]]:
    """A method without batch norm and the shape of its data: several players, or a codebook."""
    torch.manual_seed(7)
    if name == "flexae":
        plan = RECIPES[name](Facts((6,)), latent_dim=2, hidden=8)  # type: ignore[call-arg]
        return plan.model, (6,)
    quick = {"width": 4, "codebook": 8, "embedding": 4, "prior_width": 4, "prior_blocks": 1}
    plan = RECIPES[name](Facts((1, 8, 8)), **quick)  # type: ignore[call-arg]
    return plan.model, (1, 8, 8)


def launch(processes: int, *arguments: str, **more: str) -> None:
    """torchrun, on a port of its own."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        f"--nproc-per-node={processes}",
        "--rdzv-backend=c10d",
        "--rdzv-endpoint=localhost:0",
        *arguments,
    ]
    done = subprocess.run(command, env=environment(**more), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flexae", "vq-vae"])
def test_two_processes_end_like_one_with_the_joint_batch(name: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    results = []
    for processes in (1, 2):
        out = tmp_path / f"{processes}.safetensors"
        root = str(Path(__file__).parents[1])
        launch(processes, str(tmp_path / "script.py"), str(out), name, PYTHONPATH=root)
        results.append(read_tensors(out, dict)[0])
    one, two = results
    assert one.keys() == two.keys()
    moved = small_method(name)[0].state_dict()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-6)
        if name != "latent_critic.4.bias":  # a Wasserstein critic's last bias has no gradient
            assert not torch.equal(value, moved[name]), f"{name} never moved"


@pytest.mark.slow
def test_two_processes_by_the_command_line_leave_one_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launch(
        2, "-m", "zspace", "train", "ae", "--iterations=6", "--device=cpu", f"--out={run}", *QUICK
    )
    assert zspace.load(run).encode(torch.rand(2, 1, 8, 8)).shape == (2, 3)
    assert [line["iteration"] for line in Run(run).losses()] == [1, 2, 3, 4, 5, 6]
