"""`zspace imagine`, and decoders that are asked for by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zspace
from tests.conftest import SMALL, Cli, random_images
from zspace.core import Variational


def test_reconstruct_by_either_decoder(
    rendered_runs: Path, cli: Cli, refused: Callable[..., str], tmp_path: Path
) -> None:
    found: dict[str, Any] = {}
    for name, decoder in (
        ("own", ()),
        ("renderer", ("--decoder=renderer",)),
        ("vae", ("--decoder=vae",)),
    ):
        out = tmp_path / f"{name}.npz"
        status, _, err = cli(
            "reconstruct", rendered_runs / "lsrgan", *decoder, "--n=6", "--out", out
        )
        assert status == 0, err
        found[name] = np.load(out)["images"]
    cli("reconstruct", rendered_runs / "vae", "--n=6", "--out", tmp_path / "v.npz")
    np.testing.assert_array_equal(found["vae"], np.load(tmp_path / "v.npz")["images"])
    np.testing.assert_array_equal(found["own"], found["renderer"])
    assert (found["own"] != found["vae"]).any()
    message = refused("reconstruct", rendered_runs / "lsrgan", "--decoder=gan", "--out=x.png")
    assert "unknown decoder 'gan'" in message
    message = refused("reconstruct", rendered_runs / "vae", "--decoder=vae", "--out=x.png")
    assert "unknown decoder 'vae'" in message
    drawn = []
    for decoder in ("renderer", "vae"):
        out = tmp_path / f"s-{decoder}.npz"
        status, _, err = cli(
            "sample", rendered_runs / "lsrgan", "--n=4", f"--decoder={decoder}", "--out", out
        )
        assert status == 0, err
        drawn.append(np.load(out)["images"])
    cli("sample", rendered_runs / "vae", "--n=4", "--out", tmp_path / "v.npz")
    np.testing.assert_array_equal(drawn[1], np.load(tmp_path / "v.npz")["images"])
    assert (drawn[0] != drawn[1]).any()


def test_imagine(
    rendered_runs: Path, cli: Cli, refused: Callable[..., str], tmp_path: Path
) -> None:
    files = []
    for i, image in enumerate(random_images(3, 20, 12, 3)):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(files[-1])
    status, _, err = cli(
        "imagine",
        rendered_runs / "lsrgan",
        "--images",
        *files,
        "--draws=4",
        "--out",
        tmp_path / "a.npz",
    )
    assert status == 0, err
    held = np.load(tmp_path / "a.npz")
    assert held["images"].shape == (12, 8, 8)
    assert held["originals"].shape == (3, 8, 8)
    model = zspace.load(rendered_runs / "lsrgan")
    assert isinstance(model, Variational)
    x = torch.from_numpy(held["originals"])[:, None].float() / 255
    expected = model.imagine(x, 4).flatten(0, 1).mul(255).round().byte()[:, 0].numpy()
    np.testing.assert_array_equal(held["images"], expected)
    status, _, err = cli(
        "imagine",
        rendered_runs / "lsrgan",
        "--n=5",
        "--draws=8",
        "--decoder=vae",
        "--out",
        tmp_path / "b.png",
    )
    assert status == 0, err
    with Image.open(tmp_path / "b.png") as sheet:
        assert sheet.width / sheet.height == pytest.approx(9 / 5, rel=0.02)
    assert "a.txt is missing" in refused(
        "imagine", rendered_runs / "lsrgan", "--images", "a.txt", "--out=x.png"
    )
    assert "is no file" in refused(
        "imagine", rendered_runs / "lsrgan", "--images", tmp_path, "--out=x.png"
    )
    (tmp_path / "t.png").write_text("no picture")
    assert "broken or no image" in refused(
        "imagine", rendered_runs / "lsrgan", "--images", tmp_path / "t.png", "--out=x.png"
    )
    assert "come after --images" in refused(
        "imagine", rendered_runs / "lsrgan", "a.png", "--out=x.png"
    )
    assert "--draws must be at least 1" in refused(
        "imagine", rendered_runs / "lsrgan", "--draws=0", "--out=x.png"
    )


def test_imagine_without_a_posterior(
    runs: dict[str, Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    assert "no posterior q(z | x) to draw codes from" in refused(
        "imagine", runs["ae"], "--out=x.png"
    )
    zspace.train("vae", "mog2", out=tmp_path / "v", iterations=2, device="cpu", **SMALL)
    assert "trained on vectors" in refused("imagine", tmp_path / "v", "--out=x.png")


def test_a_number_of_test_images_is_none_of_given_ones(
    rendered_runs: Path, refused: Callable[..., str], tmp_path: Path
) -> None:
    Image.fromarray(random_images(1, 8, 8)[0]).save(tmp_path / "a.png")
    given = ["--images", tmp_path / "a.png", "--n=1", "--out", tmp_path / "i.png"]
    assert "leave it out with --images" in refused("imagine", rendered_runs / "vae", *given)
