"""With --quiet a command says nothing but what it was asked for, and every command has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
import pytest

from tests.conftest import HELP, SMALL, Cli
from zspace.cli import cli as group
from zspace.cli.train import TrainCommand


def every_command() -> list[tuple[str, click.Command]]:
    """The commands by name; of `train`, one recipe."""
    found: list[tuple[str, click.Command]] = []
    context = click.Context(group, help_option_names=HELP)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, TrainCommand):
            command = command.get_command(click.Context(command, help_option_names=HELP), "ae")
        assert command is not None
        found.append((name, command))
    return found


@pytest.mark.parametrize("name, command", every_command(), ids=lambda value: str(value)[:12])
def test_every_command_has_it(name: str, command: click.Command) -> None:
    given = command.get_params(click.Context(command, help_option_names=HELP))
    assert any("--quiet" in parameter.opts for parameter in given), name


def test_what_only_writes_files_says_nothing(
    cli: Cli, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["vae"], run)
    small = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    npz, png = tmp_path / "x.npz", tmp_path / "x.png"
    for arguments in (
        ["train", "ae", "--iterations=2", "--out", tmp_path / "new", *small],
        ["resume", tmp_path / "new"],
        ["fit-sampler", run, "--sampler=normal"],
        ["sample", run, "--n=4", "--out", png],
        ["encode", run, "--out", npz],
        ["decode", run, npz, "--out", tmp_path / "decoded"],
        ["reconstruct", run, "--out", png],
        ["interpolate", run, "--n=2", "--out", png],
        ["imagine", run, "--n=2", "--out", png],
        ["augment", run, "--per-class=2", "--out", tmp_path / "more.npz"],
        ["gallery", run, "collage", "--out", png],
        ["export", run, "--out", tmp_path / "x.onnx"],
        ["novelty", run, "--label=0,1,2,3,4,5,6,7,8,9", "--out", tmp_path / "x.csv"],
        ["report", run, "--features=pixels", "--n=30", "--map=pca", "--out", tmp_path / "r.html"],
    ):
        assert cli(*arguments, "--quiet") == (0, "", ""), arguments[0]


def test_sample_shows_how_far_it_is(
    cli: Cli, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zspace.display.progress.EVERY", 0.0)
    sample = ["sample", runs["vae"], "--n=300", "--out", tmp_path / "x.npz"]
    status, said, err = cli(*sample)
    assert status == 0, err
    lines = [" ".join(line.split()[:2]) for line in err.splitlines()]
    assert lines == ["drawing 0/300", "drawing 256/300", "drawing 300/300"]
    assert said.strip() == f"{tmp_path / 'x.npz'}: images (300, 1, 8, 8)"
    assert cli(*sample, "--quiet") == (0, "", "")
