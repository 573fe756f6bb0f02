"""The architecture: a module imports only what stands below it; nothing needs torchvision."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "zspace"

ORDER = [
    "errors", "options", "storage", "cache", "core", "functional", "nets", "data", "run",
    "training", "samplers", "methods", "catalogue", "metrics", "neutral", "weights", "features",
    "tables", "plots", "recipes", "pictures", "api", "fitting", "export", "tuning", "bench",
    "evaluate", "evaluation", "compare", "diagnose", "neighbourhood", "novelty", "generations",
    "gallery", "report", "progress", "papers", "cli", "__main__",
]  # fmt: skip
"""Lowest first. Within a package, files import one another."""


def imports(path: Path) -> set[str]:
    """The top-level parts of zspace that a file imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("zspace"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {a.name for a in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("zspace.")}
    return found - {"__version__"}


FILES = sorted(p for p in SOURCE.rglob("*.py") if p != SOURCE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_downwards(path: Path) -> None:
    own = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    assert own in ORDER, f"{own} has no place in the order"
    for other in imports(path):
        assert ORDER.index(other) <= ORDER.index(own), f"{own} imports {other}, which is above it"


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
