"""Image files: their formats, sizes, orientation and frames, in folders and elsewhere."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import random_images
from zspace.data import DataOptions, load, load_whole
from zspace.data.celeba import celeba
from zspace.data.folder import read_pictures
from zspace.data.given import images_of
from zspace.data.pictures import FORMATS, MOST_PIXELS, ORIENTATION
from zspace.errors import InputError
from zspace.options import options_of

FIGURE = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
"""An image that is not symmetric in any way."""
UPRIGHT = {
    1: FIGURE,
    2: FIGURE[:, ::-1],
    3: FIGURE[::-1, ::-1],
    4: FIGURE[::-1],
    5: FIGURE.T,
    6: np.rot90(FIGURE, -1),
    7: FIGURE[::-1, ::-1].T,
    8: np.rot90(FIGURE),
}
"""How the image looks for each value of the EXIF tag, by the tag's definition."""
SETTINGS = {name: option.default for name, option in options_of(DataOptions).items()}


def turned(path: Path, orientation: int) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(FIGURE).save(path, exif=exif)
    return path


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_images_are_turned_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = turned(tmp_path / "set" / f"a{suffix}", orientation)
    expected = UPRIGHT[orientation]
    part, _ = load_whole(str(tmp_path / "set"))
    assert np.array_equal(part.x[0, 0].numpy(), expected)
    assert np.array_equal(read_pictures([path], (1, *expected.shape))[0, 0].numpy(), expected)
    small, _ = load_whole(str(tmp_path / "set"), image_size=4)
    straight = np.array(Image.fromarray(expected.copy()))
    Image.fromarray(straight).save(tmp_path / "b.png")
    assert torch.equal(small.x, read_pictures([tmp_path / "b.png"], (1, 4, 4)))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_what_is_transparent_is_seen_on_white(mode: str, tmp_path: Path) -> None:
    """Whatever is stored below it, in every way in which a PNG file can say so."""
    (tmp_path / "set").mkdir()
    grey = np.full((4, 4), 60, np.uint8)
    grey[1:3, 1:3] = 200
    picture, seen = Image.fromarray(grey), grey == 200
    if mode == "RGBA":
        picture = picture.convert("RGB")
    if mode in ("RGBA", "LA"):
        picture.putalpha(Image.fromarray(np.where(seen, 255, 0).astype(np.uint8)))
    else:
        picture = picture.convert(mode)
    clear: dict[str, object] = {"P": 60, "L": 60, "RGB": (60, 60, 60)}
    kept = {"transparency": clear[mode]} if mode in clear else {}
    picture.save(tmp_path / "set" / "a.png", **kept)
    expected = np.where(seen, 200, 255)
    part, _ = load_whole(str(tmp_path / "set"))
    assert (part.x[0].numpy() == expected).all()
    assert part.x.shape[1] == (1 if mode in ("L", "LA") else 3)
    with Image.open(tmp_path / "set" / "a.png") as opened:
        given = images_of([(opened, 0)] * 20, SETTINGS).train.x
    assert torch.equal(given[0], part.x[0])


