"""The rooms of the package, and what imports what: read from the source.

    python tests/layout.py --graph

prints every arrow between two rooms with the number of imports behind it.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "zspace"

ORDER = [line.split()[0] for line in (ROOT / "docs" / "rooms.txt").read_text().splitlines()]
"""The rooms, lowest first: each imports only from those before it, and from itself."""

FILES = sorted(p for p in SOURCE.rglob("*.py") if p.parent != SOURCE or "__" not in p.name)
"""Every module but the package's own `__init__` and `__main__`, which open the door."""


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def room(path: Path) -> str:
    """The room that a file of the package is in."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    """The room of every import of the package's own, anywhere in a file."""
    found: list[str] = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "zspace":
            parts = (node.module or "").split(".")
            found += [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [a.name.split(".")[1] for a in node.names if a.name.startswith("zspace.")]
    return [name for name in found if name != "__version__"]


def arrows() -> Counter[tuple[str, str]]:
    """How many imports lead from one room to another."""
    return Counter(
        (room(path), other) for path in FILES for other in imports(path) if other != room(path)
    )


if __name__ == "__main__":
    if sys.argv[1:] != ["--graph"]:
        sys.exit(__doc__)
    found = arrows()
    for (importer, imported), count in sorted(found.items(), key=lambda i: ORDER.index(i[0][0])):
        print(f"{importer:10} -> {imported:10} {count}")
    loose = [p for p in SOURCE.glob("*.py") if "__" not in p.name]
    lines = sum(len(p.read_text(encoding="utf-8").splitlines()) for p in SOURCE.rglob("*.py"))
    print(
        f"{len(found)} arrows between {len(ORDER)} rooms, {sum(found.values())} imports; "
        f"{len(loose)} loose modules; {lines} lines"
    )
