"""Pixels with more than 8 bits, and the option that maps their values to bytes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import zspace
from tests.conftest import SMALL, Cli, random_images
from zspace import api
from zspace.data import DataOptions, from_arrays, load, load_whole
from zspace.data.folder import read_folder
from zspace.data.levels import Levels
from zspace.errors import InputError

TWELVE = (np.arange(64, dtype=np.uint16) * 65).reshape(8, 8)
"""A scan of 12 bits, with values from 0 to 4095."""


def scans(folder: Path, suffix: str = ".png", x: np.ndarray = TWELVE, n: int = 20) -> Path:
    folder.mkdir(exist_ok=True)
    for i in range(n):
        Image.fromarray(x).save(folder / f"{i}{suffix}")
    return folder


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_dark_scans_are_told_and_mapped(tmp_path: Path, suffix: str) -> None:
    folder = str(scans(tmp_path / "set", suffix))
    dark = load(folder)
    assert dark.train.x.max() == 15
    told = "16-bit images with values from 0 to 4095 are read as 0 to 65535"
    assert [n for n in dark.notes if told in n and "--value-range 0,4095" in n]
    images = load(folder, value_range="0,4095")
    expected = np.rint(TWELVE / 4095 * 255)
    assert np.array_equal(images.train.x[0, 0].numpy(), expected)
    assert not any("16-bit" in n or "value-range" in n for n in images.notes)


def test_scans_of_16_bits_need_no_word(tmp_path: Path) -> None:
    images = load(str(scans(tmp_path / "set", x=TWELVE * 16)))
    assert images.train.x.max() == 255
    assert not any("16-bit" in note for note in images.notes)


def test_values_beyond_the_range_are_cut_off_and_told(tmp_path: Path) -> None:
    images = load(str(scans(tmp_path / "set")), value_range="650,1300")
    expected = np.rint(np.clip((TWELVE - 650.0) / 650, 0, 1) * 255)
    assert np.array_equal(images.train.x[0, 0].numpy(), expected)
    told = "values from 0 to 4095 occur: those beyond --value-range 650,1300 are cut off"
    assert told in images.notes


def test_floats_in_files_need_the_range(tmp_path: Path) -> None:
    floats = (TWELVE / 100).astype(np.float32) - 3
    folder = str(scans(tmp_path / "set", ".tif", floats))
    told = r"0\.tif has floating-point values from -3 to 37\.95, not in \[0, 1\]: --value"
    with pytest.raises(InputError, match=told):
        load(folder)
    x = load(folder, value_range="-3,37.95").train.x
    assert np.array_equal(x[0, 0].numpy(), np.rint((floats + 3.0) / 40.95 * 255))
    with pytest.raises(InputError, match=r"0\.tif holds NaN or infinite numbers"):
        load(str(scans(tmp_path / "nan", ".tif", floats * np.nan)), value_range="0,1")
    deep = scans(tmp_path / "deep", ".tif", TWELVE.astype(np.int32) * 100)
    with pytest.raises(InputError, match="grey values from 0 to 409500, outside of 16 bits"):
        load(str(deep))
    assert load(str(deep), value_range="0,409500").train.x.max() == 255


def test_colours_of_16_bits_are_told(tmp_path: Path) -> None:
    """A file that Pillow writes in no mode: a TIFF with three samples of 16 bits."""
    import struct

    def entry(tag: int, kind: int, count: int, value: int) -> bytes:
        packed = struct.pack("<I" if kind == 4 else "<HH", *((value,) if kind == 4 else (value, 0)))
        return struct.pack("<HHI", tag, kind, count) + packed

    pixels = np.full((8, 8, 3), 4095, "<u2").tobytes()
    tags = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 1, 140), (277, 3, 1, 3), (278, 3, 1, 8), (279, 4, 1, len(pixels))]
    offset = 8 + 2 + 12 * len(tags) + 4
    tags[2] = (258, 4, 3, offset)
    tags[5] = (273, 4, 1, offset + 6)
    body = b"".join(
        struct.pack("<HHII", t, 3, 3, v) if t == 258 else entry(t, k, c, v) for t, k, c, v in tags
    )
    content = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + body + bytes(4)
    content += struct.pack("<3H", 16, 16, 16) + pixels
    for i in range(20):
        (tmp_path / f"{i}.tif").write_bytes(content)
    images = load(str(tmp_path))
    assert images.shape == (3, 8, 8)
    assert any("16-bit colour images are read with the upper 8 bits" in n for n in images.notes)
    # with the range they are read whole
    assert int(load(str(tmp_path), value_range="0,4095").train.x.min()) == 255
    assert set(load(str(tmp_path), value_range="0,8190").train.x.flatten().tolist()) == {128}


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_colours_are_read_whole(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    x = np.random.default_rng(0).integers(0, 4096, (20, 9, 7, 3)).astype(np.uint16)
    encode = imagecodecs.png_encode if suffix == ".png" else imagecodecs.tiff_encode
    for i, image in enumerate(x):
        (tmp_path / f"{i:02}{suffix}").write_bytes(encode(image))
    part, _ = load_whole(str(tmp_path), value_range="0,4095")
    expected = np.rint(x.astype(np.float64) / 4095 * 255).astype(np.uint8)
    assert np.array_equal(part.x.numpy(), expected.transpose(0, 3, 1, 2))
    scaled, _ = load_whole(str(tmp_path), value_range="0,4095", image_size=7, channels=1)
    assert scaled.x.shape == (20, 1, 7, 7)
    whole = (tmp_path / f"03{suffix}").read_bytes()
    (tmp_path / f"03{suffix}").write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(InputError, match=r"03\..* is broken or "):
        load(str(tmp_path), value_range="0,4095")
    kept, _ = load_whole(str(tmp_path), value_range="0,4095", skip_broken=True)
    assert len(kept) == 19
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(InputError, match=r"--value-range needs: pip install 'zspace\[deep\]'"):
        load(str(tmp_path), value_range="0,4095", skip_broken=True)


@pytest.mark.parametrize(
    "x, text",
    [
        (np.tile(TWELVE, (20, 1, 1)), "0,4095"),
        (np.tile(TWELVE, (20, 1, 1)).astype(np.float32) / 4095 * 2 - 1, "-1,1"),
        (np.tile(TWELVE, (20, 1, 1)).astype(np.int64) - 2000, "-2000,2095"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_of_other_ranges_say_how_they_can_be_mapped(
    tmp_path: Path, x: np.ndarray, text: str, suffix: str
) -> None:
    path = tmp_path / f"x{suffix}"
    np.save(path, x) if suffix == ".npy" else np.savez(path, images=x)
    with pytest.raises(InputError, match=f"--value-range {text} makes the ends of its range black"):
        load(str(path))
    images = load(str(path), value_range=text)
    expected = np.rint(TWELVE / 4095 * 255)
    assert np.abs(images.train.x[0, 0].numpy() - expected).max() <= 1
    assert len(images.notes) == 2
    assert any("cut off" in n for n in load(str(path), value_range="0,0.5").notes)


def test_small_values_of_8_bits_can_be_mapped_too(tmp_path: Path) -> None:
    x = random_images(20, 8, 8) % 17
    np.save(tmp_path / "x.npy", x)
    for i, image in enumerate(x):
        (tmp_path / "set").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "set" / f"{i:02d}.png")
    expected = np.rint(x / 16 * 255)
    held = from_arrays(x, levels=Levels((0, 16))).x[:, 0].numpy()
    assert np.array_equal(held, expected)
    part = read_folder(tmp_path / "set", levels=Levels((0, 16))).parts["train"]
    assert np.array_equal(part.x[:, 0].numpy(), expected)


def test_scans_of_the_hub_are_told_and_mapped(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    content = (scans(tmp_path / "one", n=1) / "0.png").read_bytes()
    rows = {"image": [{"bytes": content, "path": None}] * 20}
    table = datasets.Dataset.from_dict(rows, features=datasets.Features(image=datasets.Image()))
    (tmp_path / "set").mkdir()
    table.to_parquet(tmp_path / "set" / "train-00000-of-00001.parquet")
    assert any("values from 0 to 4095" in n for n in load(f"hf:{tmp_path / 'set'}").notes)
    assert load(f"hf:{tmp_path / 'set'}", value_range="0,4095").train.x.max() == 255


@pytest.mark.parametrize(
    "text", ["", "5", "1,2,3", "a,b", "5,5", "7,3", "nan,1", "0,inf", "0,1e40"]
)
def test_bad_ranges(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="--value-range must be LOW,HIGH"):
        load(str(scans(tmp_path / "set")), value_range=text)


def test_a_range_belongs_to_images_of_ones_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--value-range belongs to your own images"):
        load("digits", value_range="0,16")
    np.save(tmp_path / "x.npy", random_images(60, 8))
    with pytest.raises(InputError, match="holds vectors: leave out --value-range"):
        load(str(tmp_path / "x.npy"), value_range="0,16")


def test_a_run_keeps_its_range(
    tmp_path: Path, cli: Cli, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configuration, other data and pictures of the run; runs without the option still read."""
    folder, run = scans(tmp_path / "set", n=40), tmp_path / "run"
    small: dict[str, Any] = {**SMALL, "iterations": 3, "device": "cpu"}
    options = [f"--{k.replace('_', '-')}={v}" for k, v in small.items()]
    command = ("train", "vae", f"--data={folder}", f"--out={run}", "--value-range", "0,4095")
    status, _, err = cli(*command, *options)
    assert status == 0, err
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["value_range"] == "0,4095"
    other, _ = api.data_for(run, str(scans(tmp_path / "other")), None, "all")
    assert other.x.max() == 255
    assert api.data_for(run, "digits", None, "test")[0].x.max() == 255
    seen: list[int] = []
    from zspace.data import folder as folders

    real = folders.read_pictures

    def read(*arguments: Any) -> Any:
        x = real(*arguments)
        seen.append(int(x.max()))
        return x

    monkeypatch.setattr(folders, "read_pictures", read)
    picture = folder / "0.png"
    assert cli("imagine", run, f"--images={picture}", f"--out={tmp_path / 'i.png'}")[0] == 0
    assert seen == [255]
    del config["value_range"]
    assert DataOptions.of(config).value_range is None
    model = zspace.train("ae", np.tile(TWELVE, (40, 1, 1)), value_range="0,4095", **small)
    assert all(bool(p.isfinite().all()) for p in model.parameters())


