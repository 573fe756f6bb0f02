"""One measurement of a small run, for all tests of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from zspace.evaluation.measurement import Measurement, measure_run


@pytest.fixture(scope="session")
def measurement(runs: dict[str, Path]) -> Measurement:
    return measure_run(runs["vae"], device="cpu")
