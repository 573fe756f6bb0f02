"""Generators as ONNX files that draw without PyTorch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import zspace
from tests.conftest import Cli, sampler_of, small_run
from tests.samplers.shared import BRIEF, LEARNED
from zspace.errors import InputError
from zspace.generation.export import export
from zspace.generation.fit import fit_sampler


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("learned") / "run")


NO_TORCH = """
import json, sys
sys.modules["torch"] = None
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
told = session.get_modelmeta().custom_metadata_map
given = {"noise": np.random.default_rng(0).standard_normal((5, int(told["noise_dim"])), "float32")}
if json.loads(told["labels"]):
    given["label"] = np.array([0, 1, 2, 3, 9])
(images,) = session.run(None, given)
np.savez(sys.argv[2], images=images, **given)
"""


def test_the_sampler_is_that_of_sample_unless_one_is_named(cli: Cli, run: Path) -> None:
    refused, _, err = cli("export", str(run))
    assert refused == 2
    assert "has no prior of its own" in err
    fit_sampler(run, "normal")
    status, out, err = cli("export", str(run))
    assert status == 0, err
    assert out.startswith(f"{run / 'normal.onnx'}, by normal: noise (N, ")
    (run / "normal.onnx").unlink()


@pytest.mark.parametrize("name", ["prior", "normal", "mixture", "kde", "simple", *LEARNED])
def test_an_exported_generator_draws_without_torch(
    name: str, run: Path, cli: Cli, tmp_path: Path
) -> None:
    folder = small_run(tmp_path / "vae", "vae") if name == "prior" else run
    if name in LEARNED:
        fit_sampler(run, name, BRIEF)
    path = tmp_path / "generator.onnx"
    status, out, err = cli(
        "export", str(folder), "--sampler", name, "--format", "onnx", "--out", str(path)
    )
    assert status == 0, err
    assert out.startswith(f"{path}, by {name}: noise (N, ")
    program = [sys.executable, "-c", NO_TORCH, str(path), str(tmp_path / "x.npz")]
    subprocess.run(program, check=True, capture_output=True)
    made = np.load(tmp_path / "x.npz")
    model = zspace.load(folder)
    sampler = sampler_of(folder, name, model)
    y = torch.from_numpy(made["label"]) if "label" in made else None
    assert (y is not None) == (name in ("simple", "flow-matching"))
    with torch.no_grad():
        expected = model.decode(sampler.of_noise(torch.from_numpy(made["noise"]), y))
    np.testing.assert_allclose(made["images"], expected, atol=1e-4)


def test_a_generator_that_differs_is_not_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = zspace.load(run)
    monkeypatch.setattr("zspace.generation.export.AGREEMENT", -1.0)
    with pytest.raises(InputError, match=r"differs from PyTorch's by .* it was not written"):
        export(model, sampler_of(run, "normal", model), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
