"""Tensors and headers in files: whole, readable by others, or refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

import zspace
from zspace.errors import InputError
from zspace.storage.files import read_header


def test_header_says_whose_weights_they_are(runs: dict[str, Path]) -> None:
    header = read_header(runs["vae"] / "model.safetensors")
    assert header["config"]["recipe"] == "vae"
    assert header["facts"]["shape"] == [1, 8, 8]
    assert header["iteration"] == 20
    json.dumps(header)


@pytest.mark.parametrize("damage", ["truncated", "foreign", "empty", "pickle"])
def test_a_damaged_model_is_refused(runs: dict[str, Path], tmp_path: Path, damage: str) -> None:
    shutil.copytree(runs["ae"], tmp_path / "run")
    path = tmp_path / "run" / "model.safetensors"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "foreign":
        from safetensors.torch import save_file

        save_file({"weight": torch.zeros(2)}, path)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"model\.safetensors (is truncated|was not written)"):
        zspace.load(tmp_path / "run")


def test_stored_weights_can_be_read_by_others(runs: dict[str, Path]) -> None:
    mask = os.umask(0)
    os.umask(mask)
    assert (runs["ae"] / "model.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask
