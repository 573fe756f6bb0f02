"""Docstrings, help texts and comments stand alone: what is public has one, and none is clipped."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import zspace
from tests.conftest import HELP
from tests.layout import parsed
from zspace import api, recipes
from zspace.cli import cli as group
from zspace.data import DataOptions
from zspace.features.classifier import neutral_classifier
from zspace.options import Option, options_of
from zspace.recipes import catalogue

ROOT = Path(zspace.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

CLIPPED = re.compile(
    r"^(likewise|of|with|as|for|in|by)\b"
    r"|^(Likewise|Of|With)\b"
    r"|\blikewise\b|\bnone of either\b|\bgone on with\b|\bwhere there (is|are) none\b"
    r"|^to be had\b|\bcan't be had\b|\bby itself alone\b"
)
"""The beginnings and phrases of texts that do not stand alone, or are no idiomatic English."""


def name_of(file: Path) -> str:
    """The name by which a file's module is imported."""
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def overrides(kind: type, name: str) -> bool:
    """Whether a base class documents a method or property of this name."""
    bases = (base for base in kind.__mro__[1:] if base is not object)
    return any(getattr(vars(base).get(name), "__doc__", None) for base in bases)


def overloaded(node: ast.FunctionDef) -> bool:
    return any("overload" in ast.unparse(decorator) for decorator in node.decorator_list)


def undocumented(body: list[ast.stmt], owner: Any, path: str) -> Iterator[str]:
    """The public definitions in a module or class that have no docstring and inherit none."""
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        inherits = isinstance(owner, type) and overrides(owner, node.name)
        exempt = inherits or (isinstance(node, ast.FunctionDef) and overloaded(node))
        if ast.get_docstring(node) is None and not exempt:
            yield f"{path}.{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node.body, getattr(owner, node.name), f"{path}.{node.name}")


def test_whatever_is_public_has_a_docstring() -> None:
    bare = [name_of(file) for file in FILES if not ast.get_docstring(parsed(file))]
    for file in FILES:
        if file.name != "__main__.py":  # importing it would run the command line
            module = importlib.import_module(name_of(file))
            bare += undocumented(parsed(file).body, module, name_of(file))
    assert not bare


def text_of(node: ast.expr) -> str:
    """A string in the source; the parts of an f-string that vary are left out."""
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value for v in node.values if isinstance(v, ast.Constant))
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The docstrings, those of constants among them, and the help texts in a file, by line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and text_of(node.value):
            yield node.lineno, text_of(node.value)
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            helps = [k.value for k in node.keywords if k.arg == "help"]
            for text in [*node.args[:1], *helps] if called == "About" else helps:
                yield text.lineno, text_of(text)


def test_no_text_is_clipped() -> None:
    assert not [
        f"{name_of(file)}, line {line}: {text}"
        for file in FILES
        for line, text in texts(parsed(file))
        if CLIPPED.search(text)
    ]


def test_a_docstring_begins_with_a_sentence() -> None:
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = [
        (file, ast.get_docstring(node) or ".")
        for file in FILES
        for node in ast.walk(parsed(file))
        if isinstance(node, nodes)
    ]
    firsts = [(name_of(file), text.split("\n\n")[0]) for file, text in docstrings]
    assert not [of for of in firsts if not of[1].endswith((".", ":", "..."))]


OPTIONED: dict[str, Callable[..., Any]] = {
    **{name: recipes.find(name) for name in recipes.recipes()},
    **{f"the sampler {name}": kind for name, kind in catalogue.kinds().items()},
    "train": api.train,
    "the data": DataOptions,
    "the neutral classifier": neutral_classifier,
}


@pytest.mark.parametrize("owner", OPTIONED)
def test_an_option_is_described_by_itself(owner: str) -> None:
    options = options_of(OPTIONED[owner])
    assert options or owner == "the sampler normal"
    for option in options.values():
        check(option.name, option.about.text)
        if option.default is None:
            assert re.search(r" \(unset: .+\)$", option.about.text), unsaid(option)


def unsaid(option: Option) -> str:
    return f"{option.flag}: '{option.about.text}' does not end in what an unset option means"


def check(name: str, text: str | None) -> None:
    """Refuse help that is missing, of one word, or that needs the option's name to be read."""
    assert text is not None, f"{name} has no help"
    words = text.split("[default:")[0].split()
    assert len(words) >= 2, f"{name}: '{text}' is one word"
    assert not CLIPPED.search(text), f"{name}: '{text}' does not stand alone"


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, help_option_names=HELP)
        for part in command.list_commands(context):
            inner = command.get_command(context, part)
            assert inner is not None
            yield from commands(inner, f"{name} {part}")


def test_a_command_and_its_options_are_described_by_themselves() -> None:
    for name, command in commands(group, "zspace"):
        assert command.help, f"{name} has no help"
        assert len(command.help.split()) >= 4, f"{name}: '{command.help}'"
        for parameter in command.get_params(click.Context(command, help_option_names=HELP)):
            if isinstance(parameter, click.Option):
                check(f"{name} {parameter.opts[0]}", parameter.help)


@pytest.mark.parametrize(
    "text",
    (
        "likewise, of each class",
        "of the fit",
        "Likewise, of convex combinations alone.",
        "With s_2.",
        "Images of the known labels against all others; None where there are none of either.",
        "A search can be gone on with.",
    ),
)
def test_clipped_texts_are_found(text: str) -> None:
    assert CLIPPED.search(text)
