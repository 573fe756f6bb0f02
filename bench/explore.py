"""What the page of `zspace explore` lets one wait for, as a browser without a window sees it.

    python bench/explore.py RUN [--data-dir DIR] [--points N [N ...]]

The first paint and the first map; for each number of points the map, with and without their
encoding, and a lasso over nearly all of them; 64 generated images; a step of a slider. Medians of
five where something is repeated, in milliseconds. It needs the clone, for the driver of Chromium
that the tests use.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.browser import Browser

from zspace.exploring.page import Page
from zspace.exploring.space import Space

GENERATED = "document.querySelectorAll('#view .grid canvas').length === 64"


def measured(browser: Browser, name: str) -> list[float]:
    """The durations, in milliseconds, that the page's own script has measured."""
    entries = f"performance.getEntriesByName('zspace {name}').map((e) => e.duration)"
    return json.loads(browser.run(f"JSON.stringify({entries})"))


def repeated(browser: Browser, name: str, selector: str, values: list[float]) -> float:
    """The median of what setting a control to each value in turn takes."""
    before = len(measured(browser, name))
    for done, value in enumerate(values, 1):
        browser.choose(selector, value)
        browser.until(
            f"performance.getEntriesByName('zspace {name}').length >= {before + done}", 60
        )
    return median(measured(browser, name)[before:])


def points(browser: Browser, count: int) -> float:
    """The milliseconds until a map of so many points is shown."""
    began = time.monotonic()
    browser.choose("[data-name=points]", count)
    browser.until(f"document.querySelector('.board').dataset.points === '{count}'", 300)
    return 1000 * (time.monotonic() - began)


def lasso(browser: Browser) -> tuple[int, float]:
    """How many points a lasso has selected, and what that took."""
    browser.choose("[data-name=pointer]", "lasso")
    box = browser.run("JSON.stringify(document.querySelector('.board').getBoundingClientRect())")
    left, top, width, height = (json.loads(box)[k] for k in ("left", "top", "width", "height"))
    at = [(left + x * width, top + y * height) for x, y in ((0.02, 0.02), (0.98, 0.02))]
    at += [(left + x * width, top + y * height) for x, y in ((0.98, 0.98), (0.02, 0.98))]
    browser.mouse("mousePressed", *at[0], True)
    for x, y in at:
        browser.mouse("mouseMoved", x, y, True)
    before = len(measured(browser, "lasso"))
    browser.mouse("mouseReleased", *at[-1])
    browser.until(f"performance.getEntriesByName('zspace lasso').length > {before}")
    browser.until("document.querySelector('[data-selected]')")
    browser.choose("[data-name=pointer]", "look")
    count = browser.run("Number(document.querySelector('[data-selected]').dataset.selected)")
    return count, measured(browser, "lasso")[-1]


def main() -> None:
    plain = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("run")
    parser.add_argument("--data-dir")
    parser.add_argument("--points", type=int, nargs="*", default=[])
    given = parser.parse_args()
    rows: list[tuple[str, float]] = []
    space = Space.of_run(given.run, data_dir=given.data_dir)
    with tempfile.TemporaryDirectory() as folder, Page([space]) as page:
        page.start()
        browser = Browser(Path(folder))
        began = time.monotonic()
        browser.open(page.address)
        browser.until("document.querySelector('.board')?.dataset.points", 300)
        first = 1000 * (time.monotonic() - began)
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        rows += [("first paint", browser.run(paint)), ("first map", first)]
        for count in given.points:
            rows.append((f"map of {count:,}, encoding included", points(browser, count)))
            points(browser, 500)
            rows.append((f"map of {count:,}, encoded before", points(browser, count)))
            selected, took = lasso(browser)
            rows.append((f"lasso of {selected:,}", took))
        browser.run("document.querySelector('[data-view=generate]').click()")
        browser.until(GENERATED, 120)
        took = repeated(browser, "generate", "[data-name=seed]", [1, 2, 3, 4, 5])
        rows.append(("generate 64", took))
        browser.run("document.querySelector('[data-view=dimensions]').click()")
        browser.until("document.querySelector('#view .big canvas')", 60)
        took = repeated(browser, "slider", "#view input[type=range]", [-2, -1, 0, 1, 2])
        rows.append(("slider", took))
        browser.close()
    print(f"| {given.run} | ms |\n| --- | ---: |")
    for what, milliseconds in rows:
        print(f"| {what} | {milliseconds:,.0f} |")


if __name__ == "__main__":
    main()
