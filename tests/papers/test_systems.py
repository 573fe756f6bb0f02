"""The systems side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.papers.smoke import claims_name_what_it_measures


@pytest.mark.slow
def test_systems(tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "out"
    status, _, err = cli(
        "reproduce",
        "all/systems",
        "--scale=smoke",
        "--data=digits",
        "--out",
        out,
        "--quiet",
        "--device=cpu",
    )
    assert status == 0, err
    table = (out / "systems.md").read_text().splitlines()
    assert [line.split(" | ")[0] for line in table if line.startswith("| ")][2:] == [
        "| FlexAE",
        "| categorical generation",
        "| AE + mixture",
    ]
    assert (out / "systems.png").exists()
    claims_name_what_it_measures("all/systems", out)
