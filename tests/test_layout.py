"""The architecture: a module imports only from the rooms before its own; no pickle is loaded."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.layout import FILES, ORDER, SOURCE, imports, parsed, room

LONGEST = 400
"""Lines that a module has at most, unless its first line says why."""


def test_imports_point_downwards() -> None:
    assert {room(path) for path in FILES} <= {*ORDER}, "a room has no place in docs/rooms.txt"
    assert not [
        f"{path}: {room(path)} imports {other}"
        for path in FILES
        for other in imports(path)
        if ORDER.index(other) > ORDER.index(room(path))
    ]


def test_every_room_is_there_and_says_what_is_in_it() -> None:
    assert {room(path) for path in FILES} == set(ORDER)
    for path in SOURCE.rglob("__init__.py"):
        assert ast.get_docstring(parsed(path)), path


def test_tests_mirror_the_rooms() -> None:
    """Every folder of tests is a room's, or of the documents."""
    tests = SOURCE.parents[1] / "tests"
    folders = {p.parent.relative_to(tests).parts[0] for p in tests.rglob("*/test_*.py")}
    assert folders <= {*ORDER, "docs"}
    for path in tests.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST, path


def test_few_modules_are_loose() -> None:
    assert len([p for p in SOURCE.glob("*.py") if "__" not in p.name]) <= 7


def test_modules_are_short() -> None:
    for path in FILES:
        lines = path.read_text(encoding="utf-8").splitlines()
        short = len(lines) <= LONGEST or "One module" in lines[0]
        assert short, f"{path} has {len(lines)} lines"


UNWANTED = {"torchvision", "timm", "pickle", "cloudpickle", "dill", "joblib", "shelve"}
"""Packages that nothing imports: two that are not needed, and those that load pickles."""


def unwanted(node: ast.AST) -> bool:
    """Whether a node needs a package that it must not, or loads what may run code."""
    if isinstance(node, ast.Import):
        return any(alias.name.split(".")[0] in UNWANTED for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[0] in UNWANTED
    if not isinstance(node, ast.Call):
        return False
    options = {k.arg: ast.unparse(k.value) for k in node.keywords}
    called = ast.unparse(node.func)
    return (
        called in ("eval", "exec")
        or options.get("allow_pickle", "False") != "False"
        or (called == "torch.load" and options.get("weights_only") != "True")
    )


def test_no_pickle_is_loaded_and_no_torchvision_needed() -> None:
    assert not [
        f"{path}, line {getattr(node, 'lineno', 0)}: {ast.unparse(node)}"
        for path in FILES
        for node in ast.walk(parsed(path))
        if unwanted(node)
    ]


@pytest.mark.parametrize(
    "code",
    (
        "import pickle",
        "from joblib import load",
        "import os, torchvision.datasets",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "eval(text)",
    ),
)
def test_what_may_run_code_is_found(code: str) -> None:
    assert any(unwanted(node) for node in ast.walk(ast.parse(code)))


def test_help_needs_no_torch() -> None:
    code = "import sys, zspace.cli; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
