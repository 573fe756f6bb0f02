"""`zspace sample`, `encode`, `decode`, `reconstruct` and `interpolate`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zspace
from tests.conftest import SMALL, Cli, random_images, sampler_of, small, width
from tests.recipes.regene import TEN
from zspace.data import load as load_data
from zspace.samplers import Convex

Refused = Callable[..., str]


QUICK = [f"--{k.replace('_', '-')}={v}" for k, v in SMALL.items()]


def test_sample_to_every_kind_of_place(cli: Cli, runs: dict[str, Path], tmp_path: Path) -> None:
    run = runs["flexae-sr"]
    for out in ("s.png", "s.npz", "folder"):
        status, said, _ = cli("sample", run, "--n=9", "--seed=4", "--out", tmp_path / out)
        assert status == 0
        assert said.strip() == f"{tmp_path / out}: images (9, 1, 8, 8)"
    images = np.load(tmp_path / "s.npz")["images"]
    assert images.shape == (9, 8, 8)
    assert images.dtype == np.uint8
    for i, path in enumerate(sorted((tmp_path / "folder").iterdir())):
        with Image.open(path) as picture:
            assert np.array_equal(np.asarray(picture), images[i])
    cli("sample", run, "--n=9", "--seed=4", "--out", tmp_path / "again.npz")
    assert np.array_equal(np.load(tmp_path / "again.npz")["images"], images)
    cli("sample", run, "--n=9", "--seed=5", "--out", tmp_path / "other.npz")
    assert not np.array_equal(np.load(tmp_path / "other.npz")["images"], images)


def test_sampler_of_every_kind(cli: Cli, runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["ae"], tmp_path / "run")
    run = tmp_path / "run"
    for name in ("normal", "mixture"):
        status, _, err = cli(
            "sample", run, "--sampler", name, "--n=4", "--out", tmp_path / f"{name}.png"
        )
        assert status == 0, err
        assert (run / "samplers" / f"{name}.safetensors").exists()
    status, _, _ = cli("fit-sampler", run, "--sampler=mixture", "--components=3", "--seed=1")
    assert status == 0
    from zspace.storage.files import read_header

    header = read_header(run / "samplers" / "mixture.safetensors", dict)
    assert header["options"] == {"components": 3, "seed": 1}
    status, _, err = cli("fit-sampler", run, "--sampler=mixture", "--components=auto")
    assert status == 0
    said = re.search(r"components: (\d+) is the best of the numbers tried", err)
    assert said is not None
    header = read_header(run / "samplers" / "mixture.safetensors", dict)
    assert header["options"] == {"components": int(said[1]), "seed": 0}


def test_encode_then_decode_is_reconstruct(cli: Cli, runs: dict[str, Path], tmp_path: Path) -> None:
    run = runs["vae"]
    status, _, _ = cli("encode", run, "--part=test", "--out", tmp_path / "codes.npz")
    assert status == 0
    stored = np.load(tmp_path / "codes.npz")
    assert stored["codes"].shape == (359, 3)
    assert stored["labels"].shape == (359,)
    assert stored["classes"].tolist() == list("0123456789")
    status, _, _ = cli("decode", run, tmp_path / "codes.npz", "--out", tmp_path / "x.npz")
    assert status == 0
    cli("reconstruct", run, "--n=359", "--out", tmp_path / "r.npz")
    assert np.array_equal(
        np.load(tmp_path / "x.npz")["images"], np.load(tmp_path / "r.npz")["images"]
    )
    np.save(tmp_path / "codes.npy", stored["codes"])
    status, _, _ = cli("decode", run, tmp_path / "codes.npy", "--out", tmp_path / "folder")
    assert status == 0
    assert len(list((tmp_path / "folder").iterdir())) == 359


def test_encode_other_data_in_its_own_order(
    cli: Cli, runs: dict[str, Path], tmp_path: Path
) -> None:
    """Pictures of another size, in colour, are converted to the model's."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, image in enumerate(random_images(5, 20, 16, 3)):
        Image.fromarray(image).save(folder / f"{i}.png")
    status, _, err = cli("encode", runs["ae"], "--data", folder, "--out", tmp_path / "c.npz")
    assert status == 0, err
    codes = np.load(tmp_path / "c.npz")["codes"]
    (folder / "0.png").unlink()
    cli("encode", runs["ae"], "--data", folder, "--out", tmp_path / "d.npz")
    np.testing.assert_allclose(
        np.load(tmp_path / "d.npz")["codes"], codes[1:], rtol=1e-4, atol=1e-5
    )


