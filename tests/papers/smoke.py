"""An experiment at the scale `smoke`, by its command."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Cli


def reproduced(cli: Cli, name: str, out: Path, shelf: Path) -> None:
    """Reproduce an experiment on the digits; trained runs lie on a shelf, which others share."""
    options = ("--scale=smoke", "--data=digits", "--quiet", "--device=cpu")
    status, said, err = cli("reproduce", name, *options, "--out", out, "--runs", shelf)
    assert status == 0, err
    assert (out / "table.md").is_file()
    assert "ours is of" in said
