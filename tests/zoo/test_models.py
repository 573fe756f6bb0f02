"""The models that the repository holds: their files, cards and figures agree with the index."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from PIL import Image

import zspace
from tests.conftest import Cli
from zspace.features.judges import read_judge
from zspace.options import options_of
from zspace.recipes import find
from zspace.storage.published import INDEX, JUDGE, entries, fault, get, judges
from zspace.storage.run import Run
from zspace.zoo.card import card, drawing, judge_card
from zspace.zoo.check import check

ROOT = Path(__file__).parents[2]
HELD = [name for name in entries() if (ROOT / "zoo" / name / "model.safetensors").is_file()]
"""The models whose files are a part of the repository."""

SMALL = [name for name in HELD if entries()[name].data in ("digits",)]
"""Those whose data are here."""


@pytest.fixture(autouse=True)
def _without_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZSPACE_ZOO", raising=False)


def test_there_are_models_of_the_bundled_data() -> None:
    assert {"digits-flexae-sr", "digits-gen", "digits-regene", "digits-vae-mlp"} <= {*SMALL}
    assert INDEX.parent.name == "zoo"


@pytest.mark.parametrize("name", HELD)
def test_a_file_is_that_of_the_index(name: str) -> None:
    entry, folder = entries()[name], ROOT / "zoo" / name
    assert fault(folder / "model.safetensors", entry) is None
    assert (folder / "card.md").read_text(encoding="utf-8") == card(name, entry)
    with Image.open(folder / "samples.png") as opened:
        # a row or a column of classes, 32 images at least
        assert math.prod(opened.size) > 32 * math.prod(entry.facts.shape[1:])
    assert entry.figures
    assert entry.figures[0].error is not None
    run = Run(get(name))
    assert run.facts == entry.facts
    known = options_of(find(entry.recipe))
    assert set(known) <= run.config.keys()
    for word in run.config.values():
        assert not str(word).startswith(("/", "~")), "no path of the machine that made it"


def test_judges_are_those_of_their_index() -> None:
    for name, entry in judges().items():
        folder = ROOT / "zoo" / name
        assert name.startswith(JUDGE)
        assert (folder / "card.md").read_text(encoding="utf-8") == judge_card(name, entry)
        if (folder / "model.safetensors").is_file():
            assert fault(folder / "model.safetensors", entry) is None
            assert not read_judge(name)[1].training
    assert not any(name.startswith(JUDGE) for name in entries())


@pytest.mark.parametrize("name", SMALL)
def test_a_model_does_what_its_card_says(name: str, tmp_path: Path, cli: Cli) -> None:
    check(name)
    words = drawing(name).split()[1:-1]
    status, _, err = cli(*words, tmp_path / "samples.png", "--seed=1")
    assert status == 0, err
    with Image.open(tmp_path / "samples.png") as opened:
        assert opened.size[0] > 8 * 8
    assert zspace.load(f"zoo:{name}").latent_dim > 1
