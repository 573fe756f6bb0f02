"""What the site makes by itself: the API and command-line reference, the navigation, formulas.

MkDocs calls these functions while it builds (see mkdocs.yml). A new module, recipe, sampler or
command appears in the reference without a word here.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from formulas import font, plain, tex
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "zspace"

GUIDE = (
    "concepts",
    "methods",
    "data",
    "training",
    "sampling",
    "zoo",
    "own-model",
    "measuring",
    "comparing",
    "novelty",
    "augmenting",
    "exporting",
    "explore",
    "reproducing",
    "extending",
)
"""Pages of the guide, in the order in which they are read; others follow by name."""


RESULTS = ("systems", "samplers", "evaluation")
"""Pages of results that compare systems; those of one paper each follow by name."""


WIDE = 8
"""Columns of a table that fit beside the list of a page's contents."""


def title_of(path: Path) -> str:
    """The title of a Markdown page in the navigation: its first heading, up to a colon or comma."""
    text = path.read_text(encoding="utf-8")
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return re.split("[:,]", found.group(1))[0].strip() if found else path.stem


def in_order(paths: Iterable[Path], first: Sequence[str]) -> list[Path]:
    """The pages that are named first, in that order, and then the others by name."""
    rank = {name: place for place, name in enumerate(first)}
    return sorted(paths, key=lambda path: (rank.get(path.stem, len(rank)), path.stem))


def tables_of(result: Path) -> list[dict[str, str]]:
    """The tables behind a page of results, as the commands wrote them."""
    folder = result.with_suffix("")
    return [
        {path.stem: f"results/{folder.name}/{path.name}"} for path in sorted(folder.glob("*.md"))
    ]


def rooms() -> dict[str, str]:
    """The rooms of the package and what is in each, from docs/rooms.txt."""
    lines = (ROOT / "docs" / "rooms.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(maxsplit=1) for line in lines)


def modules(room: str) -> list[str]:
    """The modules of a room that have anything to document, by their full names."""
    folder = SOURCE / room
    if not folder.is_dir():
        return [f"zspace.{room}"]
    paths = sorted(folder.rglob("*.py"))
    names = [path.relative_to(SOURCE.parent).with_suffix("").parts for path in paths]
    return [".".join(parts) for parts in names if parts[-1] != "__init__"]


def api_page(room: str, about: str) -> str:
    """The reference of a room: every public name of its modules, from the docstrings."""
    sections = "\n\n".join(f"::: {name}" for name in modules(room))
    return f"# zspace.{room}\n\n{about[0].upper()}{about[1:]}.\n\n{sections}\n"


def api_index() -> str:
    """The names of the package itself, and the list of rooms, lowest first."""
    import zspace

    names = ((name, getattr(zspace, name)) for name in sorted(zspace.PLACES))
    front = "\n".join(
        f"| [`zspace.{name}`][{it.__module__}.{name}] | {first_sentence(it.__doc__ or '')} |"
        for name, it in names
    )
    rows = "\n".join(f"| [{name}]({name}.md) | {about} |" for name, about in rooms().items())
    packages = ", ".join(f"[`{name}`]({name}.md)" for name in zspace.ROOMS)
    return (
        "# API reference\n\n"
        f"The front door is `zspace` itself:\n\n| name | what it does |\n|---|---|\n{front}\n\n"
        f"The packages {packages} can be used as its attributes, too. A module imports only from "
        "the rooms above its own in this table:\n\n"
        f"| room | what is in it |\n|---|---|\n{rows}\n"
    )


def first_sentence(text: str) -> str:
    """The first sentence of a docstring or help text, for a cell of a table."""
    return re.split(r"(?<=[.])\s", " ".join(text.split()))[0].replace("|", r"\|")


def commands() -> dict[str, click.Command]:
    """Every command of the command line, by name, in the order of its help."""
    from zspace.cli import cli

    context = click.Context(cli)
    found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def help_of(name: str, command: click.Command) -> str:
    """A command's own help, as `zspace NAME --help` prints it."""
    parent = click.Context(click.Group("zspace"), info_name="zspace")
    context = click.Context(command, info_name=name, parent=parent, max_content_width=90)
    context.help_option_names = ["-h", "--help"]
    return f"```text\n{command.get_help(context)}\n```"


def cli_pages() -> dict[str, str]:
    """The command-line reference: a page of all commands, and one of the recipes of `train`."""
    listed = "\n".join(
        f"| [{name}](#zspace-{name}) | {first_sentence(command.help or '')} |"
        for name, command in commands().items()
    )
    sections = [f"| command | what it does |\n|---|---|\n{listed}"]
    recipes: list[str] = []
    listed_recipes = ["| recipe | what it trains |\n|---|---|"]
    for name, command in commands().items():
        sections.append(f"## zspace {name}\n\n{help_of(name, command)}")
        if name == "train":
            assert isinstance(command, click.Group)
            sections[-1] += "\n\nThe options of every recipe: [recipes](recipes.md).\n"
            context = click.Context(command)
            for recipe in command.list_commands(context):
                made = command.get_command(context, recipe)
                assert made is not None
                listed_recipes.append(
                    f"| [{recipe}](#{recipe}) | {first_sentence(made.help or '')} |"
                )
                recipes.append(f"## {recipe}\n\n{help_of(f'train {recipe}', made)}")
    return {
        "reference/cli.md": "# Command line\n\n" + "\n\n".join(sections) + "\n",
        "reference/recipes.md": "\n\n".join(
            ["# Recipes of zspace train", "\n".join(listed_recipes), *recipes, ""]
        ),
    }


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation, from the pages that there are."""
    docs = ROOT / "docs"
    guide = in_order((docs / "guide").glob("*.md"), GUIDE)
    results = in_order((docs / "results").glob("*.md"), RESULTS)
    config.nav = [
        {"Home": "index.md"},
        {"Tutorial": "tutorial.md"},
        {"Guide": [{title_of(path): f"guide/{path.name}"} for path in guide]},
        {
            "Reference": [
                {"Command line": "reference/cli.md"},
                {"Recipes": "reference/recipes.md"},
                {
                    "API": [
                        "reference/api/index.md",
                        *({name: f"reference/api/{name}.md"} for name in rooms()),
                    ]
                },
            ]
        },
        {
            "Results": [
                *({title_of(path): f"results/{path.name}"} for path in results),
                {"Claims of the papers": "claims.md"},
                {"Methods and samplers": "matrix.md"},
                {"Speed": "benchmarks.md"},
                {"On an accelerator": "gpu.md"},
                {"Campaigns": "campaign.md"},
                {
                    "Tables as the commands wrote them": [
                        {title_of(path): tables} for path in results if (tables := tables_of(path))
                    ]
                },
            ]
        },
        {"Design": "design.md"},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the source, and the font of formulas."""
    pages = {"reference/api/index.md": api_index(), **cli_pages()}
    pages |= {f"reference/api/{name}.md": api_page(name, about) for name, about in rooms().items()}
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    files.append(File.generated(config, "math.woff", content=font()))
    return files


def on_page_markdown(markdown: str, *, page: Page, **context: Any) -> str:
    """Leave out the list of a page's contents where a table needs its room."""
    if any(line.count("|") > WIDE for line in markdown.splitlines()):
        page.meta["hide"] = ["toc"]
    return markdown


def replaced(pattern: str, made: Callable[[str], str], content: str) -> str:
    """The page with what `made` makes of each formula that the pattern finds."""
    return re.sub(
        pattern, lambda found: made(html.unescape(found.group(1))), content, flags=re.DOTALL
    )


def on_page_content(content: str, **context: Any) -> str:
    """Formulas as MathML: TeX of the guide, and the plain ones of docstrings."""
    for pattern, made in (
        (r'<span class="arithmatex">\\\((.*?)\\\)</span>', tex),
        (r'<div class="arithmatex">\\\[(.*?)\\\]</div>', partial(tex, block=True)),
        (r'<div class="plain-formula">(.*?)</div>', plain),
    ):
        content = replaced(pattern, made, content)
    return content
