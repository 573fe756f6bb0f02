"""Tensors and headers in files: whole, readable by others, or refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import zspace
from tests.conftest import Refused
from zspace.errors import InputError
from zspace.evaluation.results import StoredEvaluation
from zspace.recipes import catalogue
from zspace.storage.files import (
    atomic,
    read_header,
    read_json,
    read_tensors,
    write_tensors,
    write_text,
)
from zspace.storage.reading import whole
from zspace.storage.run import Header


def test_header_says_whose_weights_they_are(runs: dict[str, Path]) -> None:
    header = read_header(runs["vae"] / "model.safetensors", dict)
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


def test_every_flipped_bit_of_a_file_of_tensors_is_found(tmp_path: Path) -> None:
    """Bits of the header's padding, which means nothing, are left alone."""
    path = tmp_path / "x.safetensors"
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(7)}
    write_tensors(path, tensors, {"entry": "words"})
    content = path.read_bytes()
    read_tensors(path, dict[str, str])
    end = 8 + int.from_bytes(content[:8], "little")
    padding = end - len(content[:end].rstrip(b" "))
    silent = []
    for place in range(len(content)):
        if end - padding <= place < end:
            continue
        for bit in range(8):
            bad = bytearray(content)
            bad[place] ^= 1 << bit
            path.write_bytes(bad)
            try:
                found, header = read_tensors(path, dict[str, str])
            except InputError:
                continue
            # JSON has several ways to write the same: those may differ, the values may not
            same = found.keys() == tensors.keys() and header == {"entry": "words"}
            if not same or any(not torch.equal(found[k], tensors[k]) for k in tensors):
                silent.append((place, bit))
    assert silent == []


def test_a_file_without_a_checksum_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(2)}, path, metadata={"zspace": json.dumps({"entry": "words"})})
    with pytest.raises(InputError, match="missing required field"):
        read_tensors(path, dict[str, str])


KINDS = {"Header": Header, "StoredEvaluation": StoredEvaluation, "sampler": catalogue.Header}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "1" + "0" * 400,
        '{"iteration": "x", "config": {}}',
        '{"iteration": null, "config": {}}',
        '{"iteration": [1], "config": {}}',
        '{"iteration": 1e999, "config": {}}',
        '{"iteration": 1' + "0" * 400 + ', "config": {}}',
        '{"config": {"a": {"b": []}}}',
        '{"config": {}, "facts": {"shape": [1, 2]}}',
        '{"config": {}, "facts": {"shape": [0]}}',
        '{"sampler": "normal", "dim": 1099511627776, "options": {}}',
        '{"sampler": "normal", "dim": 2, "options": 5}',
        "NaN",
        "",
        "\ud800",
    ],
)
def test_odd_json_is_one_named_error(tmp_path: Path, kind: str, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=r"x\.json is (damaged: |empty)") as error:
        read_json(path, KINDS[kind])
    assert len(str(error.value).replace(str(tmp_path), "")) < 120


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("pipe", "is a device, a pipe"), (".", "is a folder"), ("no", "missing")):
        with pytest.raises(InputError, match=words):
            read_json(tmp_path / name, dict)
    (tmp_path / "large").write_bytes(b" " * 100)
    with pytest.raises(InputError, match="is larger than 99 bytes, the limit of logs"):
        whole(tmp_path / "large", 99, "logs")


def killed(script: str, folder: Path) -> None:
    """Run a script that kills its process, with a folder as its argument."""
    ended = subprocess.run([sys.executable, "-c", script, folder], check=False)
    assert ended.returncode == -9


def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path: Path) -> None:
    killed(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from zspace.storage.files import atomic\n"
        "held = []\n"
        "for name in ('a.json', 'b.json', 'folder'):\n"
        "    held.append(atomic(Path(sys.argv[1]) / name))\n"
        "    partial = held[-1].__enter__()\n"
        "    partial.mkdir() if name == 'folder' else partial.write_text('half')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n",
        tmp_path,
    )
    assert len(list(tmp_path.iterdir())) == 3
    with atomic(tmp_path / "b.json") as mine:
        mine.write_text("mine")
        write_text(tmp_path / "a.json", "whole")
        with atomic(tmp_path / "b.json") as other:  # of a process that lives
            other.write_text("other")
        assert mine.exists()
    with atomic(tmp_path / "folder") as partial:
        partial.mkdir()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "b.json", "folder"]
    assert (tmp_path / "b.json").read_text() == "mine"


def test_nothing_is_left_of_tensors_whose_writer_was_killed(tmp_path: Path) -> None:
    """The library that writes them begins with a temporary file of its own."""
    killed(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from zspace.storage import files\n"
        "def save_file(tensors, path, metadata):\n"
        "    (path.parent / '.tmpAbCdEf').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.save_file = save_file\n"
        "files.write_tensors(Path(sys.argv[1]) / 'x.safetensors', {}, {})\n",
        tmp_path,
    )
    assert list(tmp_path.iterdir()) != []
    write_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(2)}, {})
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_paths_that_are_no_utf_8(refused: Refused, runs: dict[str, Path], tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd\xff")
    shutil.copytree(runs["ae"], odd / "run")
    words = r"odd\udcff/run"
    for command in (
        ["sample", odd / "run", "--sampler=normal", "--n=2", "--out", tmp_path / "x.png"],
        ["train", "ae", "--iterations=1", "--out", odd / "run2"],
    ):
        message = refused(*command)
        assert words in message
        assert "is no UTF-8: rename it" in message
    assert not (odd / "run2").exists()
    np.save(odd / "x.npy", np.zeros((40, 8, 8), np.uint8))
    message = refused("train", "ae", "--data", odd / "x.npy", "--out", tmp_path / "run3")
    assert "is no UTF-8: rename it" in message


def test_a_home_folder_that_is_none(
    refused: Refused, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ZSPACE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv("ZSPACE_CACHE", raising=False)
        monkeypatch.setenv(name, "~nobody-of-this-name/x")
        message = refused("evaluate", runs["ae"], "--n=20", "--device=cpu")
        assert f"the environment variable {name} names ~nobody" in message


def test_stored_weights_can_be_read_by_others(runs: dict[str, Path]) -> None:
    mask = os.umask(0)
    os.umask(mask)
    assert (runs["ae"] / "model.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask
