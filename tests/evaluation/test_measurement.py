"""What is measured, and on which images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import zspace
from tests.conftest import SMALL
from zspace import metrics
from zspace.evaluation.measurement import Measurement, generated, measure_run, posterior_codes

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


def test_what_is_drawn_is_independent_of_the_posterior(measurement: Measurement) -> None:
    """One seed behind both would make codes and prior alike for no reason."""
    made = generated(measurement, "prior")
    assert made.codes is not None
    noise = (measurement.draws - measurement.means)[:, 0]
    assert abs(float(torch.corrcoef(torch.stack([noise, made.codes[:, 0]]))[0, 1])) < 0.2
    assert torch.equal(
        measurement.draws, posterior_codes(measurement.model, measurement.test, measurement.seed)
    )


def test_sorted_data_are_drawn_from_all_over(tmp_path: Path) -> None:
    digits = zspace.data.load("digits")
    order = torch.argsort(digits.train.y, stable=True)  # type: ignore[arg-type]
    np.savez(
        tmp_path / "d.npz",
        x_train=digits.train.x[order].numpy(),
        y_train=digits.train.y[order].numpy(),
    )  # type: ignore[index]
    zspace.train("ae", tmp_path / "d.npz", out=tmp_path / "a", iterations=2, device="cpu", **SMALL)
    made = measure_run(tmp_path / "a", features="pixels", device="cpu")
    shares = [
        metrics.frechet_distance(made.test.flatten(1).float() / 255, x.flatten(1).float() / 255)
        for x in (made.training, made.others.x)
    ]
    assert max(shares) < 3 * min(shares)
