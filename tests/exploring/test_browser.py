"""Every view in a browser: what is done changes what is shown, and nothing is said or asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser import Browser
from tests.exploring.test_server import png
from zspace.exploring.page import Page

pytestmark = pytest.mark.slow

AXE = "4.14.1"
"""The release of axe-core that checks whether a page can be used by everybody."""

VIEWS = ("map", "generate", "walk", "dimensions", "combine", "imagine", "compare", "train")


@pytest.fixture(scope="module")
def shown(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser that has opened the page of a VAE and of ReGene."""
    browser = Browser(tmp_path_factory.mktemp("profile"))
    browser.open(page.address)
    browser.until("document.querySelector('#tabs button')")
    yield browser
    assert browser.said == []
    own = page.address
    assert [a for a in browser.asked if not a.startswith((own, "data:", "blob:", "about:"))] == []
    browser.close()


def to(shown: Browser, view: str, run: int = 0) -> None:
    """Open a view of a run, and wait until it shows something."""
    if shown.run("document.getElementById('run').value") != str(run):
        shown.choose("#run", str(run))
    shown.run(f"document.querySelector('[data-view={view}]').click()")
    shown.until("document.querySelector('#view canvas, #view svg, #view .hint')")


def seen(shown: Browser, selector: str) -> str:
    """All pixels of the canvases in a place, as text."""
    return shown.run(
        f"[...document.querySelectorAll({json.dumps(selector + ' canvas')})]"
        ".map((c) => c.toDataURL()).join()"
    )


@contextmanager
def changing(shown: Browser, selector: str) -> Iterator[None]:
    """What is done inside changes the pixels of a place, which is waited for."""
    before = seen(shown, selector)
    yield
    end = time.monotonic() + 30
    while seen(shown, selector) in (before, ""):
        assert time.monotonic() < end, (selector, shown.said)
        time.sleep(0.05)


def press(shown: Browser, text: str, place: str = "#view") -> None:
    shown.run(
        f"[...document.querySelectorAll({json.dumps(place + ' button')})]"
        f".find((b) => b.textContent === {json.dumps(text)}).click()"
    )


def quiet(shown: Browser) -> None:
    assert shown.run("document.getElementById('status').textContent") == ""
    assert shown.said == []


def test_map(shown: Browser) -> None:
    to(shown, "map")
    shown.until("Number(document.querySelector('.board').dataset.points) > 1000")
    box = shown.run("JSON.stringify(document.querySelector('.board').getBoundingClientRect())")
    left, top, width, height = (json.loads(box)[k] for k in ("left", "top", "width", "height"))
    shown.mouse("mouseMoved", left + width / 2, top + height / 2)
    shown.until("document.querySelector('.split canvas.image')")
    with changing(shown, ".split > div:last-child"):
        shown.mouse("mouseMoved", left + width - 5, top + height - 5)  # no point is so far out
        shown.until("document.querySelector('figcaption').textContent === 'decoded at the pointer'")
    shown.choose("[data-name=pointer]", "lasso")
    corners = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]
    shown.mouse("mousePressed", left + 0.2 * width, top + 0.2 * height, True)
    for x, y in corners:
        shown.mouse("mouseMoved", left + x * width, top + y * height, True)
    shown.mouse("mouseReleased", left + 0.2 * width, top + 0.75 * height)
    shown.until("document.querySelectorAll('.split .grid canvas').length > 20")
    assert "images" in shown.run("document.querySelector('.split h2').textContent")
    for value in ("error", "density", "part"):
        with changing(shown, ".board"):
            shown.choose("[data-name=colour]", value)
        shown.until("document.querySelector('progress').hidden")
    with changing(shown, ".board"):
        shown.choose("[data-name=layer]", "prior")
    shown.choose("[data-name=layer]", "")
    shown.choose("[data-name=points]", "500")
    shown.until("document.querySelector('.board').dataset.points === '500'")
    with changing(shown, ".board"):
        shown.choose("[data-name=method]", "tsne")
        shown.until("document.querySelector('progress').hidden === false")
    shown.until("document.querySelector('progress').hidden", 60)
    shown.choose("[data-name=method]", "pca")
    quiet(shown)


def test_a_class_of_the_legend_is_selected(shown: Browser) -> None:
    to(shown, "map")
    shown.choose("[data-name=colour]", "label")
    shown.until("document.querySelectorAll('.legend button').length === 10")
    assert "% of the codes' variance" in shown.run("document.querySelector('.hint').textContent")
    entry = "document.querySelectorAll('.legend button')[3]"
    told = shown.run(f"{entry}.textContent")
    with changing(shown, ".board"):
        shown.run(f"{entry}.click()")
    shown.until("document.querySelector('.split h2')")
    count = told.partition("(")[2].rstrip(")")
    assert shown.run("document.querySelector('.split h2').textContent") == f"{count} images"
    assert shown.run("document.querySelector('.split h2 + p').textContent") == f"3: {count}"
    assert shown.run(f"{entry}.getAttribute('aria-pressed')") == "true"
    with changing(shown, ".board"):
        shown.run(f"{entry}.click()")
    quiet(shown)


