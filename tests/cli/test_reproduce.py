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


def test_several_experiments_are_a_queue(
    tmp_path: Path, cli: Callable[..., tuple[int, str, str]]
) -> None:
    """One that fails stops no other, and the same command goes on with what is not finished."""
    command = ("reproduce", "gen/fig4", "gen/table1", "--scale=smoke", f"--out={tmp_path}")
    status, out, err = cli(*command)
    assert status == 2
    assert [line[:9] for line in err.splitlines()] == ["gen/fig4:", "zspace: 1"]
    assert "1 of 2 failed: gen/fig4" in err
    made = tmp_path / "gen-table1-smoke" / "table.json"
    before = made.stat().st_mtime_ns
    assert "h_opt" in out
    assert [p.name for p in tmp_path.iterdir()] == ["gen-table1-smoke"]
    status, out, err = cli(*command)
    assert status == 2
    assert "gen/table1: finished" in out
    assert made.stat().st_mtime_ns == before
    assert "unknown experiment" in cli("reproduce", "gen/table1", "gen/tabel2")[2]


def test_a_queue_takes_nothing_else_for_finished_and_goes_on_where_a_folder_is_a_file(
    tmp_path: Path, cli: Callable[..., tuple[int, str, str]]
) -> None:
    queue = ("reproduce", "gen/dimensions", "gen/table1", "--scale=smoke")
    folder = tmp_path / "gen-dimensions-smoke"
    folder.mkdir()
    (folder / "table.json").write_text("{}")
    (tmp_path / "gen-table1-smoke").write_text("")
    status, out, err = cli(*queue, f"--out={tmp_path}")
    assert status == 2
    assert "finished" not in out
    assert "gen/dimensions: --out" in err
    assert "holds no experiment" in err
    assert "gen/table1: " in err
    assert "2 of 2 failed" in err
    others = ("reproduce", "flexae/fig3", "gen/dimensions", "--scale=smoke")
    file = tmp_path / "gen-table1-smoke"
    status, out, err = cli(*others, f"--out={tmp_path / 'b'}", f"--runs={file}")
    assert "h_opt" in out
    assert f"flexae/fig3: {file} is a file where a folder is needed" in err
    assert "1 of 2 failed" in err
    assert "takes no --features" in cli(*queue, "--features=pixels", f"--out={tmp_path}")[2]
