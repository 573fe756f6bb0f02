"""Protocols of comparisons: what is tried, by which data, and what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli
from zspace import api, execution
from zspace.errors import BusyError, InputError, MissingFiles, ModelError
from zspace.papers import lab as lab_module
from zspace.papers import protocol
from zspace.papers.lab import Lab
from zspace.papers.protocol import System, Tried, best, grid, lasting, settled

TINY = {"iterations": 4, "arch": "fc", "hidden": 8, "latent_dim": 2, "batch_size": 8}
AE = System("ae", "normal", grid=grid(learning_rate=(1e-3, 1e-2)))


def lab_of(tmp_path: Path, name: str) -> Lab:
    settings = {"features": "pixels", "seconds": 0.05}
    return Lab(tmp_path, settings, "digits", device="cpu", quiet=True, protocol=name)


def test_a_grid_is_every_combination() -> None:
    assert grid(a=(1, 2), b=("x", "y")) == (
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    )


def test_the_best_point_has_the_least_sum_and_was_measured() -> None:
    tried: list[Tried] = [
        {"point": {"rate": 1}, "reconstructed": 1.0, "generated": 9.0},
        {"point": {"rate": 2}, "reconstructed": 4.0, "generated": 4.0},
        {"point": {"rate": 3}, "failed": "a loss became NaN"},
    ]
    assert best("it", tried) == {"rate": 2}
    with pytest.raises(InputError, match=r"it could be measured with none .* a loss became NaN"):
        best("it", tried[2:])


def test_stages_are_lengthened_in_proportion() -> None:
    config = {"iterations": 1000, "first_iterations": 400, "vae_iterations": None}
    assert lasting(config, 250) == {"iterations": 250, "first_iterations": 100}


def test_settings_are_chosen_on_the_validation_part_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[str] = []
    measure_run = lab_module.measure_run

    def recorded(run: Path, **options: Any) -> Any:
        held = measure_run(run, **options)
        parts.append(held.part)
        assert held.reference.content != ""
        assert held.test.equal(held.images.validation.x[sorted_rows(held)])
        return held

    def sorted_rows(held: Any) -> Any:
        # the reference is the validation part in a fixed order
        from zspace.data.images import choose_rows

        return choose_rows(len(held.images.validation), len(held.test), held.seed)

    monkeypatch.setattr(lab_module, "measure_run", recorded)
    lab = lab_of(tmp_path, "tuned")
    options = settled(lab, "AE", AE, TINY)
    assert parts == ["validation", "validation"]
    kept = json.loads((tmp_path / "protocol.json").read_text())["AE"]
    sums = [t["reconstructed"] + t["generated"] for t in kept["tried"]]
    assert kept["chosen"] == kept["tried"][sums.index(min(sums))]["point"]
    assert options == {**TINY, **kept["chosen"]}
    # once chosen, nothing is tried again
    assert settled(lab_of(tmp_path, "tuned"), "AE", AE, TINY) == options
    assert len(parts) == 2


def test_defaults_choose_nothing(tmp_path: Path) -> None:
    assert settled(lab_of(tmp_path, "defaults"), "AE", AE, TINY) == TINY
    assert not (tmp_path / "protocol.json").exists()


def test_a_point_that_fails_is_kept_with_its_reason(tmp_path: Path) -> None:
    lab = lab_of(tmp_path, "tuned")
    system = System("ae", "normal", grid=grid(learning_rate=(1e-3, 1e30)))
    assert settled(lab, "AE", system, TINY)["learning_rate"] == 1e-3
    tried = json.loads((tmp_path / "protocol.json").read_text())["AE"]["tried"]
    assert "the run stopped there" in tried[1]["failed"]
    with pytest.raises(InputError, match="--learning-rate must be"):  # nobody's training
        settled(lab, "other", replace(system, grid=grid(learning_rate=(1e-3, -1.0))), TINY)


def test_a_point_that_another_process_trains_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a setting would be passed over that may be the best."""
    alone = settled(lab_of(tmp_path / "alone", "tuned"), "AE", AE, TINY)
    waited: list[float] = []
    train = api.train

    @wraps(train)
    def slow(*args: Any, **options: Any) -> Any:
        if not waited:
            raise BusyError("it is in use by process 1")
        return train(*args, **options)

    monkeypatch.setattr(api, "train", slow)
    monkeypatch.setattr(lab_module.time, "sleep", waited.append)
    assert settled(lab_of(tmp_path / "two", "tuned"), "AE", AE, TINY) == alone
    assert waited == [lab_module.WAIT]
    tried = json.loads((tmp_path / "two" / "protocol.json").read_text())["AE"]["tried"]
    assert not any("failed" in point for point in tried)


def test_what_can_not_be_drawn_from_is_chosen_by_what_it_rebuilds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(held: Any, **options: Any) -> Any:
        if options["samplers"]:
            raise ModelError("too few pass")
        return measure(held, **options)

    measure = protocol.measure
    monkeypatch.setattr(protocol, "measure", drawn)
    chosen = settled(lab_of(tmp_path, "tuned"), "AE", AE, TINY)
    tried = json.loads((tmp_path / "protocol.json").read_text())["AE"]["tried"]
    assert all(point["failed"] == "too few pass" for point in tried)
    nearest = min(tried, key=lambda point: point["reconstructed"])
    assert chosen["learning_rate"] == nearest["point"]["learning_rate"]


def test_bad_input_is_no_setting_that_failed(tmp_path: Path) -> None:
    """Files that are missing say nothing of a setting, which another call would measure."""

    def gone(_: object) -> None:
        raise MissingFiles("they are not there")

    with pytest.raises(MissingFiles, match="they are not there"):
        settled(lab_of(tmp_path, "tuned"), "AE", AE, TINY, gone)
    assert not (tmp_path / "protocol.json").exists()


def test_equal_time_gives_the_iterations_that_fit_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "seconds_per_iteration", lambda *_: 0.005)
    options = settled(lab_of(tmp_path, "equal-time"), "AE", AE, TINY)
    assert options["iterations"] == 10
    path = tmp_path / "protocol.json"
    kept = json.loads(path.read_text())
    assert kept["AE"]["seconds per iteration"] == 0.005
    path.write_text(json.dumps({"AE": {**kept["AE"], "device": "cuda"}}))
    with pytest.raises(InputError, match="has times of cuda, and this call computes on cpu"):
        settled(lab_of(tmp_path, "equal-time"), "AE", AE, TINY)


def test_a_short_training_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "MEASURED", 0.05)
    lab = lab_of(tmp_path, "equal-time")
    told: list[int] = []
    fit = execution.fit

    def counted(*args: Any, **options: Any) -> None:
        try:
            fit(*args, **options)
        finally:
            told.append(len(options["progress"].times))

    monkeypatch.setattr(execution, "fit", counted)
    # its value is the machine's; that it is trained and timed is what counts here
    assert 0 < protocol.seconds_per_iteration(lab, AE, TINY, TINY) < 60
    assert len(told) == 1
    assert told[0] > 4


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("all/systems", "--scale=small", "--protocol=tunned"), "did you mean 'tuned'"),
        (("gen/table1", "--scale=smoke", "--protocol=tuned"), "no protocols to choose from"),
        (("flexae/table1", "--scale=paper", "--protocol=tuned"), "defaults"),
    ],
)
def test_a_protocol_that_there_is_not(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    status, _, err = cli("reproduce", *arguments, "--out", tmp_path / "o")
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "o").exists()
