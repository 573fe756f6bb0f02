"""What steers a terminal, or forges lines, in the names of a received run or in paths."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.conftest import Cli
from zspace.display.tables import Table
from zspace.errors import visible_lines
from zspace.generation.fit import fit_sampler
from zspace.storage.files import read_tensors, write_tensors
from zspace.storage.run import Run

BAD = "\x1b]0;title\x07\x1b[2J\nzspace: forged"


def test_lines_stay_and_the_rest_is_escaped() -> None:
    assert visible_lines("a\nb\x1b[31m\r\n") == "a\nb\\x1b[31m\\r\n"


def test_names_in_the_facts_of_a_run(cli: Cli, runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "r"
    shutil.copytree(runs["ae"], run)
    fit_sampler(run, "convex")
    path = run / "model.safetensors"
    tensors, header = read_tensors(path, dict)
    header["facts"]["classes"][0] = BAD
    header["facts"]["classes"][1] = "x" * 5000
    write_tensors(path, tensors, header)
    names = Run(run).facts.classes
    assert all(name.isprintable() and len(name) <= 100 for name in names)
    status, out, err = cli("sample", run, "--sampler=convex", "--n=10")
    assert status == 0, err
    assert len(out.splitlines()) == 10
    assert "\x1b" not in out + err
    assert "class \\x1b]0;title\\x07\\x1b[2J\\nzspace: forged: 1 combinations" in out


def test_texts_in_an_evaluation(cli: Cli, runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "r"
    shutil.copytree(runs["ae"], run)
    options = ["--features=pixels", "--n=20", "--device=cpu"]
    assert cli("evaluate", run, *options)[0] == 0
    path = run / "evaluation.json"
    stored = json.loads(path.read_text())
    for name in ("run", "data", "features", "recipe"):
        stored[name] += BAD
    stored["notes"] = [BAD]
    stored["rows"][0]["subject"] += BAD
    stored["rows"][0]["figures"][BAD] = {"value": 1.0, "error": None, "uncertainty": "none"}
    path.write_text(json.dumps(stored))
    status, out, err = cli("compare", run, *options)
    assert status == 0, err
    assert "\x1b" not in out + err
    assert "\nzspace: forged" not in out + err
    assert "\\x1b[2J\\nzspace: forged" in out


def test_tables_on_a_terminal() -> None:
    table = Table([BAD], [[BAD]], BAD, [BAD])
    made = table.rich()
    cells = [made.title, made.columns[0].header, *made.columns[0].cells]
    assert all("\x1b" not in str(cell) and "\n" not in str(cell) for cell in cells)
    assert "\x1b" not in table.markdown()


def test_paths_of_results(cli: Cli, runs: dict[str, Path], tmp_path: Path) -> None:
    for name in ("a\x1b[31m.png", "b\nzspace: forged.png"):
        out = tmp_path / name
        status, said, err = cli("sample", runs["vae"], "--n=4", "--out", out)
        assert (status, err) == (0, "")
        assert out.is_file()
        assert said.splitlines() == [said.removesuffix("\n")]
        assert "\x1b" not in said
