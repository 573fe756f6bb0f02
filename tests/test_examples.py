"""The scripts under examples/ run as they are, and are short."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SAID = {
    "own_autoencoder": "Frechet distance of flow-matching: ",
    "latents_alone": "log p of a digit never seen: ",
    "diffusers_vae": "of PyTorch's",
    "imbalanced_folder": "| balanced accuracy | ",
}
"""What stands in the output of each."""


def test_each_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES} == set(SAID)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 40


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", path, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert SAID[path.stem] in done.stdout
    assert any((tmp_path / "out").iterdir())
