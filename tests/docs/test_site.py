"""The site: built without a warning or a dead link, and with nothing loaded from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HERE = "http://site/"
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
"""What a browser fetches by itself when a page is opened."""


class Page(HTMLParser):
    """What a page loads, what it links to, and the places that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        kind = given.get("rel", "")
        if tag in LOADED and LOADED[tag] in given and kind not in ("canonical", "next", "prev"):
            self.loads.append(given[LOADED[tag]])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    """Every page of the site by its address."""
    pytest.importorskip("mkdocs")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    built = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr, built.stderr
    pages = {
        HERE + str(path.relative_to(out)).removesuffix("index.html"): Page(
            path.read_text(encoding="utf-8")
        )
        for path in out.rglob("*.html")
        if path.name != "404.html"
    }
    files = {HERE + str(path.relative_to(out)): Page("") for path in out.rglob("*.*")}
    return {**files, **pages}


def test_nothing_is_loaded_from_another_host(site: dict[str, Page]) -> None:
    for address, page in site.items():
        for loaded in page.loads:
            whole = urljoin(address, loaded)
            assert whole.startswith((HERE, "data:")), f"{address} loads {loaded}"
    texts = [p.read_text(encoding="utf-8") for p in (ROOT / "docs").glob("*.css")]
    assert not any("http" in text for text in texts)


def test_every_link_leads_somewhere(site: dict[str, Page]) -> None:
    dead: list[str] = []
    for address, page in site.items():
        for link in page.links:
            whole = urlsplit(urljoin(address, link))
            if whole.netloc != "site" or not whole.scheme.startswith("http"):
                continue
            target = site.get(unquote(f"{whole.scheme}://{whole.netloc}{whole.path}"))
            if target is None or (whole.fragment and unquote(whole.fragment) not in target.places):
                dead.append(f"{address}: {link}")
    assert not dead


def test_formulas_are_rendered_and_the_reference_is_whole(site: dict[str, Page]) -> None:
    from zspace.recipes import RECIPES

    assert all(name in site[f"{HERE}reference/recipes/"].places for name in RECIPES)
    assert "zspace.samplers.kde.KDE" in site[f"{HERE}reference/api/samplers/"].places
    assert "zspace-fit-sampler" in site[f"{HERE}reference/cli/"].places
