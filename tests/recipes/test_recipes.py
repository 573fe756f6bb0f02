"""Recipes are found by name, those of other packages, too."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
import torch

import zspace
from zspace import plugins, recipes
from zspace.errors import InputError


def test_recipes_of_other_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = importlib.metadata.EntryPoint("toy", "tests.recipes.toy:toy", "zspace.recipes")
    broken = importlib.metadata.EntryPoint("broken", "tests.nowhere:x", "zspace.recipes")
    found = {"zspace.recipes": [entry, broken]}
    monkeypatch.setattr(plugins, "entry_points", lambda group: found.get(group, []))
    assert recipes.recipes()[-2:] == ["broken", "toy"]
    zspace.train("toy", "digits", out=tmp_path / "run", iterations=3, device="cpu")
    assert zspace.load(tmp_path / "run").encode(torch.rand(1, 1, 8, 8)).shape == (1, 20)
    with pytest.raises(InputError, match=r"the recipe 'broken' of tests\.nowhere:x fails"):
        zspace.train("broken", "digits")
