"""`zspace reproduce`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def test_what_reproduce_refuses(tmp_path: Path, refused: Callable[..., str]) -> None:
    out = f"--out={tmp_path / 'out'}"
    assert "did you mean 'flexae/fig3'" in refused("reproduce", "flexae/fig33", out)
    assert "unknown scale 'huge'" in refused("reproduce", "flexae/fig3", "--scale=huge", out)
    assert "no --data" in refused("reproduce", "flexae/fig3", "--data=mnist", out)
    assert "takes one of mnist" in refused("reproduce", "all/systems", "--data=cifar10")
    assert "name is missing" in refused("reproduce")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("mine")
    assert "holds no experiment" in refused("reproduce", "flexae/fig3", out)
    (tmp_path / "out" / "experiment.json").write_text("{}")
    assert "holds another experiment" in refused("reproduce", "flexae/fig3", out)
    assert not (tmp_path / "out" / "runs").exists()
