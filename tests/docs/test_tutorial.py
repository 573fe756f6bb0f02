"""The tutorial: every command and every line of Python in it, in order, in one folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli

pytestmark = pytest.mark.slow

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
NUMBER = re.compile(r"\*\*|(?<![\w/-])[-+]?\d[\d,.:]*(?:e-?\d+)?%?(?![\w/])( =)?")
"""A number that depends on training or on time, with the marks of the best in a table."""


def blocks() -> list[tuple[str, str]]:
    """The language and the content of each block of code, and of each output."""
    text = TUTORIAL.read_text(encoding="utf-8")
    return re.findall(r"^```(bash|python|text)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def masked(line: str) -> str:
    """A line of output without its numbers and without what marks the best and the faulty."""
    return re.sub(r"\s+", " ", NUMBER.sub("", line.lstrip("! ").replace(" =", ""))).strip()


def test_the_tutorial_does_what_it_says(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    said = ""
    for language, content in blocks():
        if language == "bash":
            said = ""
            for line in content.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "zspace", line
                status, out, err = cli(*arguments)
                assert status == 0, err
                said += out + err
                said += "".join(Path(a).read_text("utf-8") for a in arguments if a.endswith(".md"))
        elif language == "python":
            exec(compile(content, TUTORIAL.name, "exec"), names)
        else:
            printed = {masked(line) for line in re.split(r"[\r\n]", said)}
            shown = {masked(line) for line in content.splitlines() if line != "…"}
            assert shown <= printed, (sorted(shown - printed), sorted(printed))
    assert len(blocks()) >= 10
