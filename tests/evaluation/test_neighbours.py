"""Neighbours of generated images are the nearest."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.conftest import Cli
from zspace.evaluation.measurement import Measurement
from zspace.evaluation.neighbours import neighbours

pytestmark = pytest.mark.filterwarnings("ignore::zspace.metrics.BiasWarning")


QUICK = ["--device=cpu", "--quiet"]


@pytest.fixture
def run(runs: dict[str, Path], tmp_path: Path) -> Path:
    """A run of its own, to write into."""
    shutil.copytree(runs["vae"], tmp_path / "vae")
    return tmp_path / "vae"


def test_neighbours_are_the_nearest(
    measurement: Measurement, run: Path, cli: Cli, tmp_path: Path
) -> None:
    near = neighbours(measurement, "prior", n=4, k=3)
    train = measurement.images.train.x.float() / 255
    for i in range(4):
        distances = (near.images[i].float() / 255 - train).flatten(1).norm(dim=1)
        expected = distances.argsort()[:3]
        torch.testing.assert_close(distances[near.by_pixels[i]], distances[expected])
        torch.testing.assert_close(
            near.pixel_distances[i], distances[expected], rtol=1e-4, atol=1e-4
        )
    sheet, columns = near.rows(measurement.images.train.x)
    assert columns == 8
    assert len(sheet) == 32
    assert torch.equal(sheet[0], sheet[4])
    out = tmp_path / "n.png"
    status, shown, err = cli("neighbours", run, "--count=3", "--k=2", "--out", out, *QUICK)
    assert status == 0, err
    assert shown.count("(pixels)") == 1
    with Image.open(out) as image:
        wide = image.width
    # neighbours by pixels are shown once; --count is the name of --n in earlier versions
    once = ["--n=3", "--k=2", "--features=pixels", "--out", out]
    status, shown, err = cli("neighbours", run, *once, *QUICK)
    assert status == 0, err
    assert shown.count("(pixels)") == 1
    assert "), " not in shown
    with Image.open(out) as image:
        assert round(wide / image.width) == 2
    assert "--count" not in cli("neighbours", "--help")[1]