def test_generated_codes_are_not_on_curved_maps(shown: Browser) -> None:
    """A press on what t-SNE shows must not find them at their places of the linear map."""
    to(shown, "map")
    shown.choose("[data-name=points]", "500")
    shown.until("document.querySelector('.board').dataset.points === '500'")
    with changing(shown, ".board"):
        shown.choose("[data-name=layer]", "prior")
    shown.until("document.querySelector('.legend').textContent.includes('generated')")
    shown.choose("[data-name=method]", "tsne")
    shown.until("document.querySelector('progress').hidden", 90)
    shown.until("!document.querySelector('.legend').textContent.includes('generated')")
    shown.choose("[data-name=layer]", "")
    shown.choose("[data-name=method]", "pca")
    quiet(shown)


def test_map_by_keyboard(shown: Browser) -> None:
    to(shown, "map")
    shown.until("Number(document.querySelector('.board').dataset.points) > 100")
    shown.run("document.querySelector('.board canvas:last-child').focus()")
    shown.key("ArrowRight")
    shown.until("document.querySelector('.split canvas.image')")
    shown.key("Enter")
    shown.until("!document.getElementById('detail').hidden")
    shown.until("document.activeElement.closest('#detail')")
    shown.key("Escape")
    shown.until("document.getElementById('detail').hidden")
    shown.until("document.activeElement.closest('.board')")
    shown.run("document.querySelector('#tabs [aria-selected=true]').focus()")
    shown.key("ArrowRight")
    shown.until("document.getElementById('view').dataset.view === 'generate'")
    quiet(shown)


def test_generate_and_the_chosen_image(shown: Browser) -> None:
    to(shown, "generate")
    shown.until("document.querySelectorAll('#view .grid canvas').length === 64")
    with changing(shown, "#view .grid"):
        press(shown, "Next seed")
    assert "seed=1" in shown.run("location.hash")
    with changing(shown, "#view .grid"):
        shown.choose("input[aria-label=Temperature]", "0.5")
    shown.choose("[data-name=n]", "16")
    shown.until("document.querySelectorAll('#view .grid canvas').length === 16")
    shown.run("document.querySelector('#view .grid button').click()")
    shown.until("document.querySelectorAll('#detail .strip canvas').length === 8")
    press(shown, "Draw", "#detail")
    shown.until("document.querySelectorAll('#detail .strip canvas').length === 20")
    press(shown, "Choose", "#detail")
    shown.until("document.querySelectorAll('#tray canvas').length === 1")
    press(shown, "npz", "#detail")
    press(shown, "PNG", "#detail")
    quiet(shown)


def test_a_walk_between_chosen_images(shown: Browser, tmp_path: Path) -> None:
    to(shown, "walk")
    shown.until("document.querySelectorAll('#view .grid canvas').length === 17")
    with changing(shown, "#view .grid"):
        press(shown, "Two at random")
    shown.until("document.querySelectorAll('#view .grid canvas').length === 17")
    with changing(shown, "#view .big"):
        shown.choose("input[aria-label=Along]", "1")
    with changing(shown, "#view .grid"):
        shown.choose("[data-name=way]", "sphere")
    (tmp_path / "own.png").write_bytes(png())
    node = shown.run("document.querySelector('#tray input[type=file]').id = 'file'")
    assert node == "file"
    document = shown.tell("DOM.getDocument")["root"]["nodeId"]
    found = shown.tell("DOM.querySelector", nodeId=document, selector="#file")["nodeId"]
    count = shown.run("document.querySelectorAll('#tray canvas').length")
    shown.tell("DOM.setFileInputFiles", files=[str(tmp_path / "own.png")], nodeId=found)
    shown.until(f"document.querySelectorAll('#tray canvas').length === {count + 1}")
    press(shown, "Add a random one", "#tray")
    shown.choose("[data-name=between]", "4")
    shown.until("document.querySelectorAll('#view .grid canvas').length === 81")
    with changing(shown, "#view .split:last-child .big"):
        shown.choose("input[aria-label=Strength]", "-1")
    quiet(shown)


