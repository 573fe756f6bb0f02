"""Other pages in a browser: of vectors, of a training, and one that opens from a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import zspace
from tests.browser import Browser
from tests.conftest import SMALL
from tests.exploring.test_browser import changing, press, quiet
from zspace.evaluation.results import write_evaluation
from zspace.exploring.export import write_page
from zspace.exploring.page import Page
from zspace.exploring.space import Space
from zspace.storage.run import Run

pytestmark = pytest.mark.slow


def test_vectors_have_a_map_and_dimensions(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", torch.randn(80, 6).numpy())
    zspace.train("ae", tmp_path / "v.npy", out=tmp_path / "run", iterations=5, **SMALL)
    with Page([Space.of_run(tmp_path / "run")]) as page:
        page.start()
        browser = Browser(tmp_path / "profile")
        browser.open(page.address)
        browser.until("Number(document.querySelector('.board')?.dataset.points) > 50")
        browser.run("document.querySelector('[data-view=dimensions]').click()")
        browser.until("document.querySelector('#view .big canvas')")
        browser.run("document.querySelector('[data-view=generate]').click()")
        browser.until("document.querySelector('#view .hint').textContent.includes('are vectors')")
        assert browser.run("document.getElementById('tray').hidden")
        assert browser.said == []
        browser.close()


def test_a_training_is_followed(runs: dict[str, Path], tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", Run(runs["vae"]).config) as run:
        run.log(10, {"loss": 2.0})
        with Page([Space.of_run(tmp_path / "run")]) as page:
            page.start()
            browser = Browser(tmp_path / "profile")
            browser.open(page.address)
            browser.until("document.querySelector('.curves')?.dataset.at === '10'")
            run.log(20, {"loss": 1.0})
            browser.until("document.querySelector('.curves').dataset.at === '20'")
            shutil.copy(runs["vae"] / "model.safetensors", run.folder)
            browser.until("document.querySelectorAll('#view canvas').length === 32")
            browser.run("document.querySelector('[data-view=map]').click()")
            browser.until("Number(document.querySelector('.board')?.dataset.points) > 100")
            assert browser.said == []
            browser.close()


def test_an_exported_page_opens_from_a_file(
    spaces: dict[str, Space], rendered_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zspace.exploring.export.POINTS", 60)
    path = write_page([spaces["vae"], Space.of_run(rendered_runs / "lsrgan")], tmp_path / "out")
    browser = Browser(tmp_path / "profile")
    browser.open(path.as_uri())
    browser.until("document.querySelector('.board')?.dataset.points === '60'")
    browser.choose("[data-name=method]", "tsne")
    browser.choose("[data-name=colour]", "error")
    browser.run("document.querySelector('[data-view=generate]').click()")
    browser.until("document.querySelectorAll('#view .grid canvas').length === 64")
    with changing(browser, "#view .grid"):
        press(browser, "Next seed")
    browser.run("document.querySelector('[data-view=walk]').click()")
    browser.until("document.querySelectorAll('#view .grid canvas').length === 17")
    browser.choose("[data-name=walk]", "3")
    browser.until("document.querySelectorAll('#view .grid canvas').length === 81")
    browser.choose("#run", "1")  # of two decoders
    browser.run("document.querySelector('[data-view=generate]').click()")
    browser.until("document.querySelectorAll('#view .grid canvas').length === 64")
    quiet(browser)
    assert all(a.startswith(("file:", "data:", "about:")) for a in browser.asked)
    browser.close()


def test_figures_of_runs_stand_side_by_side(runs: dict[str, Path], tmp_path: Path) -> None:
    expected: list[str] = []
    for name in ("ae", "vae"):
        shutil.copytree(runs[name], tmp_path / name)
        (tmp_path / name / "evaluation.json").unlink(missing_ok=True)
        measured = zspace.evaluate(tmp_path / name, metrics=["mse"], device="cpu")
        write_evaluation(tmp_path / name, measured)
        mse = measured["rows"][0]["figures"]["mse"]
        expected.append(f"{mse['value']:.3g} ± {mse['error']:.1g}")
    with Page([Space.of_run(tmp_path / name) for name in ("ae", "vae")]) as page:
        page.start()
        browser = Browser(tmp_path / "profile")
        browser.open(f"{page.address}#view=compare")
        browser.until("document.querySelector('#view tbody tr')")
        cells = "[...document.querySelectorAll('#view tr')].map((r) => r.innerText.split('\\t'))"
        head, first = json.loads(browser.run(f"JSON.stringify({cells})"))[:2]
        assert head == ["figure", "ae", "vae"]
        assert first[0] == "reconstructions: mse ↓"
        assert [float(c.split()[0]) for c in first[1:]] == [float(c.split()[0]) for c in expected]
        assert browser.said == []
        browser.close()
