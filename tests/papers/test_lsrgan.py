"""LSR-GAN's tables and figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.papers.smoke import reproduced
from zspace import papers
from zspace.evaluation.measurement import measure_run
from zspace.functional import as_float
from zspace.methods.lsrgan import LSRGAN
from zspace.papers.base import Lab
from zspace.papers.lsrgan.trained import Trained, measured_row, rendered, variance_of
from zspace.storage.run import Run


def test_measurements_against_plain_numbers(rendered_runs: Path, tmp_path: Path) -> None:
    held = measure_run(rendered_runs / "lsrgan", features="classifier", device="cpu")
    assert isinstance(held.model, LSRGAN)
    of = Trained(Run(rendered_runs / "lsrgan"), held.model, held)
    lab = Lab(tmp_path, {"variance_images": 20})
    measured = {e.measure: e.ours.value for e in measured_row(lab, of, "x", "LSR-GAN")}
    drawn = rendered(of, "LSR-GAN").x.double() / 255 * 2 - 1
    raw = held.test.double() / 255 * 2 - 1
    error = (drawn - raw).square().flatten(1).sum(1).mean()
    assert measured["mean squared error"] == pytest.approx(float(error), rel=1e-5)
    x = as_float(held.test[:20])
    images = (2 * held.model.imagine(x, 10) - 1).numpy()
    variance = images.var(1, ddof=1).sum((1, 2, 3)).mean()
    assert variance_of(of, "LSR-GAN", 20).value == pytest.approx(float(variance), rel=1e-5)
    assert measured["variance"] == pytest.approx(float(variance), rel=1e-5)
    neutral = held.features(held.reference, "logits").argmax(1)
    found = held.features(rendered(of, "LSR-GAN"), "logits").argmax(1)
    assert held.labels is not None
    assert measured["absolute accuracy"] == pytest.approx(
        float((found == held.labels).float().mean())
    )
    assert measured["relative accuracy"] == pytest.approx(float((found == neutral).float().mean()))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


NAMES = [name for name in papers.EXPERIMENTS if name.startswith("lsrgan/")]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_experiments_run(name: str, cli: Cli, shelf: Path, tmp_path: Path) -> None:
    reproduced(cli, name, tmp_path / "o", shelf)
    held = json.loads((tmp_path / "o" / "table.json").read_text())
    # one VAE serves the other lambdas, one LSR-GAN several figures
    several = ("fig1", "fig4", "fig5", "table1", "table2")
    assert len(set(held["runs"])) == (2 if name.split("/")[1] in several else 1)
