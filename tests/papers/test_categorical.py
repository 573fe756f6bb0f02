"""Categorical generation's table, figure and searches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.papers.smoke import reproduced
from zspace import papers
from zspace.generation.tuning import search

NAMES = [name for name in papers.EXPERIMENTS if name.startswith("categorical/")]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shelf")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_experiments_run(
    name: str, cli: Cli, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FRESH", 40)
    reproduced(cli, name, tmp_path / "o", shelf)
