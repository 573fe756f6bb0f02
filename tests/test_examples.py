"""The scripts under examples/ run, for fewer iterations, and are short."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import zspace
from zspace.evaluation import benefit
from zspace.samplers import continuous_flow, flow_matching

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SAID = {
    "own_autoencoder": "Frechet distance of flow-matching: ",
    "latents_alone": "log p of a digit never seen: ",
    "diffusers_vae": "of PyTorch's",
    "imbalanced_folder": "| balanced accuracy | ",
}
"""What stands in the output of each."""
MOST = 30
"""The largest number of iterations of a training."""


def test_each_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES} == set(SAID)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 40


def brief(train: Callable[..., Any], *args: Any, iterations: int, **options: Any) -> Any:
    return train(*args, iterations=min(iterations, MOST), **options)


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module, name in ((zspace, "train"), (benefit, "benefit")):
        monkeypatch.setattr(module, name, partial(brief, getattr(module, name)))
    for name in ("LEAST", "MOST"):
        monkeypatch.setattr(flow_matching, name, MOST)
    monkeypatch.setattr(continuous_flow, "DENSITY_STEPS", 1)
    monkeypatch.setattr(sys, "argv", [str(path), str(tmp_path / "out")])
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    assert SAID[path.stem] in capsys.readouterr().out
    assert any((tmp_path / "out").iterdir())
