"""`zspace explore`: what it serves and writes, and bad input."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

import zspace
from tests.conftest import SMALL, Cli

QUIET = ["--no-browser", "--device=cpu", "--quiet"]


def test_it_serves_until_it_is_interrupted(runs: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "zspace", "explore", str(runs["vae"]), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        assert address.startswith("http://127.0.0.1:")
        with urlopen(address, timeout=30) as page:
            assert b"<title>" in page.read()
        process.send_signal(signal.SIGTERM)  # SIGINT is ignored by a job in the background
        _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert err.decode().strip().splitlines() == ["serving the page; Ctrl-C ends it"]


def test_it_writes_a_page(
    runs: dict[str, Path], tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zspace.exploring.export.POINTS", 20)
    status, out, _ = cli("explore", runs["vae"], "--export", tmp_path / "page", *QUIET)
    assert (status, out) == (0, "")
    assert [p.name for p in (tmp_path / "page").iterdir()] == ["index.html"]


def test_bad_input_is_told_in_a_line(
    runs: dict[str, Path], tmp_path: Path, refused: Callable[..., str]
) -> None:
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(80, 6)))
    zspace.train("ae", tmp_path / "v.npy", out=tmp_path / "run", iterations=2, **SMALL)
    assert "is no folder" in refused("explore", tmp_path / "none", *QUIET)
    assert "is of other data" in refused("explore", runs["vae"], tmp_path / "run", *QUIET)
    assert "at most 4 runs" in refused("explore", *[runs["vae"]] * 5, *QUIET)
    assert "no address" in refused("explore", runs["vae"], "--host=no.such.host", *QUIET)
    assert "--token" in refused("explore", runs["vae"], "--token=é", *QUIET)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = refused("explore", runs["vae"], f"--port={port}", *QUIET)
    assert f"--port {port} is taken" in message
    assert "is free" in message
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "own.txt").write_text("mine")
    assert "an empty one" in refused("explore", runs["vae"], "--export", tmp_path / "page", *QUIET)
    assert [p.name for p in (tmp_path / "page").iterdir()] == ["own.txt"]
    assert "new folder" in refused("explore", runs["vae"], "--export", tmp_path / "a.html", *QUIET)
    served = ["--export", tmp_path / "new", "--port=80", *QUIET]
    assert "leave them out with --export" in refused("explore", runs["vae"], *served)
    assert not (tmp_path / "new").exists()


def test_a_missing_package_is_told_before_a_run_is_read(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ["uvicorn", *(name for name in sys.modules if name.startswith("uvicorn."))]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("connection", "server"):
        monkeypatch.delitem(sys.modules, f"zspace.exploring.{name}", raising=False)
    status, out, err = cli("explore", tmp_path / "none", *QUIET)
    assert (status, out) == (2, "")
    assert err == "zspace: the page needs the package uvicorn: pip install 'zspace[explore]'\n"
