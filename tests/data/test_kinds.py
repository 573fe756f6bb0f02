"""Own images of many kinds, sizes, modes and depths: trained on, sampled, reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zspace.api
from tests.conftest import Cli
from zspace.storage.run import Run

COUNT = 150


def blobs(height: int, width: int, channels: int = 1) -> np.ndarray[Any, Any]:
    """Soft blobs at random places, floats in [0, 1] of shape (COUNT, H, W) or (COUNT, H, W, C)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    centres = rng.uniform(0.25, 0.75, (COUNT, channels, 2)) * (height, width)
    far = ((y - centres[..., :1, None]) / height) ** 2 + ((x - centres[..., 1:, None]) / width) ** 2
    images = np.exp(-12 * far)
    return images[:, 0] if channels == 1 else images.transpose(0, 2, 3, 1)


def files(suffix: str, make: Callable[[Any], Image.Image], *shape: int) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "x").mkdir()
        for i, image in enumerate(blobs(*shape)):
            make(image).save(folder / "x" / f"{i:03}{suffix}")
        return folder / "x"

    return write


def eight(image: Any) -> Image.Image:
    return Image.fromarray((255 * image).astype(np.uint8))


def deep(image: Any) -> Image.Image:
    return Image.fromarray((4095 * image).astype(np.uint16))


def array(x: Callable[[], Any]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.save(folder / "x.npy", x())
        return folder / "x.npy"

    return write


def table(folder: Path) -> Path:
    path = files(".png", eight, 12, 20)(folder)
    rows = "".join(f"{i:03}.png,{'ab'[i % 2]}\n" for i in range(COUNT))
    (folder / "labels.csv").write_text(f"file,label\n{rows}")
    return path


KINDS: dict[str, tuple[Callable[[Path], Path], tuple[int, ...], list[str]]] = {
    "grey PNG of 17x17": (files(".png", eight, 17, 17), (1, 17, 17), []),
    "colour JPEG of 30x45": (files(".jpg", eight, 45, 30, 3), (3, 45, 30), []),
    "colour PNG with alpha": (
        files(".png", lambda x: eight(x).convert("RGBA"), 28, 28, 3),
        (3, 28, 28),
        [],
    ),
    "palette GIF": (files(".gif", lambda x: eight(x).convert("P"), 16, 16, 3), (3, 16, 16), []),
    "black and white PBM": (files(".pbm", lambda x: eight(x).convert("1"), 20, 9), (1, 20, 9), []),
    "CMYK TIFF": (files(".tif", lambda x: eight(x).convert("CMYK"), 24, 24, 3), (3, 24, 24), []),
    "12-bit PNG": (files(".png", deep, 32, 24), (1, 32, 24), ["--value-range", "0,4095"]),
    "floating-point TIFF": (
        files(".tif", lambda x: Image.fromarray(x.astype(np.float32)), 18, 18),
        (1, 18, 18),
        [],
    ),
    "WebP of 48x48": (files(".webp", eight, 48, 48, 3), (3, 48, 48), []),
    "floats in [-1, 1]": (
        array(lambda: (2 * blobs(20, 20, 3) - 1).astype(np.float32)),
        (3, 20, 20),
        ["--value-range", "-1,1"],
    ),
    "vectors with a shape": (
        array(lambda: (255 * blobs(8, 11)).astype(np.uint8).reshape(COUNT, -1)),
        (1, 8, 11),
        ["--shape", "8,11"],
    ),
    "a table of labels": (table, (1, 12, 20), ["--labels", "{folder}/labels.csv"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_images_of_every_kind_are_trained_sampled_and_reported(
    kind: str, cli: Cli, tmp_path: Path
) -> None:
    make, shape, options = KINDS[kind]
    data, run = make(tmp_path), tmp_path / "run"
    given = [option.format(folder=tmp_path) for option in options]
    small = ["--iterations=2", "--batch-size=16", "--width=4", "--hidden=32", "--latent-dim=4"]
    status, _, err = cli("train", "vae", "--data", data, *given, *small, "--out", run)
    assert status == 0, err
    status, _, err = cli("sample", run, "--n=5", "--out", tmp_path / "s.npz")
    assert status == 0, err
    size = shape[1:] if shape[0] == 1 else (*shape[1:], 3)
    assert np.load(tmp_path / "s.npz")["images"].shape == (5, *size)
    status, _, err = cli("report", run, "--features=pixels", "--map=pca")
    assert status == 0, err
    page = (run / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 4
    x = zspace.api.run_images(Run(run)).train.x
    assert tuple(x.shape[1:]) == shape
    _, height, width = shape
    expected = blobs(height, width, 3 if shape[0] == 3 else 1).mean()
    dithered = kind == "black and white PBM"
    assert float(x.double().mean()) / 255 == pytest.approx(expected, abs=0.05 if dithered else 0.02)