def test_half_transparent_is_half_white(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    picture = Image.new("RGBA", (3, 3), (200, 0, 100, 51))
    picture.save(tmp_path / "set" / "a.png")
    part, _ = load_whole(str(tmp_path / "set"))
    assert part.x[0, :, 0, 0].tolist() == [244, 204, 224]


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    grey = Image.fromarray(FIGURE)
    path = tmp_path / "set" / "a.png"
    grey.convert("P").save(path, transparency=bytes(range(256)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        part, _ = load_whole(str(tmp_path / "set"))
    share = FIGURE / 255  # each level is as opaque as it is bright
    assert np.abs(part.x[0, 0].numpy() - (share * FIGURE + (1 - share) * 255)).max() <= 1


def test_images_of_the_hub_are_turned_upright(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    path = turned(tmp_path / "a.png", 6)
    rows = {"image": [{"bytes": path.read_bytes(), "path": None}] * 20}
    features = datasets.Features(image=datasets.Image())
    table = datasets.Dataset.from_dict(rows, features=features)
    (tmp_path / "set").mkdir()
    table.to_parquet(tmp_path / "set" / "train-00000-of-00001.parquet")
    part, _ = load_whole(f"hf:{tmp_path / 'set'}")
    assert np.array_equal(part.x[0, 0].numpy(), UPRIGHT[6])


def test_celebrities_are_turned_upright(tmp_path: Path) -> None:
    """The crop is of the upright image: its box would lie elsewhere in the stored one."""
    folder = tmp_path / "img_align_celeba"
    folder.mkdir()
    upright = np.zeros((218, 178, 3), np.uint8)
    upright[45:173, 25:153] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(np.rot90(upright).copy()).save(folder / "a.jpg", quality=100, exif=exif)
    (tmp_path / "list_eval_partition.txt").write_text("a.jpg 0\n")
    assert float(celeba(tmp_path, 32).parts["train"].x.float().mean()) > 250


def test_damaged_exif_data_do_no_harm(tmp_path: Path) -> None:
    exif = b"Exif\0\0MM\0*" + b"\xff" * 40
    Image.fromarray(random_images(1, 8, 8, 3)[0]).save(tmp_path / "a.jpg", exif=exif)
    assert load_whole(str(tmp_path))[0].x.shape == (1, 3, 8, 8)


def test_other_formats_are_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    """An EPS file would start a program, whatever its name is."""

    def started(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.Popen", started)
    for suffix in (".png", ".eps"):
        folder = tmp_path / suffix[1:]
        folder.mkdir()
        Image.fromarray(random_images(1, 8, 8)[0]).save(folder / "a.eps", "EPS")
        (folder / "a.eps").rename(folder / f"a{suffix}")
    with pytest.raises(InputError, match=r"a\.png is broken or no image \(PNG, JPEG, WebP, BMP"):
        load(str(tmp_path / "png"))
    with pytest.raises(InputError, match=r"holds no images \(formats: PNG, .*\); it holds a\.eps"):
        load(str(tmp_path / "eps"))
    with pytest.raises(InputError, match="is broken or no image"):
        read_pictures([tmp_path / "eps" / "a.eps"], (1, 8, 8))
    datasets = pytest.importorskip("datasets")
    rows = {"image": [{"bytes": (tmp_path / "eps" / "a.eps").read_bytes(), "path": None}] * 20}
    features = datasets.Features(image=datasets.Image())
    (tmp_path / "hub").mkdir()
    table = datasets.Dataset.from_dict(rows, features=features)
    table.to_parquet(tmp_path / "hub" / "train-00000-of-00001.parquet")
    with pytest.raises(InputError, match=r"image 0 of hf:.* is broken or no image"):
        load(f"hf:{tmp_path / 'hub'}")


def test_every_format_is_read_by_its_suffixes(tmp_path: Path) -> None:
    for format, suffixes in FORMATS.items():
        for suffix in suffixes:
            Image.fromarray(random_images(1, 8, 8)[0]).save(tmp_path / f"a{suffix}", format)
    part, _ = load_whole(str(tmp_path))
    assert len(part) == sum(map(len, FORMATS.values()))


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    for name in ("cat", "dog", "empty"):
        (tmp_path / name / "more").mkdir(parents=True)
        if name != "empty":
            for i in range(10):
                Image.fromarray(random_images(1, 8, 8)[0]).save(tmp_path / name / f"{i}.png")
    (tmp_path / "cat" / "a.heic").write_bytes(b"another format")
    images = load(str(tmp_path))
    assert images.classes == ("cat", "dog")
    told = next(note for note in images.notes if "left out" in note)
    assert all(name in told for name in ("cat/a.heic", "cat/more", "dog/more", "empty"))
    several = load(f"{tmp_path / 'cat'},{tmp_path / 'dog'}")
    assert sum("left out" in note for note in several.notes) == 2


def png(width: int, height: int) -> bytes:
    """A PNG file of a few bytes with a header of any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    head = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(15_000, 10_001), (65_000, 65_000), (2**31 - 1, 2**31 - 1)])
def test_an_image_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """Its size is looked at before its pixels are read."""
    monkeypatch.setattr(
        "PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("the pixels were read")
    )
    (tmp_path / "a.png").write_bytes(png(*size))
    with pytest.raises(InputError, match=r"a\.png has more than 150,000,000 pixels.*scale it down"):
        load(str(tmp_path), image_size=8)
    assert size[0] * size[1] > MOST_PIXELS


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".webp", ".png"])
def test_of_several_frames_the_first_is_read(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("L", (8, 8), level) for level in (250, 10)]
    frames[0].save(
        tmp_path / f"a{suffix}",
        save_all=True,
        append_images=frames[1:],
        **({"lossless": True} if suffix == ".webp" else {}),
    )
    part, _ = load_whole(str(tmp_path), channels=1)
    assert part.x.float().mean() == pytest.approx(250, abs=1)