def test_dimensions(shown: Browser) -> None:
    to(shown, "dimensions")
    shown.until("document.querySelector('#view .big canvas')")
    with changing(shown, "#view .big"):
        shown.choose("input[type=range]", "3")
    with changing(shown, "#view .direction"):
        shown.choose("[data-name=along]", "principal")
    quiet(shown)


def test_combine(shown: Browser) -> None:
    to(shown, "combine", run=1)
    shown.until("document.querySelectorAll('#view tbody tr').length === 2")
    with changing(shown, "#view .big"):
        shown.choose("input[type=range]", "0")
    shown.choose("[data-name=class]", "3")
    shown.until("document.querySelector('#view tbody')")
    quiet(shown)


def test_imagine(shown: Browser) -> None:
    to(shown, "imagine")
    shown.until("document.querySelectorAll('#view .strip canvas').length === 9")
    with changing(shown, "#view"):
        press(shown, "Draw again")
    to(shown, "imagine", run=1)
    shown.until("document.querySelector('#view .hint').textContent.includes('no posterior')")
    quiet(shown)


def test_compare(shown: Browser) -> None:
    to(shown, "compare")
    shown.until("document.querySelectorAll('#view canvas').length === 120")
    with changing(shown, "#view"):
        press(shown, "Next seed")
    quiet(shown)


def test_train(shown: Browser) -> None:
    to(shown, "train")
    shown.until("document.querySelectorAll('#view svg').length > 0")
    shown.until("document.querySelectorAll('#view canvas').length === 32")
    quiet(shown)


def axe(folder: Path) -> str:
    """The script of axe-core, which npm fetches; the test is skipped where it can't."""
    held = os.environ.get("ZSPACE_AXE")
    if held:
        return Path(held).read_text(encoding="utf-8")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm: axe-core was not run")
    command = [npm, "pack", f"axe-core@{AXE}", "--pack-destination", str(folder)]
    if subprocess.run(command, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip("axe-core could not be fetched")
    with tarfile.open(folder / f"axe-core-{AXE}.tgz") as held_file:
        script = held_file.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


def test_everybody_can_use_every_view(shown: Browser, tmp_path: Path) -> None:
    script = axe(tmp_path)
    for dark in (False, True):
        for width in (1280, 390):
            shown.resize(width, 860, dark)
            for view in VIEWS:
                to(shown, view, run=1 if view == "combine" else 0)
                shown.until("document.querySelector('#view canvas, #view svg')")
                shown.run(f"{script}; 0")
                found = shown.run(
                    "axe.run().then((r) => JSON.stringify(r.violations.map((v) => [v.id, "
                    "v.nodes.slice(0, 3).map((n) => n.html.slice(0, 150))])))"
                )
                assert found == "[]", (view, dark, width, found)
                wide = shown.run("document.documentElement.scrollWidth")
                assert wide <= width, (view, wide)
    shown.resize(1280, 860)
    quiet(shown)


def test_the_address_keeps_the_state(page: Page, shown: Browser) -> None:
    shown.open(f"{page.address}#view=generate&run=1&seed=7&n=36")
    shown.run("location.reload()")
    time.sleep(0.5)
    shown.until("document.querySelectorAll('#view .grid canvas').length === 36")
    assert "regene" in shown.run("document.title")
    assert shown.run("document.querySelector('[data-name=seed]').value") == "7"
    shown.open(f"{page.address}#view=combine&run=1&seed=7&chosen=3,5,8")  # of the open page
    shown.until("document.querySelectorAll('#tray canvas').length === 3")
    shown.until("document.querySelector('#view .source')")
    press(shown, "Other sources")
    address = shown.run("location.hash")
    assert "seed=8" in address
    assert "chosen=3%2C5%2C8" in address
    quiet(shown)


def test_what_takes_long_is_told(shown: Browser, page: Page) -> None:
    to(shown, "generate")
    shown.until("!document.body.classList.contains('busy')")
    # all that is asked is held back until it is answered, since another request may be under way
    shown.run(
        "window.asks = fetch; window.held = [];"
        "window.fetch = (...all) => new Promise((done) => {"
        " held.push(() => asks(...all).then(done)); });"
        "window.answer = () => { window.fetch = asks; held.forEach((go) => go()); }"
    )
    press(shown, "Next seed")
    shown.until("getComputedStyle(document.body, '::after').visibility === 'visible'")
    with changing(shown, "#view .grid"):
        shown.run("window.answer()")
    shown.until("!document.body.classList.contains('busy')")
    shown.run("window.fetch = () => Promise.reject(new TypeError('Failed to fetch'))")
    press(shown, "Next seed")
    shown.until("document.getElementById('status').textContent.includes('was it ended?')")
    shown.run("window.fetch = asks")
    press(shown, "Next seed")
    shown.until("document.getElementById('status').textContent === ''")
