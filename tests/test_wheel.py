"""The built wheel in an empty environment, and the Python lines of the README in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def plain_python(markdown: str) -> str:
    """The fenced blocks of Python that are no doctests, one after the other.

    >>> plain_python("```python\\nx = 1\\n```\\n\\n```python\\n>>> x\\n1\\n```\\n")
    'x = 1\\n'
    """
    blocks = re.findall(r"^```python\n(.*?)^```", markdown, flags=re.MULTILINE | re.DOTALL)
    return "\n".join(block for block in blocks if ">>>" not in block)


def test_the_wheel_does_what_the_readme_says(tmp_path: Path) -> None:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    environment = {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "ZSPACE_CACHE": str(tmp_path)}

    def run(*command: object) -> str:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "dist", ROOT)
    (wheel,) = (tmp_path / "dist").iterdir()
    run(sys.executable, "-m", "venv", tmp_path / "empty")
    python = tmp_path / "empty" / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, wheel)
    where = run(python, "-c", "import zspace; print(zspace.__file__)")
    assert where.startswith(str(tmp_path / "empty"))
    torch = run(python, "-c", "import torch; print(torch.__version__)").split("+")[0].strip()
    assert f"torch=={torch}" in constraints.read_text(encoding="utf-8").splitlines()

    text = README.read_text(encoding="utf-8")
    assert ">>>" in text or plain_python(text), "the README shows no Python"
    run(python, "-m", "doctest", README)
    (tmp_path / "readme.py").write_text(plain_python(text))
    run(python, tmp_path / "readme.py")
    zspace = tmp_path / "empty" / "bin" / "zspace"
    assert "train" in run(zspace, "--help")
    assert "digits-gen" in run(zspace, "zoo")
    run(zspace, "zoo", "--get=digits-gen", "--from", ROOT / "zoo")
    run(zspace, "sample", "zoo:digits-gen", "--out", "digits.png")
    run(zspace, "train", "ae", "--iterations=2", "--device=cpu", "--quiet", "--out", "run")
    assert (tmp_path / "run" / "samples.png").is_file()
