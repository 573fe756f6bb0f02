"""What is measured on the data alone is computed once, and again when anything has changed."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from zspace.evaluation import data
from zspace.evaluation.data import closeness, data_closeness, data_figures
from zspace.evaluation.measurement import Measurement, Subject
from zspace.evaluation.metrics import METRICS
from zspace.metrics import BiasWarning, Figure


class Counted:
    """A metric that counts how often it is computed."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, measurement: Measurement, subject: Subject) -> dict[str, Figure]:
        self.times += 1
        return {"": Figure(0.1 + self.times, 0.2)}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Counted:
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path))
    measure = Counted()
    monkeypatch.setitem(METRICS, "fid", replace(METRICS["fid"], measure=measure))
    return measure


def test_a_figure_of_the_data_is_computed_once(measurement: Measurement, counted: Counted) -> None:
    first = data_figures(measurement, measurement.others, "fid")
    assert data_figures(replace(measurement), measurement.others, "fid") == first
    assert first == {"": Figure(1.1, 0.2)}
    assert counted.times == 1


@pytest.mark.parametrize("changed", ["seed", "reference", "training", "labels", "subject", "code"])
def test_it_is_computed_again_when_something_has_changed(
    measurement: Measurement, counted: Counted, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_figures(measurement, measurement.others, "fid")
    other, subject = measurement, measurement.others
    if changed == "seed":
        other = replace(measurement, seed=1)
    elif changed == "reference":
        other = replace(measurement, test=measurement.test.flip(0))
    elif changed == "training":
        other = replace(measurement, training=measurement.training[1:])
    elif changed == "labels":
        other = replace(measurement, labels=None)
    elif changed == "subject":
        subject = replace(subject, x=subject.x[1:])
    else:
        monkeypatch.setattr(data, "_code", lambda: "other")
    assert data_figures(other, subject, "fid") == {"": Figure(2.1, 0.2)}


def test_a_damaged_entry_is_made_again(
    measurement: Measurement, counted: Counted, tmp_path: Path
) -> None:
    data_figures(measurement, measurement.others, "fid")
    (entry,) = (tmp_path / "figures").iterdir()
    entry.write_bytes(entry.read_bytes()[:40])
    assert data_figures(measurement, measurement.others, "fid") == {"": Figure(2.1, 0.2)}


def test_a_cache_that_cant_be_written_is_done_without(
    measurement: Measurement, counted: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path / "file"))
    for value in (1.1, 2.1):
        found = data_figures(measurement, measurement.others, "fid")
        assert found == {"": Figure(value, 0.2)}


def test_figures_keep_their_order(
    measurement: Measurement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path))
    orders = [list(data_figures(measurement, measurement.others, "prd")) for _ in range(2)]
    assert orders == [["f8", "f1/8"]] * 2


def test_a_warning_is_given_every_time(
    measurement: Measurement, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path))

    def biased(measurement: Measurement, subject: Subject) -> dict[str, Figure]:
        warnings.warn("few samples", BiasWarning, stacklevel=1)
        return {"": Figure(1.0, 0.0)}

    monkeypatch.setitem(METRICS, "fid", replace(METRICS["fid"], measure=biased))
    for _ in range(2):
        with pytest.warns(BiasWarning, match="few samples"):
            data_figures(measurement, measurement.others, "fid")


def test_the_test_images_closeness_is_that_of_the_function(
    measurement: Measurement, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path))
    expected = closeness(measurement.test, measurement.images.train.x)
    for _ in range(2):
        for found, wanted in zip(data_closeness(measurement), expected, strict=True):
            assert torch.equal(found, wanted)
