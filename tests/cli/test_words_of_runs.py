"""What commands say of a run: the next command, that it is unfinished, how an interrupt ends."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from tests.conftest import SMALL, Cli, Refused
from zspace import api
from zspace.generation import fit as fitting

QUICK = [f"--{k.replace('_', '-')}={v}" for k, v in {**SMALL, "iterations": 4}.items()]


@pytest.fixture
def unfinished(runs: dict[str, Path], tmp_path: Path) -> Path:
    """A VAE that was interrupted after its checkpoint of iteration 18 of 20."""
    folder = tmp_path / "int"
    shutil.copytree(runs["vae"], folder)
    (folder / "model.safetensors").unlink()
    (folder / "checkpoints" / "000000020.safetensors").unlink()
    return folder


@pytest.mark.parametrize("recipe", ["ae", "rae", "vae"])
def test_the_command_to_go_on_with_works(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = cli("train", recipe, "--out=r", "--device=cpu", *QUICK)
    assert status == 0, err
    command = shlex.split(out.splitlines()[-1].removeprefix("go on with: zspace "))
    assert cli(*command)[0] == 0
    assert Path("samples.png").is_file()


@pytest.mark.parametrize(
    "command",
    [
        ("sample", "--out=o.npz", "--n=4"),
        ("encode", "--out=o.npz"),
        ("reconstruct", "--out=o.png"),
        ("interpolate", "--out=o.png"),
        ("imagine", "--out=o.png"),
        ("novelty", "--out=o.csv"),
        ("evaluate", "--metrics=mse"),
        ("compare", "--columns=mse"),
        ("neighbours", "--features=pixels", "--out=o.png"),
        ("fit-sampler", "--sampler=normal"),
        ("augment", "--per-class=1", "--out=o.npz"),
        ("gallery", "tsne", "--out=o.png"),
    ],
)
def test_an_unfinished_run_is_told(
    cli: Cli, unfinished: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(unfinished.parent)
    name, *more = command
    status, _, err = cli(name, unfinished, *more)
    assert status == 0, err
    assert f"{unfinished} is unfinished: iteration 18 of 20 is used\n" in err
    assert "unfinished" not in cli(name, unfinished, *more, "--quiet")[2]


def test_a_checkpoint_that_is_asked_for_needs_no_word(
    cli: Cli, unfinished: Path, tmp_path: Path
) -> None:
    out = f"--out={tmp_path / 'x.npz'}"
    assert "unfinished" not in cli("sample", unfinished, out, "--checkpoint=18")[2]


def test_a_long_fit_says_how_to_make_a_shorter_one(
    cli: Cli, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["vae"], run)
    out = f"--out={tmp_path / 'x.png'}"
    monkeypatch.setattr(
        fitting, "refit_sampler", lambda *_, **__: api.load(run).samplers()["prior"]
    )
    _, _, err = cli("sample", run, "--sampler=flow-matching", "--n=4", out)
    said = err.split(f"{run} holds no sampler flow-matching of these weights: one is fitted")[1]
    command = said.split("'zspace ")[1].split("' makes a shorter fit")[0].replace(" N", " 3")
    assert cli(*shlex.split(command))[0] == 0
    assert cli("sample", run, "--sampler=flow-matching", "--n=4", out)[2] == ""


@pytest.mark.parametrize(
    "command, stops, told",
    [
        (("train", "vae", "--out=new"), "zspace.api.train", ""),
        (
            ("train", "vae", "--out=int"),
            "zspace.api.train",
            "; 'zspace resume int' goes on from its last checkpoint",
        ),
        (
            ("resume", "int"),
            "zspace.api.resume",
            "; 'zspace resume int' goes on from its last checkpoint",
        ),
        (("encode", "int", "--out=c.npz"), "zspace.api.load", ""),
        (
            ("fit-sampler", "int", "--sampler=flow-matching"),
            "zspace.api.load",
            "; the same command goes on",
        ),
        (("tune", "int", "--sampler=simple"), "zspace.api.load", "; the same command goes on"),
        (
            ("classifier",),
            "zspace.features.classifier.neutral_classifier",
            "; the same command goes on",
        ),
        (("reproduce", "gen/table1"), "zspace.papers.reproduce", "; the same command goes on"),
    ],
)
def test_an_interrupt_says_what_goes_on(
    cli: Cli,
    unfinished: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    stops: str,
    told: str,
) -> None:
    monkeypatch.chdir(unfinished.parent)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stops, interrupted)
    status, _, err = cli(*command)
    assert (status, err.strip()) == (130, f"zspace: interrupted{told}")


def test_the_lock_advises_nothing_that_a_command_lacks(
    refused: Refused, runs: dict[str, Path]
) -> None:
    with api.Run(runs["vae"]).alone():
        for command in (("resume", runs["vae"], "--iterations=40"),):
            message = refused(*command)
            assert "wait for it or stop it" in message
            assert "--out" not in message
