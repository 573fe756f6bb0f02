"""The dry run of `bench/gpu.py`."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GPU = Path(__file__).parent.parent / "bench" / "gpu.py"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, whose one change that outlasts `main --only times` is undone."""
    spec = importlib.util.spec_from_file_location("gpu", GPU)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(logging.root.manager, "disable", logging.NOTSET)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return module


def rows(text: str) -> dict[str, list[list[str]]]:
    """The other cells of a table's rows, by the first cell."""
    found: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("| "):
            name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            found.setdefault(name, []).append(cells)
    return found


DRY = "--device cpu --tiny --only"


def test_times(gpu: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "table.md"
    assert gpu.main([*DRY.split(), "times", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed == out.read_text()
    assert printed.splitlines()[-1] == "Nothing failed."
    found = rows(printed)
    for name in ("ae", "vae", "flexae-sr", "lsrgan", "regene", "flow-matching"):
        assert [cells[0] for cells in found[name]] == ["float32", "bf16"]
        assert all(float(cells[2].split()[0]) > 0 for cells in found[name])


def test_what_there_is_no_time_for(gpu: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([*DRY.split(), "times", "--seconds", "0"]) == 0
    assert rows(capsys.readouterr().out)["vae"][0][0] == "not reached"


def test_a_failure_is_a_row(
    gpu: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("first line\nno | kernel")

    monkeypatch.setattr(gpu, "made_of_sampler", fails)
    monkeypatch.setattr(gpu, "made_of_recipe", fails)
    assert gpu.main([*DRY.split(), "times"]) == 1
    out, err = capsys.readouterr()
    assert rows(out)["vae"][0][0] == "FAILED: RuntimeError: no / kernel"
    assert "Traceback" in err


@pytest.mark.slow
def test_contract() -> None:
    recipes, samplers = ("ae", "gen", "two-stage-vae"), ("kde", "flow-matching")
    chosen = ["--recipes", ",".join(recipes), "--samplers", ",".join(samplers)]
    done = subprocess.run(  # by itself, since it trains classifiers briefly in a cache of its own
        [sys.executable, str(GPU), *DRY.split(), "contract", *chosen],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = rows(done.stdout)
    for name in recipes:  # on the CPU, nothing is left to chance
        assert found[name][0][:4] == ["holds", "0", "", "0"]
    for name in samplers:
        assert found[f"sampler {name}"][0][0] == "holds"
    assert found["zspace evaluate"][0][0] == "works"
