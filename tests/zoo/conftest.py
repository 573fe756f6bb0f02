"""A small model that is packed as the zoo's are, with an index of the tests' own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import zspace
from tests.conftest import SMALL
from zspace.generation.fit import fit_sampler
from zspace.storage import published
from zspace.zoo.pack import ToldOfModel, pack_run

TOLD = ToldOfModel(
    about="An autoencoder",
    good_at="Nothing",
    failures="Everything",
    licence="CC BY 4.0",
    hours=0.001,
    hardware="one core",
)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a learned and a fitted sampler. Tests must not change it."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("original") / "ae"
    zspace.train("ae", "digits", out=out, iterations=2, device="cpu", **{**SMALL, "hidden": 128})
    fit_sampler(out, "flow-matching", {"iterations": 2, "width": 64, "blocks": 1})
    fit_sampler(out, "normal")
    return out


@pytest.fixture(scope="session")
def packed(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two packed models, exact and rounded, and their index. Not to be changed."""
    folder = tmp_path_factory.mktemp("zoo")
    samplers = ("flow-matching", "normal")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "INDEX", folder / "index.json")
        pack_run(original, "exact", TOLD, out=folder, samplers=samplers, n=100)
        pack_run(original, "rounded", TOLD, out=folder, samplers=samplers, n=100, half="bfloat16")
    return folder


@pytest.fixture
def elsewhere(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the packed models, which is nowhere looked for, and an empty cache."""
    shutil.copytree(packed, tmp_path / "models")
    monkeypatch.setattr(published, "INDEX", packed / "index.json")
    monkeypatch.setattr(published, "_releases", lambda: None)
    monkeypatch.setenv("ZSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ZSPACE_ZOO", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "models"


@pytest.fixture
def zoo(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, where the models are looked for."""
    monkeypatch.setenv("ZSPACE_ZOO", str(elsewhere))
    return elsewhere
