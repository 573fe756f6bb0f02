"""The search for theta: what it finds, keeps and shares."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import zspace
from tests.conftest import Told, sampler_of
from zspace import api
from zspace.data import load as load_data
from zspace.errors import InputError
from zspace.functional import as_float
from zspace.generation.tuning import objective as objectives
from zspace.generation.tuning import search
from zspace.generation.tuning.objective import Objective
from zspace.generation.tuning.search import Tuned, tune
from zspace.storage.lock import locked
from zspace.storage.run import Run


@pytest.fixture
def run(told_apart: Path, tmp_path: Path) -> Path:
    shutil.copytree(told_apart, tmp_path / "run")
    return tmp_path / "run"


def test_figures_of_a_search_are_of_its_sampler(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn anew through the stored sampler: the same cosines and accuracies within errors."""
    monkeypatch.setattr(search, "FRESH", 400)
    found = tune(run, "medium2", trials=60, samples=50, device="cpu")
    model = zspace.load(run)
    train = api.run_images(Run(run)).train
    assert train.y is not None
    with torch.no_grad():
        seen = found.judge.net(model.reconstruct(as_float(train.x))).argmax(1)
    # the classifier saw reconstructions of 256 levels
    assert found.learned.value == pytest.approx(float((seen == train.y).float().mean()), abs=0.01)
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


def test_a_search_in_the_run_is_one_process_s(run: Path) -> None:
    (run / "tuning").mkdir()
    with (
        locked(run / "tuning"),
        pytest.raises(InputError, match=r"tuning is in use by .*: wait for it or stop it"),
    ):
        tune(run, "medium2", trials=2, samples=20, device="cpu")
    assert not (run / "samplers").exists()


@pytest.mark.slow
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
        patch.setattr(api, "run_images", lambda run, **_: images)
        with pytest.raises(InputError, match="class 3 has no training image"):
            tune(run, "simple", device="cpu")
