"""The architecture: a module imports only from the rooms before its own; no pickle is loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.layout import FILES, ORDER, SOURCE, imports, room

LONGEST = 400
"""Lines that a module has at most, unless its first line says why."""


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_downwards(path: Path) -> None:
    assert room(path) in ORDER, f"{room(path)} has no place in docs/rooms.txt"
    for other in imports(path):
        assert ORDER.index(other) <= ORDER.index(room(path)), f"{room(path)} imports {other}"


def test_every_room_is_there_and_says_what_is_in_it() -> None:
    assert {room(path) for path in FILES} == set(ORDER)
    for path in SOURCE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_tests_mirror_the_rooms() -> None:
    """Every folder of tests is a room's, or of the documents."""
    tests = SOURCE.parents[1] / "tests"
    folders = {p.parent.relative_to(tests).parts[0] for p in tests.rglob("*/test_*.py")}
    assert folders <= {*ORDER, "docs"}
    for path in tests.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST, path


def test_few_modules_are_loose() -> None:
    assert len([p for p in SOURCE.glob("*.py") if "__" not in p.name]) <= 7


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_modules_are_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST or "One module" in lines[0], f"{path} has {len(lines)} lines"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_pickle_is_loaded_and_no_torchvision_needed(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = {
        n.module if isinstance(n, ast.ImportFrom) else a.name
        for n in ast.walk(tree)
        if isinstance(n, ast.Import | ast.ImportFrom)
        for a in n.names
    }
    assert not any(n and n.split(".")[0] in ("torchvision", "timm") for n in names)
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    banned = {"pickle.load", "pickle.loads", "eval", "exec"}
    assert not banned & {ast.unparse(n.func) for n in calls}
    for call in calls:
        if ast.unparse(call.func) == "torch.load":
            assert "weights_only=True" in ast.unparse(call)


def test_help_needs_no_torch() -> None:
    code = "import sys, zspace.cli; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