def test_reconstruct_and_interpolate_pictures(
    cli: Cli, runs: dict[str, Path], tmp_path: Path
) -> None:
    for command in ("reconstruct", "interpolate"):
        status, _, err = cli(command, runs["ae"], "--out", tmp_path / f"{command}.png")
        assert status == 0, err
    cli("interpolate", runs["ae"], "--n=2", "--steps=5", "--out", tmp_path / "i.npz")
    assert np.load(tmp_path / "i.npz")["images"].shape == (10, 8, 8)


def test_checkpoints_by_iteration(cli: Cli, tmp_path: Path) -> None:
    run = tmp_path / "run"
    cli("train", "ae", "--iterations=20", "--checkpoint-every=2", "--keep=0", "--out", run, *QUICK)
    for checkpoint in ("last", "4", "20"):
        status, _, err = cli(
            "reconstruct", run, "--checkpoint", checkpoint, "--out", tmp_path / f"{checkpoint}.npz"
        )
        assert status == 0, err
    last, four, twenty = (np.load(tmp_path / f"{c}.npz")["images"] for c in ("last", "4", "20"))
    assert np.array_equal(last, twenty)
    assert not np.array_equal(last, four)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["sample", "--n=0", "--out=x.png"], "--n must be at least 1, not 0"),
        (["sample", "--n=-5", "--out=x.png"], "--n must be at least 1, not -5"),
        (["sample", "--n=99999999999", "--out=x.png"], "--n must be at most"),
        (["sample", "--out=x.png", "--checkpoint=²"], "not '²'"),
        (["interpolate", "--steps=100000", "--out=x.png"], "--steps must be at most 1000"),
        (["sample", "--out=x.jpeg"], "--out must be FILE.png, FILE.npz, FILE.npy or a folder"),
        (["sample", "--out=."], "exists and is no empty folder"),
        (["sample", "--out=x.png", "--sampler=mixtur"], "did you mean 'mixture'"),
        (["sample", "--out=x.png", "--sampler=prior"], "has no prior of its own"),
        (["sample", "--out=x.png", "--checkpoint=7"], "(18, 20), not '7'"),
        (["sample", "--out=x.png", "--checkpoint=first"], "not 'first'"),
        (["sample", "--out=x.png", "--device=tpu"], "--device must be one of"),
        (["sample", "--out=x.png", "--seed=-1", "--sampler=normal"], "--seed must be"),
        (["fit-sampler", "--sampler=norm"], "did you mean 'normal'"),
        (["fit-sampler", "--sampler=mixture", "--components=0"], "--components must be at least 1"),
        (["fit-sampler", "--sampler=normal", "--components=3"], "belongs to --sampler mixture"),
        (
            ["fit-sampler", "--sampler=mixture", "--theta=1"],
            "--theta belongs to --sampler simple, medium1 or medium2",
        ),
        (["fit-sampler", "--sampler=mixture", "--compo=1"], "did you mean '--components'"),
        (
            ["sample", "--out=x.png", "--sampler=simple", "--label=12"],
            "unknown class '12' (known: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)",
        ),
        (["encode", "--out=x.png"], "must be an .npz file"),
        (["encode", "--out=x.npz", "--part=half"], "unknown part 'half'"),
        (["encode", "--out=x.npz", "--data=mog2"], "these are vectors"),
        (["decode", "codes.npz", "--out=x.png"], "codes.npz is missing"),
        (["reconstruct", "--n=0", "--out=x.png"], "--n must be at least 1"),
        (["reconstruct", "--n=999", "--out=x.png"], "the test part has 359 images"),
        (["interpolate", "--steps=1", "--out=x.png"], "--steps must be at least 2"),
        (["interpolate", "--n=999", "--out=x.png"], "enough for 179 pairs"),
        (["resume", "--iterations=3"], "has done 20 iterations"),
    ],
)
def test_bad_arguments_on_a_run(
    refused: Refused,
    runs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    shutil.copytree(runs["ae"], tmp_path / "run")
    before = sorted(p.name for p in tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    said = refused(arguments[0], "run", *arguments[1:])
    assert message.lower() in said.lower()
    assert sorted(p.name for p in tmp_path.rglob("*")) == before, "something was written"


@pytest.mark.parametrize("out", ["x.png", "x.npz", "x"])
def test_what_was_written_is_told(
    cli: Cli, runs: dict[str, Path], tmp_path: Path, out: str
) -> None:
    run, place = runs["vae"], tmp_path / out
    np.savez(tmp_path / "codes.npz", codes=np.zeros((300, 3), np.float32))
    both = "images (5, 1, 8, 8), originals (5, 1, 8, 8)"
    for command, *more, told in (
        ("decode", tmp_path / "codes.npz", "images (300, 1, 8, 8)"),
        ("reconstruct", "--n=5", both),
        ("interpolate", "--n=5", "--steps=3", "images (15, 1, 8, 8)"),
        ("imagine", "--n=5", "--draws=1", both),
    ):
        status, said, err = cli(command, run, *more, "--out", place)
        assert status == 0, err
        assert said == f"{place}: {told}\n"
        shutil.rmtree(place) if place.is_dir() else place.unlink()


def test_endings_in_capitals(cli: Cli, runs: dict[str, Path], tmp_path: Path) -> None:
    run = runs["vae"]
    for command, *more, name in (
        ("sample", "--n=4", "S.NPZ"),
        ("sample", "--n=4", "S.Png"),
        ("sample", "--sampler=convex", "--n=20", "C.NPZ"),
        ("encode", "E.NPZ"),
        ("reconstruct", "R.PNG"),
        ("interpolate", "I.PNG"),
        ("novelty", "N.CSV"),
        ("neighbours", "--features=pixels", "N.PNG"),
        ("compare", "--columns=mse", "T.MD"),
    ):
        status, _, err = cli(command, run, *more, "--out", tmp_path / name)
        assert status == 0, err
        assert (tmp_path / name).is_file()
    np.save(tmp_path / "D.NPY", random_images(40, 8, 8))
    (tmp_path / "D.NPY.npy").rename(tmp_path / "D.NPY")
    assert load_data(str(tmp_path / "D.NPY")).shape == (1, 8, 8)


def test_python_objects_are_named(refused: Refused, runs: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "obj.npz"
    np.savez(path, codes=np.array([{}, {}], object), images=np.array([{}, {}], object))
    told = f"{path} holds Python objects, which are never read: store numbers"
    out = f"--out={tmp_path / 'x.npz'}"
    assert told in refused("decode", runs["vae"], path, out)
    assert told in refused("encode", runs["vae"], "--data", path, out)


def test_codes_by_columns_have_a_limit(
    refused: Refused,
    cli: Cli,
    runs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, out = tmp_path / "c.npz", f"--out={tmp_path / 'x.npz'}"
    codes = np.zeros((1000, 3), np.float32)
    np.savez_compressed(path, codes=np.asfortranarray(codes))
    assert cli("decode", runs["vae"], path, out)[0] == 0
    monkeypatch.setattr("zspace.storage.arrays.COLUMNWISE", codes.nbytes - 1)
    told = "by columns, which are read up to"
    message = refused("decode", runs["vae"], path, out)
    assert told in message
    assert "store the array by rows (numpy.ascontiguousarray)" in message
    np.savez_compressed(path, codes=codes)
    assert cli("decode", runs["vae"], path, out)[0] == 0


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((4, 5), np.float32), "codes of size 5, the model's have 3"),
        (np.full((4, 3), np.nan), "NaN or infinite"),
        (np.zeros((0, 3)), "expected (N, 3)"),
        (np.zeros(3), "expected (N, 3)"),
        (np.full((4, 3), "a"), "expected (N, 3)"),
    ],
)
def test_bad_codes(
    refused: Refused, runs: dict[str, Path], tmp_path: Path, array: np.ndarray, message: str
) -> None:
    np.savez(tmp_path / "codes.npz", codes=array)
    out = tmp_path / "x.png"
    assert message in refused("decode", runs["ae"], tmp_path / "codes.npz", "--out", out)
    (tmp_path / "codes.npz").write_bytes(b"PK\x03\x04")
    assert "truncated" in refused("decode", runs["ae"], tmp_path / "codes.npz", "--out", out)
    assert not out.exists()


def test_a_foreign_sampler_file(refused: Refused, runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["ae"], tmp_path / "run")
    (tmp_path / "run" / "samplers").mkdir()
    (tmp_path / "run" / "samplers" / "normal.safetensors").write_bytes(b"nonsense")
    message = refused("sample", tmp_path / "run", "--sampler=normal", "--out", tmp_path / "x.png")
    assert "normal.safetensors is truncated or no safetensors file" in message


def test_samples_of_the_target_and_of_one_mode(
    tmp_path: Path, runs: dict[str, Path], cli: Cli, refused: Callable[..., str]
) -> None:
    run = tmp_path / "r"
    zspace.train(
        "gen",
        "digits",
        out=run,
        iterations=3,
        target="mixture",
        labelled=100,
        device="cpu",
        **small("gen"),
    )
    for sampler in ("prior", "target"):
        status, _, err = cli(
            "sample",
            run,
            "--sampler",
            sampler,
            "--label=7",
            "--n=5",
            "--out",
            tmp_path / f"{sampler}.npz",
        )
        assert status == 0, err
    out = f"--out={tmp_path / 's.png'}"
    assert "unknown class" in refused("sample", run, "--label=12", out)
    assert "knows no labels" in refused("sample", runs["gen"], "--label=1", out)
    assert "has no target of its own" in refused("sample", runs["vae"], "--sampler=target", out)
    status, text, err = cli("evaluate", run, "--metrics=mse,w1", "--features=pixels", "--n=100")
    assert status == 0, err
    assert "target" in text


def test_commands(runs: dict[str, Path], cli: Cli, tmp_path: Path) -> None:
    run = runs["regene"]
    status, out, _ = cli(
        "sample", run, "--sampler", "convex", "--label", 3, "--combine", 2, "--n", 50
    )
    assert status == 0
    assert out.startswith("class 3: 50 combinations of 2; trials: latent space 5")
    assert "image space" in out
    npz = tmp_path / "g.npz"
    status, out, _ = cli(
        "sample",
        run,
        "--sampler=convex",
        "--n",
        62,
        "--combine",
        3,
        "--out",
        npz,
        "--generations",
        2,
        "--from",
        "images",
    )
    assert status == 0
    assert "class 0, generation 2: 7 combinations of 3" in out
    with np.load(npz) as stored:
        assert stored["images"].shape == (62, 8, 8)
        assert np.bincount(stored["labels"]).tolist() == [7] * 2 + [6] * 8
        assert stored["sources"].shape == stored["weights"].shape == (62, 3)
        assert stored["images_1"].shape == (62, 8, 8)
        assert stored["sources_1"].shape == (62, 3)
    read = load_data(str(npz))
    assert read.classes == TEN
    folder = tmp_path / "g"
    assert cli("sample", run, "--sampler=convex", "--n", 30, "--out", folder)[0] == 0
    rows = (folder / "sources.csv").read_text().splitlines()
    assert len(rows) == 30
    assert (folder / "4" / "000012.png").is_file()
    assert load_data(str(folder)).classes == TEN
    sheet = tmp_path / "g.png"
    assert cli("sample", run, "--sampler=convex", "--n", 9, "--out", sheet)[0] == 0
    assert width(sheet) > 100
    # other models have no judges, and say so
    status, out, _ = cli(
        "sample", runs["vae"], "--sampler=convex", "--label=1", "--n=4", "--weights=dirichlet"
    )
    assert "no judges" in out
    assert cli("fit-sampler", run, "--sampler=convex", "--combine=3")[0] == 0
    model = zspace.load(run)
    fitted = sampler_of(run, "convex", model)
    assert isinstance(fitted, Convex)
    assert fitted.combine == 3
    assert cli("fit-sampler", run, "--sampler=convex")[0] == 0


def test_several_classes_share_the_images(
    runs: dict[str, Path], tmp_path: Path, cli: Cli, refused: Callable[..., str]
) -> None:
    command = ("sample", runs["ae"], "--sampler=simple", "--n=10")
    out = tmp_path / "x.npz"
    status, _, err = cli(*command, "--label=7,1,3", f"--out={out}")
    assert status == 0, err
    held = np.load(out)
    assert held["labels"].tolist() == [7] * 4 + [1] * 3 + [3] * 3
    assert len(held["images"]) == 10
    alone = tmp_path / "alone.npz"
    four = ("sample", runs["ae"], "--sampler=simple", "--n=4", "--label=7", f"--out={alone}")
    assert cli(*four)[0] == 0
    assert "labels" not in np.load(alone)
    assert np.array_equal(np.load(alone)["images"], held["images"][:4])
    status, printed, err = cli(*command, "--label=7,1,3", f"--out={tmp_path / 'x.png'}")
    assert status == 0, err
    assert "(9, 1, 8, 8)" in printed  # three rows of three
    status, _, err = cli(*command, "--label=all", f"--out={tmp_path / 'all.npz'}")
    assert status == 0, err
    assert np.load(tmp_path / "all.npz")["labels"].tolist() == list(range(10))
    assert cli(*command, "--label=7,1,3", f"--out={tmp_path / 'folder'}")[0] == 0
    written = sorted(p.parent.name for p in (tmp_path / "folder").rglob("*.png"))
    assert written == ["1"] * 3 + ["3"] * 3 + ["7"] * 4
    assert sorted(p.name for p in (tmp_path / "folder").iterdir()) == ["1", "3", "7"]
    assert "holds one array" in refused(*command, "--label=7,1", f"--out={tmp_path / 'x.npy'}")
    assert "unknown class 'eleven'" in refused(*command, "--label=7,eleven", f"--out={out}")
    assert "commas between" in refused(*command, "--label=7,", f"--out={out}")
