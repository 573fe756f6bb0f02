"""The site: built without a warning or a dead link, and with nothing loaded from elsewhere."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from xml.etree import ElementTree

import pytest

from tests.browser import opened

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
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site."""
    pytest.importorskip("mkdocs")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return out


@pytest.fixture(scope="module")
def site(built: Path) -> dict[str, Page]:
    """Every page of the site by its address."""
    pages = {
        HERE + str(path.relative_to(built)).removesuffix("index.html"): Page(
            path.read_text(encoding="utf-8")
        )
        for path in built.rglob("*.html")
        if path.name != "404.html"
    }
    files = {HERE + str(path.relative_to(built)): Page("") for path in built.rglob("*.*")}
    return {**files, **pages}


def test_nothing_is_loaded_from_another_host(site: dict[str, Page], built: Path) -> None:
    for address, page in site.items():
        for loaded in page.loads:
            whole = urljoin(address, loaded)
            assert whole.startswith((HERE, "data:")), f"{address} loads {loaded}"
    for path in built.rglob("*.css"):
        styles = path.read_text(encoding="utf-8")
        assert not re.search(r"""(@import|url\()\s*["']?(https?:)?//""", styles), path


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


def test_the_reference_is_whole(site: dict[str, Page]) -> None:
    from zspace.recipes import RECIPES

    assert all(name in site[f"{HERE}reference/recipes/"].places for name in RECIPES)
    assert "zspace.samplers.kde.KDE" in site[f"{HERE}reference/api/samplers/"].places
    assert "zspace-fit-sampler" in site[f"{HERE}reference/cli/"].places


def test_formulas_are_rendered(built: Path) -> None:
    for path in built.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "arithmatex" not in text, path
        assert "plain-formula" not in text, path
        for formula in re.findall(r"<math.*?</math>", text, re.DOTALL):
            ElementTree.fromstring(formula)  # well-formed
    api = built / "reference" / "api"
    assert (api / "methods" / "index.html").read_text(encoding="utf-8").count("<math") >= 15
    assert (api / "functional" / "index.html").read_text(encoding="utf-8").count("<math") >= 6


PROBE = """<script>addEventListener("load", () => document.fonts.ready.then(() => {
  const asked = performance.getEntriesByType("resource").map(e => e.name)
    .filter(n => !n.startsWith(location.origin) && !n.startsWith("data:"));
  const missing = [...document.images].filter(i => !i.naturalWidth).map(i => i.src);
  const wide = document.documentElement.scrollWidth > innerWidth;
  const font = [...document.fonts].some(f => f.family.includes("math") && f.status == "loaded");
  document.title = "seen " + JSON.stringify({asked, missing, wide, font});
}));</script></body>"""


@pytest.mark.parametrize(
    ("page", "width"),
    [
        ("", 1400),
        ("guide/methods/", 1400),
        ("guide/methods/", 400),
        ("reference/api/methods/", 1400),
        ("reference/cli/", 400),
        ("results/regene/", 1400),
        ("results/samplers/", 400),
        ("claims/", 400),
    ],
)
def test_a_page_in_a_browser(built: Path, tmp_path: Path, page: str, width: int) -> None:
    """Pictures show, formulas have their font, no page is wider than its window."""

    class Probed(SimpleHTTPRequestHandler):
        def send_head(self) -> Any:
            if not self.path.endswith("/"):
                return super().send_head()
            text = (built / self.path.strip("/") / "index.html").read_text(encoding="utf-8")
            content = text.replace("</body>", PROBE).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            return BytesIO(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Probed, directory=str(built))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/{page}"
        done = opened(address, tmp_path / "profile", f"--window-size={width},1000")
        server.shutdown()
    title = re.search(r"<title>seen (.*?)</title>", done.stdout)
    assert title, done.stderr[-2000:]
    seen = json.loads(html.unescape(title[1]))
    assert seen["asked"] == []
    assert seen["missing"] == []
    assert not seen["wide"]
    assert seen["font"] == ("<math" in (built / page / "index.html").read_text(encoding="utf-8"))
