"""Runs whose weights can be read, and give NaN: no command writes black images, or fails oddly."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import zspace
from tests.conftest import SMALL, Cli, Refused
from zspace.storage.files import read_tensors, write_tensors

COMMANDS = {
    "sample": ["--out={out}.png"],
    "sample to a folder": ["--sampler=normal", "--out={out}"],
    "reconstruct": ["--out={out}.png"],
    "reconstruct to arrays": ["--out={out}.npz"],
    "encode": ["--out={out}.npz"],
    "decode": ["{codes}", "--out={out}.png"],
    "interpolate": ["--out={out}.png"],
    "imagine": ["--out={out}.png"],
    "imagine to arrays": ["--out={out}.npz"],
    "neighbours": ["--features=pixels", "--out={out}.png"],
    "evaluate": ["--features=pixels"],
    "diagnose": ["--features=pixels"],
    "novelty": ["--out={out}.csv"],
    "fit-sampler": ["--sampler=mixture"],
    "augment": ["--per-class=2", "--out={out}.npz"],
    "gallery": ["tsne", "--out={out}.png"],
    "tune": ["--sampler=simple", "--trials=1"],
    "export": ["--out={out}.onnx"],
}


def broken(run: Path, out: Path, what: str, factor: float) -> Path:
    """A copy of a run, in whose file some of the weights are multiplied by a factor."""
    shutil.copytree(run, out)
    path = out / "model.safetensors"
    tensors, header = read_tensors(path, dict)
    for name, value in tensors.items():
        if name.endswith(what):
            value.mul_(factor)
    write_tensors(path, tensors, header)
    return out


@pytest.mark.parametrize("command", COMMANDS)
def test_weights_that_give_nan_are_reported(
    refused: Refused, runs: dict[str, Path], tmp_path: Path, command: str
) -> None:
    if command == "export":
        pytest.importorskip("onnxruntime")
    run = broken(runs["vae"], tmp_path / "r", ".weight", 1e30)
    np.save(tmp_path / "codes.npy", np.ones((4, 3), np.float32))
    before = sorted(tmp_path.rglob("*"))
    given = [
        text.format(out=tmp_path / "x", codes=tmp_path / "codes.npy") for text in COMMANDS[command]
    ]
    message = refused(command.split()[0], run, *given)
    assert any(
        words in message for words in ("NaN or infinite numbers", "differs from PyTorch's by nan")
    ), message
    left = set(tmp_path.rglob("*")) - {*before}
    assert {path.name for path in left} <= {"tuning", "trials.log"}


def test_negative_variances_of_batch_norm_are_refused(
    refused: Refused, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = broken(runs["flexae-sr"], tmp_path / "r", "running_var", -1)
    message = refused("sample", run, "--out", tmp_path / "x.png")
    assert "running_var holds negative variances" in message


@pytest.mark.parametrize(
    "what, factor, words",
    [("running_var", -1, "negative variances"), (".weight", torch.nan, "NaN")],
)
def test_a_training_begins_with_no_such_weights(
    refused: Refused, runs: dict[str, Path], tmp_path: Path, what: str, factor: float, words: str
) -> None:
    run = broken(runs["flexae-sr"], tmp_path / "r", what, factor)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    given = ["--init-from", run, "--out", tmp_path / "out", "--iterations=2", *options]
    assert words in refused("train", "flexae-sr", *given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.complex64, torch.int8])
def test_weights_of_other_types_are_not_taken(
    kind: torch.dtype, cli: Cli, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "r"
    shutil.copytree(runs["flexae-sr"], run)
    tensors, header = read_tensors(run / "model.safetensors", dict)
    some = [name for name, value in tensors.items() if value.is_floating_point()][:2]
    some += [name for name in tensors if name.endswith("running_var")][:1]
    write_tensors(
        run / "model.safetensors",
        {name: value.to(kind) if name in some else value for name, value in tensors.items()},
        header,
    )
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    given = ["--init-from", run, "--out", tmp_path / "out", "--iterations=2", *options]
    status, _, err = cli("train", "flexae-sr", *given)
    assert status == 0, err
    assert "not taken: " in err
    assert "Warning" not in err


def test_vectors_that_overflow_are_reported(refused: Refused, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    zspace.train("ae", x, out=tmp_path / "r", iterations=2, device="cpu", **SMALL)
    np.save(tmp_path / "huge.npy", np.sign(x) * np.float32(3e38))
    for command in ("encode", "reconstruct", "interpolate"):
        given = ["--data", tmp_path / "huge.npy", "--out", tmp_path / "x.npz"]
        assert "NaN or infinite numbers" in refused(command, tmp_path / "r", *given)
        assert not (tmp_path / "x.npz").exists()