@pytest.fixture(scope="module")
def runs_of_scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of 12-bit scans by --value-range, and one of 8-bit images. Not to be changed."""
    root = tmp_path_factory.mktemp("scans")
    small = {**SMALL, "iterations": 3, "device": "cpu"}
    scans(root / "deep", n=40)
    scans(root / "plain", x=(TWELVE >> 4).astype(np.uint8), n=40)
    deep, plain = str(root / "deep"), str(root / "plain")
    zspace.train("vae", deep, out=root / "ranged", value_range="0,4095", **small)
    zspace.train("vae", plain, out=root / "bytes", **small)
    return {name: root / name for name in ("deep", "plain", "ranged", "bytes")}


@pytest.mark.parametrize(
    "run, data, told",
    [
        ("ranged", "plain", "values from 0 to 255 occur, less than a tenth of --value-range"),
        ("bytes", "deep", "16-bit images with values from 0 to 4095 are read as 0 to 65535"),
    ],
)
@pytest.mark.parametrize(
    "command, more",
    [
        ("encode", ("--out=c.npz",)),
        ("encode", ("--out=c.npz", "--part=test")),
        ("reconstruct", ("--out=r.png",)),
        ("interpolate", ("--out=i.png",)),
        ("imagine", ("--out=m.png",)),
        ("novelty", ("--out=n.csv",)),
    ],
)
def test_a_range_that_is_hardly_used_is_told(
    cli: Cli,
    runs_of_scans: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: str,
    data: str,
    told: str,
    command: str,
    more: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    own = {"ranged": "deep", "bytes": "plain"}[run]
    given = (command, runs_of_scans[run], *more)
    status, _, err = cli(*given, "--data", runs_of_scans[data])
    assert status == 0
    assert err.count(told) == 1, err
    status, _, err = cli(*given, "--data", runs_of_scans[data], "--quiet")
    assert (status, err) == (0, "")
    status, _, err = cli(*given, "--data", runs_of_scans[own])
    assert (status, "values from" in err) == (0, False)


def test_a_range_that_a_runs_own_data_hardly_use_is_told(
    cli: Cli, runs_of_scans: dict[str, Path]
) -> None:
    plain = f"--data-dir={runs_of_scans['plain']}"
    _, _, err = cli("evaluate", runs_of_scans["ranged"], "--metrics=mse", "--n=20", plain)
    assert "values from 0 to 255 occur, less than a tenth of --value-range 0,4095" in err
    pictures = sorted(runs_of_scans["plain"].iterdir())[:2]
    out = f"--out={runs_of_scans['plain'].parent / 'imagined.png'}"
    _, _, err = cli("imagine", runs_of_scans["ranged"], out, "--images", *pictures)
    assert "less than a tenth of --value-range 0,4095" in err


def test_dark_images_of_every_type_are_told(tmp_path: Path) -> None:
    x = random_images(40, 8, 8) % 17
    (tmp_path / "set").mkdir()
    for i, image in enumerate(x):
        Image.fromarray(image).save(tmp_path / "set" / f"{i:02d}.png")
    np.save(tmp_path / "whole.npy", x)
    np.save(tmp_path / "floats.npy", (x / 255).astype(np.float32))
    for name in ("set", "whole.npy"):
        told = "images with values from 0 to 16 are read as 0 to 255, which makes them dark"
        assert any(told in note for note in load(str(tmp_path / name)).notes), name
    assert any("are read as 0 to 1, which" in n for n in load(str(tmp_path / "floats.npy")).notes)
    np.save(tmp_path / "bright.npy", x * 15)
    assert not any("makes them dark" in note for note in load(str(tmp_path / "bright.npy")).notes)
    held = load(str(tmp_path / "set"), value_range="0,65535").notes
    assert any("less than a tenth of --value-range 0,65535" in note for note in held)
