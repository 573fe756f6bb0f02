"""`zspace train`: what it leaves, repeats and refuses."""

from __future__ import annotations

import os
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
from tests.conftest import SMALL, Cli
from zspace.api import run_options
from zspace.options import options_of
from zspace.recipes import RECIPES

Refused = Callable[..., str]


QUICK = [f"--{k.replace('_', '-')}={v}" for k, v in SMALL.items()]


@pytest.mark.parametrize("recipe", RECIPES)
def test_help_of_a_recipe_names_every_option_with_its_default(cli: Cli, recipe: str) -> None:
    status, out, _ = cli("train", recipe, "--help")
    assert status == 0
    words = "".join(out.split())  # a line may break within an option's words
    for option in options_of(RECIPES[recipe]).values():
        assert option.flag in words
        if option.default is not None:
            default = option.default
            shown = ("off", "on")[default] if isinstance(default, bool) else default
            assert f"[default:{shown}]" in words
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


def test_an_existing_run_is_not_overwritten(refused: Refused, cli: Cli, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train = ["train", "ae", "--iterations=2", "--out", run, *QUICK]
    cli(*train)
    before = {p: p.read_bytes() for p in run.rglob("*.*")}
    assert "choose another --out, or --overwrite it, or go on with" in refused(*train)
    # what can't be used is found before anything is removed
    assert "nor a named set" in refused(*train, "--overwrite", "--data=nothing")
    assert "--channels must be one of" in refused(*train, "--overwrite", "--channels=2")
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
        ("a: [1\n", "line 1 holds a list or nested mapping"),
        ("data: digits\n", "names no recipe"),
        ("recipe: ae\niterations: many\n", "--iterations must be a whole number"),
        ("recipe: ae\ntensorboard: 3\n", "--tensorboard must be true or false"),
        ("width: 2001-99-99\nrecipe: ae\n", "--width must be a whole number"),
        ("a: " + "[" * 5000, "line 1 holds a list or nested mapping"),
        ("recipe: [ae]\n", "line 1 holds a list or nested mapping"),
        ("!!python/object/apply:os.system ['touch evil']\n", "line 1 holds a tag"),
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
