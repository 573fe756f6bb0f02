"""Labels in a file of their own, images in vectors, broken files and floating-point TIFFs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zspace
from tests.conftest import SMALL, Cli, Refused
from zspace.data import load, load_whole
from zspace.data.labels import read_labels
from zspace.errors import InputError


def picture(path: Path, level: int = 0, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, level).save(path)


@pytest.fixture
def shades(tmp_path: Path) -> Path:
    for i in range(12):
        picture(tmp_path / "x" / f"{i:02}.png", 20 * i)
    return tmp_path / "x"


TABLES = {
    "headings": "file,label\n" + "".join(f"{i:02}.png,{'ab'[i % 2]}\n" for i in range(12)),
    "other order": "class;id\n" + "".join(f"{'ab'[i % 2]};{i:02}\n" for i in range(12)),
    "no headings": "".join(f"{i:02}.png\t{'ab'[i % 2]}\n" for i in range(12)),
    "byte order mark": "\ufefffile,label\r\n"
    + "".join(f'"{i:02}.png","{"ab"[i % 2]}"\r\n' for i in reversed(range(12))),
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_a_table_labels_the_images_of_a_folder(shades: Path, tmp_path: Path, text: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(text, encoding="utf-8")
    part, classes = load_whole(str(shades), labels=str(table))
    assert classes == ("a", "b")
    assert part.y is not None
    assert part.y.tolist() == [0, 1] * 6
    assert part.x[:, 0, 0, 0].tolist() == [20 * i for i in range(12)]


def test_whole_numbers_are_ordered_by_size(shades: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("".join(f"{i:02}.png,{(9, 10, 100)[i % 3]}\n" for i in range(12)))
    part, classes = load_whole(str(shades), labels=str(table))
    assert classes == ("9", "10", "100")
    assert part.y is not None
    assert part.y.tolist() == [0, 1, 2] * 4


def test_images_without_a_label_are_left_out(shades: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    rows = "".join(f"{i:02}.png,{'xy'[i % 2]}\n" for i in range(1, 12))
    table.write_text(f"{rows}elsewhere.png,x\n")
    images = load(str(shades), labels=str(table), validation=0.0)
    told = "has no label for 1 of 12 images, which are left out: 00.png"
    assert any(told in note for note in images.notes)
    part, _ = load_whole(str(shades), labels=str(table))
    assert part.y is not None
    assert part.y.tolist() == [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
    assert part.x[:, 0, 0, 0].tolist() == [20 * i for i in range(1, 12)]


def test_a_table_may_lie_beside_the_folder(shades: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("".join(f"x/{i:02}.png,{i % 3}\n" for i in range(12)))
    part, _ = load_whole(str(shades), labels=str(table))
    assert part.y is not None
    assert part.y.tolist() == [0, 1, 2] * 4


def test_numbers_that_are_equal_have_an_order(shades: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("".join(f"{i:02}.png,{('1', '01', '001')[i % 3]}\n" for i in range(12)))
    _, classes = load_whole(str(shades), labels=str(table))
    assert classes == ("001", "01", "1")


def test_a_first_row_is_no_heading_if_its_label_occurs_again(shades: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("".join(f"{i:02}.png,{'yn'[i % 2]}\n" for i in range(12)))
    part, classes = load_whole(str(shades), labels=str(table))
    assert classes == ("n", "y")
    assert len(part) == 12


def test_one_name_of_several_files_is_refused(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for i in range(12):
            picture(tmp_path / "set" / part / f"{i}.png", i)
    table = tmp_path / "labels.csv"
    table.write_text("".join(f"{i}.png,{i % 2}\n" for i in range(12)))
    with pytest.raises(InputError, match=r"one label for 0\.png, which .* may be: give paths"):
        load(str(tmp_path / "set"), labels=str(table))


def test_an_array_gets_its_labels_from_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((20, 8, 8), np.uint8))
    np.save(tmp_path / "y.npy", np.arange(20) % 3)
    (tmp_path / "y.csv").write_text("label\n" + "".join(f"{i % 3}\n" for i in range(20)))
    for labels in ("y.npy", "y.csv"):
        part, classes = load_whole(str(tmp_path / "x.npy"), labels=str(tmp_path / labels))
        assert classes == ("0", "1", "2")
        assert part.y is not None
        assert part.y.tolist() == [i % 3 for i in range(20)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels.csv is empty"),
        ("file,label\n", "holds no labels"),
        ("a.png,\n", "row 1 has no label: a.png"),
        ("file,label\na.png\n", "row 1 has no label"),
        ("a.png,x\na.png,y\n", "two labels for a.png"),
        ("a.png,x\n", "names a.png: none of the images of"),
        ("x\nz\n", "names no files: expected a table of two columns"),
        ('a.png,"x\nb.png,y\n', "no table of text"),
        ("image,a,b\n00.png,1,0\n", "3 columns, none of which is called label"),
        ("00.png,0.25\n01.png,0.5\n", "numbers that are not whole"),
        (b"\xff\xfe\x00", "no table of text in UTF-8"),
    ],
)
def test_tables_that_can_not_be_used(shades: Path, tmp_path: Path, text: Any, message: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        load(str(shades), labels=str(table))


def test_labels_are_refused_where_they_do_not_belong(shades: Path, tmp_path: Path) -> None:
    table = tmp_path / "y.csv"
    table.write_text("1\n2\n")
    np.savez(tmp_path / "x.npz", images=np.zeros((20, 8, 8), np.uint8), labels=np.zeros(20, int))
    np.save(tmp_path / "x.npy", np.zeros((20, 8, 8), np.uint8))
    cases = [
        ("digits", "belongs to your own files"),
        (str(tmp_path / "x.npz"), "has labels or parts of its own"),
        (str(tmp_path / "x.npy"), "has 2 labels for 20 samples"),
        (f"{shades},{shades.parent}", "belongs to one folder"),
    ]
    for data, message in cases:
        with pytest.raises(InputError, match=message):
            load(data, labels=str(table))
    with pytest.raises(InputError, match="missing"):
        read_labels(tmp_path / "gone.csv")
    with pytest.raises(InputError, match="labels does not apply to arrays"):
        zspace.train("ae", np.zeros((20, 8, 8), np.uint8), labels=str(table), **SMALL)


def test_vectors_become_images_by_their_shape(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (30, 3 * 10 * 8), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    part, _ = load_whole(str(tmp_path / "x.npy"), shape="3,10,8")
    assert torch.equal(part.x, torch.from_numpy(x).view(30, 3, 10, 8))
    part, _ = load_whole(str(tmp_path / "x.npy"), shape="20,12")
    assert part.x.shape == (30, 1, 20, 12)
    with pytest.raises(InputError, match=r"--shape 8,8 is of vectors of 64 numbers: .*\(30, 240\)"):
        load(str(tmp_path / "x.npy"), shape="8,8")
    for text in ("8", "0,8", "8,x", "1,2,3,4", "-8,8"):
        with pytest.raises(InputError, match="--shape must be H,W, C,H,W or H,W,C"):
            load(str(tmp_path / "x.npy"), shape=text)
    with pytest.raises(InputError, match="image files have a shape"):
        load(str(tmp_path), shape="8,8")


def test_a_run_of_shaped_vectors_takes_others(cli: Cli, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 64), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "other.npy", x[:9])
    run = tmp_path / "run"
    data = ["--data", tmp_path / "x.npy", "--shape", "8,8", "--image-size", "8"]
    status, _, err = cli(
        "train", "ae", *data, "--out", run, "--iterations=2", "--hidden=8", "--batch-size=8"
    )
    assert status == 0, err
    status, _, err = cli(
        "encode", run, "--data", tmp_path / "other.npy", "--out", tmp_path / "z.npz"
    )
    assert status == 0, err
    assert len(np.load(tmp_path / "z.npz")["codes"]) == 9


@pytest.mark.parametrize("layout", ["flat", "by class", "in parts"])
def test_broken_files_are_left_out_and_named(tmp_path: Path, layout: str) -> None:
    at = {"flat": "{}.png", "by class": "{c}/{}.png", "in parts": "train/{c}/{}.png"}[layout]
    for i in range(14):
        picture(tmp_path / at.format(i, c="ab"[i % 2]), i)
    whole = (tmp_path / at.format(2, c="a")).read_bytes()
    (tmp_path / at.format(2, c="a")).write_bytes(whole[:45])  # its header is whole
    (tmp_path / at.format(5, c="b")).write_bytes(b"no image")
    with pytest.raises(InputError, match=r"is broken.*; 1 more file is refused|5.png is broken or"):
        load(str(tmp_path))
    part, _ = load_whole(str(tmp_path), skip_broken=True)
    levels = sorted(part.x[:, 0, 0, 0].tolist())
    assert levels == [0, 1, 3, 4, *range(6, 14)]
    if layout != "flat":
        assert part.y is not None
        assert part.y.tolist() == [v % 2 for v in part.x[:, 0, 0, 0].tolist()]
    notes = " ".join(load(str(tmp_path), skip_broken=True).notes)
    assert "2 broken files are left out" in notes
    assert "5.png" in notes
    assert "2.png" in notes


def test_what_is_not_broken_is_not_left_out(tmp_path: Path) -> None:
    for i in range(12):
        picture(tmp_path / f"{i}.png", i)
    picture(tmp_path / "wide.png", 0, (9, 8))
    with pytest.raises(InputError, match="unequal size"):
        load(str(tmp_path), skip_broken=True)


def test_a_folder_of_broken_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"every image file is broken: .*a\.png"):
        load(str(tmp_path), skip_broken=True)
    with pytest.raises(InputError, match="--skip-broken belongs to"):
        load("digits", skip_broken=True)


def test_floating_point_tiffs_in_the_unit_interval_are_read(
    refused: Refused, tmp_path: Path
) -> None:
    x = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    folder = tmp_path / "x"
    folder.mkdir()
    for i in range(12):
        Image.fromarray(x).save(folder / f"{i}.tif")
    part, _ = load_whole(str(folder))
    assert torch.equal(part.x[3, 0], torch.from_numpy(np.rint(x * 255).astype(np.uint8)))
    Image.fromarray(3 * x).save(folder / "bright.tif")
    message = refused("train", "ae", "--data", folder, "--out", tmp_path / "run")
    assert (
        "bright.tif has floating-point values from 0 to 3, not in [0, 1]: --value-range" in message
    )
    part, _ = load_whole(str(folder), value_range="0,3")
    assert int(part.x[3].max()) == 85
