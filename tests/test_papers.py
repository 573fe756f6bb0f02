"""The experiments run, from the command line, at a size that proves nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from zspace.papers.flexae import main


@pytest.mark.parametrize("figure, rows", [("fig2", 10), ("fig3", 2)])
def test_flexae_figures(tmp_path: Path, figure: str, rows: int) -> None:
    for _ in range(2):  # the second reads what the first has trained
        done = CliRunner().invoke(main, [figure, "--out", str(tmp_path), "--iterations", "10"])
        assert done.exit_code == 0, done.output
    stored = json.loads((tmp_path / f"{figure}.json").read_text())
    assert len(stored) == rows
    assert all(row["frechet"] > 0 for row in stored)
    assert (tmp_path / f"{figure}.png").exists()
