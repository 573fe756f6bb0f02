"""What the pages say of the code: commands, names and quotations, held against it."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.conftest import HELP
from zspace.cli import cli
from zspace.methods.flexae import FlexAE

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "index.md",
    ROOT / "docs" / "tutorial.md",
    *sorted((ROOT / "docs" / "guide").glob("*.md")),
)
OWN = ("denoising", "laplace")
"""What docs/guide/extending.md adds as examples."""


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line of the pages: `zspace ...` in a block of shell or by itself."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        indented = re.findall(r"^ {4}(zspace .*)$", text, re.MULTILINE)
        spans = [span.replace("\n", " ") for span in re.findall(r"`(zspace [^`]+)`", text)]
        for line in [*"\n".join(blocks).splitlines(), *indented, *spans]:
            words = shlex.split(line, comments=True)
            if words[:1] == ["zspace"] and not any(word in OWN for word in words):
                yield f"{page.name}: {line}", words[1:]


def options_of(command: click.Command) -> set[str]:
    """The options of a command, those of samplers included, which its help lists."""
    names = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    text = command.get_help(click.Context(command, info_name="zspace", help_option_names=HELP))
    return names | set(re.findall(r"^ +(?:-h, )?(--[a-z0-9-]+)", text, re.MULTILINE)) | {"--help"}


def test_every_command_of_the_pages_is_there_with_its_options() -> None:
    context = click.Context(cli, help_option_names=HELP)
    seen: set[str] = set()
    for place, words in commands():
        if words[0].isupper() or words[0].startswith("-"):
            continue
        command = cli.get_command(context, words[0])
        assert command is not None, f"{place}: no such command"
        seen.add(words[0])
        rest = words[1:]
        if isinstance(command, click.Group) and rest and not rest[0].isupper():
            command = command.get_command(context, rest[0])
            assert command is not None, f"{place}: no such recipe"
        known = options_of(command)
        for word in rest:
            if word.startswith("--"):
                assert word.split("=")[0] in known, f"{place}: no option {word}"
    assert seen == set(cli.list_commands(context)), "each command is in a page"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_of_the_pages_names_what_there_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if ">>>" in block:
            continue
        if block.startswith('"'):  # the entry of a table
            block = f"{{{block}}}"
        if block.startswith("if ") and "return" in block:
            block = f"def part():\n{textwrap.indent(block, '    ')}"
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zspace."):
                if node.module is not None and node.module.endswith(OWN):
                    continue
                module = importlib.import_module(node.module or "")
                for alias in node.names:
                    assert hasattr(module, alias.name) or importlib.util.find_spec(
                        f"{node.module}.{alias.name}"
                    ), f"{page.name}: {node.module} has no {alias.name}"


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < 900


NAMES = {"Frechet": "Frechet, generated", "reconstructed": "Frechet, reconstructed"}
"""What README calls two columns of the systems' table."""


def table_of(path: str, heading: str) -> dict[str, dict[str, str]]:
    """The rows of a page's table with a heading, as mappings of columns, by their first cell."""
    text = (ROOT / path).read_text(encoding="utf-8")
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines: list[str] = block.splitlines()
        head, _, *rows = ([c.strip() for c in line.split("|")[1:-1]] for line in lines)
        if head[0] == heading:
            columns = [NAMES.get(c, c) for c in (c.rstrip(" ↑↓") for c in head)]
            return {row[0]: dict(zip(columns[1:], row[1:], strict=True)) for row in rows}
    raise AssertionError(f"{path} has no table {heading!r}")


@pytest.mark.parametrize(
    ("page", "heading", "written"),
    [
        ("README.md", "MNIST, tuned", "systems"),
        ("docs/results/systems.md", "MNIST, 6,000 iterations each", "systems"),
        ("docs/results/systems.md", "MNIST, two minutes each", "equal-time"),
    ],
)
def test_a_table_of_the_systems_has_the_figures_that_were_measured(
    page: str, heading: str, written: str
) -> None:
    measured = table_of(f"docs/results/systems/{written}.md", "")
    shown = table_of(page, heading)
    assert shown.keys() == measured.keys()
    for name, row in shown.items():
        same = row.keys() & measured[name].keys()
        assert len(same) >= 2
        assert written != "systems" or {"rate", "likelihood"} <= same
        assert {c: row[c] for c in same} == {c: measured[name][c] for c in same}, name


def test_the_algorithm_of_the_concepts_is_the_code() -> None:
    text = (ROOT / "docs" / "guide" / "concepts.md").read_text(encoding="utf-8")
    found = re.search(r"^```python\n(def objectives.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found is not None

    def body(code: str) -> str:
        function = ast.parse(textwrap.dedent(code)).body[0]
        assert isinstance(function, ast.FunctionDef)
        if ast.get_docstring(function) is not None:
            del function.body[0]
        return "\n".join(ast.unparse(statement) for statement in function.body)

    assert body(found.group(1)) == body(inspect.getsource(FlexAE.objectives))


PROTOCOL = re.compile(r"protocol\b[^.]*?\b(tuned|defaults|equal-time|none)\b", re.IGNORECASE)
"""A sentence that names the protocol of what was measured, or says that there is none."""


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs" / "results").glob("*.md")), ids=lambda page: page.stem
)
def test_every_table_of_results_says_by_which_protocol(page: Path) -> None:
    opening, *sections = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if not PROTOCOL.search(opening):
        assert not re.search(r"^\|", opening, re.MULTILINE)
        tables = [s for s in sections if re.search(r"^\|", s, re.MULTILINE)]
        assert [s.splitlines()[0] for s in tables if not PROTOCOL.search(s)] == []


def test_every_stored_table_names_its_command() -> None:
    pages = [page.read_text("utf-8") for page in (ROOT / "docs" / "results").rglob("*.md")]
    tables = [text for text in pages if "This call took" in text]
    assert len(tables) > 50
    for text in tables:
        experiment = re.match(r"# (\S+), \w+\n", text)
        assert experiment is not None, text[:40]
        assert f"Made by `zspace reproduce {experiment[1]} " in text, experiment[1]
