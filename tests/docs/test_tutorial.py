"""The tutorial: every command and every line of Python in it, in order, in one folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


def blocks() -> list[tuple[str, str]]:
    """The language and the content of each block of code that is to be run."""
    text = TUTORIAL.read_text(encoding="utf-8")
    return re.findall(r"^```(bash|python)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    script = tmp_path / "tutorial.sh"
    lines = ["set -eu", f'zspace() {{ "{sys.executable}" -m zspace "$@"; }}']
    python: list[str] = []
    for number, (language, content) in enumerate(blocks()):
        if language == "python":
            # each block goes on with the names of those before it
            python.append(content)
            (tmp_path / f"block{number}.py").write_text("\n".join(python), encoding="utf-8")
            lines.append(f'"{sys.executable}" block{number}.py')
        else:
            kept = [line for line in content.splitlines() if not line.startswith("pip ")]
            lines += kept
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", script.name], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(blocks()) >= 5
