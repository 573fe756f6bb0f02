"""The command line as people type it: what works, and every way to be told what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import zspace
from tests.conftest import SMALL, Cli, random_images
from zspace.api import run_options
from zspace.options import options_of
from zspace.recipes import RECIPES
from zspace.storage.files import read_tensors, write_tensors
from zspace.storage.run import Run

Refused = Callable[..., str]
QUICK = [f"--{k.replace('_', '-')}={v}" for k, v in SMALL.items()]


def test_help_lists_the_commands(cli: Cli) -> None:
    for arguments in ((), ("--help",), ("-h",)):
        status, out, _ = cli(*arguments)
        assert status == 0
        for command in ("train", "resume", "sample", "fit-sampler", "encode", "decode", "datasets"):
            assert command in out


@pytest.mark.parametrize("recipe", RECIPES)
def test_help_of_a_recipe_names_every_option_with_its_default(cli: Cli, recipe: str) -> None:
    status, out, _ = cli("train", recipe, "--help")
    assert status == 0
    words = "".join(out.split())  # a line may break within an option's words
    for option in options_of(RECIPES[recipe]).values():
        assert option.flag in words
        if option.default is not None:
            assert f"[default:{option.default}]" in words
    for flag in ("--data", "--out", "--seed", "--device", "--precision", "--threads", "--config"):
        assert flag in words


def test_train_leaves_a_whole_run(cli: Cli, tmp_path: Path) -> None:
    run = tmp_path / "deep" / "run"
    status, out, err = cli("train", "flexae", "--iterations=12", "--out", run, *QUICK)
    assert status == 0
    assert str(run) in out
    assert "12/12" in err
    assert {p.name for p in run.iterdir()} == {
        "config.yaml",
        "model.safetensors",
        "log.jsonl",
        "checkpoints",
        "samples.png",
        "reconstructions.png",
        "interpolation.png",
        "losses.png",
    }
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert set(config) == {"recipe", "data", *run_options("flexae")}
    with Image.open(run / "samples.png") as picture:
        assert np.asarray(picture).std() > 5


def test_quiet_is_silent(cli: Cli, tmp_path: Path) -> None:
    status, out, err = cli(
        "train", "ae", "--iterations=2", "--out", tmp_path / "r", "--quiet", *QUICK
    )
    assert (status, out, err) == (0, "", "")


def test_a_runs_config_repeats_it(cli: Cli, tmp_path: Path) -> None:
    cli("train", "vae", "--iterations=5", "--seed=3", "--beta=2.5", "--out", tmp_path / "a", *QUICK)
    status, _, _ = cli("train", "--config", tmp_path / "a" / "config.yaml", "--out", tmp_path / "b")
    assert status == 0
    for file in ("model.safetensors", "config.yaml", "log.jsonl"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    status, _, _ = cli(
        "train",
        "vae",
        f"--config={tmp_path / 'a' / 'config.yaml'}",
        "--beta=1",
        "--out",
        tmp_path / "c",
    )
    assert status == 0
    assert yaml.safe_load((tmp_path / "c" / "config.yaml").read_text())["beta"] == 1.0


def test_smoothing_is_flexae_sr(cli: Cli, tmp_path: Path) -> None:
    cli("train", "flexae", "--smoothing", "--iterations=3", "--out", tmp_path / "a", *QUICK)
    cli("train", "flexae-sr", "--iterations=3", "--out", tmp_path / "b", *QUICK)
    a, b = (zspace.load(tmp_path / n).state_dict() for n in "ab")
    assert all(torch.equal(v, b[k]) for k, v in a.items())


@pytest.mark.parametrize("data", ["mog2", "mog5"])
def test_vectors(cli: Cli, tmp_path: Path, data: str) -> None:
    run = tmp_path / "run"
    status, _, _ = cli("train", "flexae", "--data", data, "--iterations=3", "--out", run)
    assert status == 0
    assert (run / "samples.png").exists()
    assert zspace.load(run).encode(torch.zeros(2, 128)).shape == (2, 2)
    status, _, _ = cli("sample", run, "--n=7", "--out", tmp_path / "s.npz")
    assert status == 0
    assert np.load(tmp_path / "s.npz")["vectors"].shape == (7, 128)
    for command in ("reconstruct", "interpolate"):
        status, _, err = cli(command, run, "--out", tmp_path / f"{command}.npz")
        assert status == 0, err


def test_sample_to_every_kind_of_place(cli: Cli, runs: dict[str, Path], tmp_path: Path) -> None:
    run = runs["flexae-sr"]
    for out in ("s.png", "s.npz", "folder"):
        status, said, _ = cli("sample", run, "--n=9", "--seed=4", "--out", tmp_path / out)
        assert status == 0
        assert said.strip() == str(tmp_path / out)
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

    header = read_header(run / "samplers" / "mixture.safetensors")
    assert header["options"] == {"components": 3, "seed": 1}


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


def test_datasets_are_listed(cli: Cli) -> None:
    status, out, _ = cli("datasets")
    assert status == 0
    for name in ("digits", "mnist", "fashion-mnist", "cifar10", "svhn", "celeba", "mog5", "mog2"):
        assert name in out


# --- bad input


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["trian"], "unknown command 'trian': did you mean 'train'"),
        (["train", "flexea"], "unknown recipe 'flexea': did you mean 'flexae'"),
        (["train", "--seed=1"], "the recipe comes first"),
        (["train", "ae", "--data=digist"], "unknown data set 'digist': did you mean 'digits'"),
        (["train", "ae", "--latent-dims=3"], "No such option"),
        (["train", "ae", "--latent-dim=0"], "--latent-dim must be at least 1, not 0"),
        (["train", "ae", "--latent-dim=x"], "--latent-dim must be a whole number, not 'x'"),
        (["train", "ae", "--batch-size=0"], "--batch-size must be at least 2"),
        (["train", "ae", "--batch-size=5000"], "fewer than a batch of 5000"),
        (["train", "ae", "--iterations=0"], "--iterations must be at least 1"),
        (["train", "ae", "--iterations=-3"], "--iterations must be at least 1"),
        (["train", "ae", "--learning-rate=0"], "--learning-rate must be above 0"),
        (["train", "ae", "--lr=nan"], "--learning-rate must be a number"),
        (["train", "vae", "--beta=-1"], "--beta must be at least 0"),
        (["train", "vae", "--likelihood=normal"], "must be one of squared-error, bernoulli"),
        (["train", "ae", "--seed=-1"], "--seed must be at least 0"),
        (["train", "ae", "--precision=16"], "--precision must be one of 32, bf16"),
        (["train", "ae", "--device=gpu"], "--device must be one of auto, cpu, cuda, mps"),
        (["train", "ae", "--threads=0"], "--threads must be at least 1"),
        (["train", "ae", "--channels=2"], "--channels must be one of 1, 3"),
        (["train", "ae", "--image-size=9"], "must be divisible by 4, not 9x9"),
        (["train", "ae", "--data=mnist"], "mnist needs --data-dir"),
        (["train", "ae", "--data=mnist", "--data-dir=nowhere"], "nowhere is no folder"),
        (["train", "ae", "--data=no/where"], "no such folder or file"),
        (["train", "ae", "--config=no.yaml"], "no.yaml is missing"),
        (["train", "ae", "--init-from=nowhere"], "nowhere is no folder"),
        (["train", "flexae", "--smoothing", "--data=mog2"], "Table 6 has none for vectors"),
        (["train", "vae", "--likelihood=bernoulli", "--data=mog2"], "needs images"),
        (["resume", "nowhere"], "nowhere is no folder"),
        (["sample", "nowhere", "--out=x.png"], "nowhere is no folder"),
        (["datasets", "--download=mnist"], "needs --data-dir"),
        (["datasets", "--download=mnits", "--data-dir=d"], "did you mean 'mnist'"),
        (["sample"], "Missing argument 'RUN'"),
        (["train", "ae", "--data="], "--data and --out must be texts that are not empty"),
        (["train", "ae", "--out="], "--data and --out must be texts that are not empty"),
        (["train", "ae", "--classes=,"], "--classes must be names with commas between"),
        (["train", "ae", "--classes=²"], "unknown class '²'"),
        (["train", "ae", "--threads=100000"], "--threads must be at most 256"),
        (["train", "ae", "--seed=99999999999999999999"], "--seed must be at most"),
        (["train", "ae", "--image-size=100000"], "--image-size must be at most 4096"),
        (["train", "ae", "--hidden=99999999999"], "out of memory: lower --batch-size"),
        (["train", "ae", "--config=."], "the configuration file . can't be read: Is a directory"),
        (["train", "ae", "--out=."], "is the current folder"),
        (["train", "ae", "--out=..", "--overwrite"], "is the current folder, or around it"),
        (
            ["datasets", "--download=mnist", "--data-dir=.", "--mirror=http://a b/"],
            "can't be fetched",
        ),
    ],
)
def test_bad_arguments(
    refused: Refused,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(*arguments)
    assert list(tmp_path.iterdir()) == [], "something was written"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["sample", "--n=0", "--out=x.png"], "--n must be at least 1, not 0"),
        (["sample", "--n=-5", "--out=x.png"], "--n must be at least 1, not -5"),
        (["sample", "--n=99999999999", "--out=x.png"], "--n must be at most"),
        (["sample", "--out=x.png", "--checkpoint=²"], "not '²'"),
        (["interpolate", "--steps=100000", "--out=x.png"], "--steps must be at most 1000"),
        (["sample", "--out=x.jpeg"], "--out must be FILE.png, FILE.npz or a folder"),
        (["sample", "--out=."], "exists and is no empty folder"),
        (["sample", "--out=x.png", "--sampler=mixtur"], "did you mean 'mixture'"),
        (["sample", "--out=x.png", "--sampler=prior"], "has no prior of its own"),
        (["sample", "--out=x.png", "--checkpoint=7"], "(18, 20), not '7'"),
        (["sample", "--out=x.png", "--checkpoint=first"], "not 'first'"),
        (["sample", "--out=x.png", "--device=tpu"], "--device must be one of"),
        (["sample", "--out=x.png", "--seed=-1", "--sampler=normal"], "--seed must be"),
        (["fit-sampler", "--sampler=norm"], "did you mean 'normal'"),
        (["fit-sampler", "--sampler=mixture", "--components=0"], "--components must be at least 1"),
        (["fit-sampler", "--sampler=normal", "--components=3"], "No such option"),
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
    assert message in refused(arguments[0], "run", *arguments[1:])
    assert sorted(p.name for p in tmp_path.rglob("*")) == before, "something was written"


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


def test_an_existing_run_is_not_overwritten(refused: Refused, cli: Cli, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train = ["train", "ae", "--iterations=2", "--out", run, *QUICK]
    cli(*train)
    before = {p: p.read_bytes() for p in run.rglob("*.*")}
    assert "choose another --out, --overwrite it, or go on with" in refused(*train)
    # what can't be used is found before anything is removed
    assert "unknown data set" in refused(*train, "--overwrite", "--data=nothing")
    assert "must be divisible" in refused(*train, "--overwrite", "--image-size=6")
    assert {p: p.read_bytes() for p in run.rglob("*.*")} == before
    status, _, _ = cli(*train, "--overwrite", "--seed=2")
    assert status == 0
    assert (run / "model.safetensors").read_bytes() != before[run / "model.safetensors"]
    assert [p.name for p in tmp_path.iterdir()] == ["run"], "the old run is gone, whole"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("my: settings")
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    message = refused("train", "ae", "--out", tmp_path / "mine", "--overwrite")
    assert "exists and is no run" in message
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_bad_configuration_files(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    for text, message in (
        (
            "recipe: ae\nlatentdim: 3\n",
            "unknown option of ae 'latentdim': did you mean 'latent_dim'",
        ),
        ("- 1\n", "must hold a mapping"),
        ("a: [1\n", "is no YAML file"),
        ("data: digits\n", "names no recipe"),
        ("recipe: ae\niterations: many\n", "--iterations must be a whole number"),
        ("recipe: ae\ntensorboard: 3\n", "--tensorboard must be true or false"),
        ("width: 2001-99-99\nrecipe: ae\n", "is no YAML file"),
        ("a: " + "[" * 5000, "is no YAML file"),
        ("recipe: [ae]\n", "unknown recipe"),
        ("!!python/object/apply:os.system ['touch evil']\n", "is no YAML file"),
    ):
        path.write_text(text)
        assert message in refused("train", "--config", path)
    assert "for the recipe vae, not ae" in (
        path.write_text("recipe: vae\n") and refused("train", "ae", "--config", path)
    )


def test_cuda_without_one(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = tmp_path / "run"
    message = refused("train", "ae", "--device=cuda", "--out", out, *QUICK)
    assert "this machine has no CUDA device" in message
    assert not out.exists()


def test_no_permission_to_write(refused: Refused, runs: dict[str, Path], tmp_path: Path) -> None:
    """A file where a folder should be, which stops even an administrator."""
    (tmp_path / "file").write_text("")
    for arguments in (
        ["train", "ae", "--iterations=2", "--out", tmp_path / "file" / "run", *QUICK],
        ["sample", runs["vae"], "--out", tmp_path / "file" / "x.png"],
    ):
        assert f"{tmp_path / 'file'} is a file where a folder is needed" in refused(*arguments)
    assert (tmp_path / "file").read_text() == ""


def test_no_space(tmp_path: Path) -> None:
    """The system refuses files above 64 KiB: the first checkpoint of a wider model."""
    command = (
        f"ulimit -f 64; {sys.executable} -m zspace train ae --iterations=4 --width=16 --hidden=256 "
        f"--device=cpu --quiet --out {tmp_path / 'run'}"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "can't be written" in done.stderr
    left = [p.name for p in (tmp_path / "run").rglob("*") if p.is_file()]
    assert sorted(left) in (["config.yaml"], ["config.yaml", "log.jsonl"])


def test_a_run_that_is_none(refused: Refused, runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "is no run: it has no config.yaml" in refused(
        "sample", tmp_path / "empty", "--out=x.png"
    )
    shutil.copytree(runs["ae"], tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "model.safetensors").unlink()
    assert "has no model and no checkpoint yet" in refused(
        "sample", tmp_path / "run", "--out=x.png"
    )
    (tmp_path / "run" / "config.yaml").write_text("recipe: ea\ndata: digits\n")
    assert "unknown recipe 'ea'" in refused("sample", tmp_path / "run", "--out=x.png")


def test_a_foreign_sampler_file(refused: Refused, runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["ae"], tmp_path / "run")
    (tmp_path / "run" / "samplers").mkdir()
    (tmp_path / "run" / "samplers" / "normal.safetensors").write_bytes(b"nonsense")
    message = refused("sample", tmp_path / "run", "--sampler=normal", "--out", tmp_path / "x.png")
    assert "normal.safetensors is truncated or no safetensors file" in message


def damage(run: Path, how: str) -> None:
    """Spoil the last checkpoint of a run of 20 iterations."""
    newest = Run(run).checkpoints()[20]
    tensors, header = read_tensors(newest)
    if how == "other configuration":
        header["config"]["width"] = 5
    elif how == "optimiser's shape":
        tensors["optimizer.ae.0.exp_avg"] = torch.zeros(3)
    elif how == "optimiser's part":
        del tensors["optimizer.ae.0.exp_avg_sq"]
    elif how == "position":
        tensors["batches.drawn"] = torch.tensor(-1)
    elif how == "generator":
        tensors["batches.order"] = torch.zeros(7)
    elif how == "weights":
        tensors["model.encoder.0.bias"].fill_(torch.nan)
    else:
        header["facts"]["shape"] = [1, 4, 4]
    write_tensors(newest, tensors, header)


@pytest.mark.parametrize(
    "how",
    [
        "other configuration",
        "optimiser's shape",
        "optimiser's part",
        "position",
        "generator",
        "weights",
        "facts",
    ],
)
def test_resuming_further_loses_nothing_where_it_fails(
    refused: Refused, runs: dict[str, Path], tmp_path: Path, how: str
) -> None:
    """A finished run keeps its model and its configuration until its checkpoint is found good."""
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    damage(run, how)
    kept = ("config.yaml", "model.safetensors", "log.jsonl")
    before = {name: (run / name).read_bytes() for name in kept}
    refused("resume", run, "--iterations=30")
    assert {name: (run / name).read_bytes() for name in kept} == before


def test_a_finished_run_without_checkpoints_stays(
    cli: Cli, refused: Refused, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    before = (run / "model.safetensors").read_bytes()
    assert cli("resume", run)[0] == 0
    assert "has no checkpoint of iteration 20" in refused("resume", run, "--iterations=30")
    assert (run / "model.safetensors").read_bytes() == before


def test_a_garbled_log_stops_nothing(cli: Cli, runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["ae"], run)
    garbage = (
        b'{}\n[]\n5\n{"iteration": "x"}\n{"iteration": 1}\n{"iteration": 2, "o": 1}\n\xff\n'
        + b"[" * 5000
    )
    (run / "log.jsonl").write_bytes(garbage)
    status, _, err = cli("resume", run, "--iterations=22")
    assert status == 0, err


@pytest.mark.parametrize("facts", [5, None, {}, {"shape": "abc", "classes": [], "bounded": True}])
def test_weights_with_odd_facts(
    refused: Refused, runs: dict[str, Path], tmp_path: Path, facts: object
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["vae"], run)
    tensors, header = read_tensors(run / "model.safetensors")
    write_tensors(run / "model.safetensors", tensors, {**header, "facts": facts})
    assert "do not say what data" in refused("sample", run, "--out", tmp_path / "x.png")


def test_weights_that_are_not_finite(
    refused: Refused, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["vae"], run)
    tensors, header = read_tensors(run / "model.safetensors")
    tensors["encoder.0.bias"].fill_(torch.nan)
    write_tensors(run / "model.safetensors", tensors, header)
    message = refused("sample", run, "--out", tmp_path / "x.png")
    assert "encoder.0.bias holds NaN or infinite numbers" in message


def test_stored_weights_can_be_read_by_others(runs: dict[str, Path]) -> None:
    mask = os.umask(0)
    os.umask(mask)
    assert (runs["ae"] / "model.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask
