"""The page as one file that needs no server: what it asks for is computed beforehand and kept."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from zspace.core import SILENT, Progress
from zspace.exploring.maps import Method, coloured, placed, told_of
from zspace.exploring.pictures import packed, unpacked
from zspace.exploring.requests import Answer, Request
from zspace.exploring.space import Space, check_alike
from zspace.exploring.views import Draw, Show, Walk
from zspace.exploring.work import Steps
from zspace.generation.maps import LEAST
from zspace.storage.files import write_text

POINTS = 1000
"""The number of points of an exported map, at most, each with its image and reconstruction."""

SEEDS = 4
"""The number of seeds of each sampler."""

WALKS = ((0, 1), (2, 3), (4, 5), (0, 1, 2, 3), (4, 5, 6, 7))
"""The images, by number, between which an exported page can walk."""

MODULES = ("core.js", "map.js", "generate.js", "more.js", "app.js")
"""The scripts of the page, each after those that it imports."""


def write_page(spaces: Sequence[Space], out: Path, progress: Progress = SILENT) -> Path:
    """Write the page of some latent spaces to index.html in a new folder.

    It has the map (of 1,000 images at most), images of each sampler for a few seeds, and a few
    walks.

    Args:
        spaces: the latent spaces, all of the same data and with a model.
        out: the folder.
        progress: told the number of answers that are kept.

    Returns the file.
    Raises:
        InputError: a run has no model yet, or is of other data.
    """
    check_alike(list(spaces))
    kept: dict[str, Any] = {}
    methods: list[Method] = ["pca", "tsne"] if min(map(len, spaces)) >= LEAST else ["pca"]
    for number, space in enumerate(spaces):
        _keep(kept, number, space, methods, progress.about("answers for the page"))
    facts = [space.described() for space in spaces]
    kept["runs"] = {
        "runs": facts,
        "methods": methods,
        "points": min(POINTS, *map(len, spaces)),
        "seeds": SEEDS,
        "walks": [walk for walk in WALKS if max(walk) < min(map(len, spaces))],
    }
    page = as_one_file(page_files(), kept)
    new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "index.html"
    try:
        write_text(path, page)
    except OSError:
        if new:
            out.rmdir()
        raise
    return path


def _keep(
    kept: dict[str, Any], number: int, space: Space, methods: Sequence[Method], progress: Progress
) -> None:
    """Compute what a page of one space asks for."""
    count = min(POINTS, len(space))

    def keep(name: str, body: Mapping[str, Any], answer: Answer) -> None:
        kept[key(number, name, body)] = answer
        progress(len(kept), None)

    for method in methods:
        body: dict[str, Any] = {"method": method, "count": count}
        keep("place", body, done(space, placed(space, method, count)))
    for by in ("density", "error"):
        body = {"by": by, "count": count}
        keep("colour", body, done(space, coloured(space, by, count)))
    found: list[Tensor] = []
    for item in range(count):
        answer = Show([item]).answer(space)
        keep("show", {"items": [item]}, answer)
        found.append(unpacked(answer["codes"], (space.trained.latent_dim,)))
    z = torch.cat(found)  # those that the page knows, which rounding may tell from others
    if not space.images.is_image:
        return
    for sampler in space.sampler_names:
        for seed in range(SEEDS):
            request: Request = Draw(sampler, seed=seed)
            keep("draw", {"sampler": sampler, "n": 64, "seed": seed}, request.answer(space))
    for items in WALKS:
        if max(items) < len(z):
            for way in ("line", "sphere"):
                steps = 17 if len(items) == 2 else 9
                codes = packed(z[list(items)])
                body = {"codes": codes, "way": way, "steps": steps}
                keep("walk", body, Walk(codes, way, steps).answer(space))


def done(space: Space, steps: Steps) -> Answer:
    """What the page is told of long work, all of which is done at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return told_of(space, end.value, 1.0, done=True)


def key(run: int, name: str, body: Mapping[str, Any]) -> str:
    """The name of an answer: the request as the page's script writes it."""
    ordered = {field: body[field] for field in sorted(body)}
    return f"{run}/{name} {msgspec.json.encode(ordered).decode()}"


def page_files() -> dict[str, bytes]:
    """The files of the page by name, which are read once: no path is taken from a browser."""
    folder = files("zspace.exploring") / "page"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def as_one_file(parts: Mapping[str, bytes], kept: Mapping[str, Any]) -> str:
    """The page with its style, its scripts and the answers that it may ask for inside.

    Scripts in files of their own would not be loaded from a file, so that they become one.
    """
    text = {name: content.decode() for name, content in parts.items()}
    script = "\n".join(
        re.sub(r"^export |^import .*;\n", "", text[name], flags=re.MULTILINE) for name in MODULES
    )
    icon = base64.b64encode(parts["icon.svg"]).decode()
    answers = msgspec.json.encode(kept).decode().replace("<", "\\u003c")
    changes = {
        '<link rel="stylesheet" href="style.css">': f"<style>\n{text['style.css']}</style>",
        'href="icon.svg"': f'href="data:image/svg+xml;base64,{icon}"',
        '<script type="module" src="app.js"></script>': (
            f"<script>globalThis.zspaceKept = {answers};</script>\n"
            f'<script type="module">\n{script}</script>'
        ),
    }
    page = text["index.html"]
    for old, new in changes.items():
        page = page.replace(old, new)
    return page
