"""Categorical generation's table, figure and searches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.papers.smoke import reproduced
from zspace import api, papers
from zspace.core import codes
from zspace.generation.tuning import search
from zspace.generation.tuning.lines import on_grid, space_of
from zspace.papers import categorical
from zspace.papers.entries import published
from zspace.papers.lab import Lab

NAMES = [name for name in papers.EXPERIMENTS if name.startswith("categorical/")]


@pytest.mark.slow
def test_claims_name_what_table4_measures(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the scale of the trials no sampler reaches the accuracies that the claims name."""
    monkeypatch.setattr(search, "FRESH", 40)
    reproduced(cli, "categorical/table4", tmp_path / "o")


@pytest.mark.usefixtures("small_sets")
def test_fig1_asks_for_the_bar_on_training_reconstructions(tmp_path: Path) -> None:
    settings = {"options": {"iterations": 3, "hidden": 16}, "samples": 10, "dim": 3}
    lab = Lab(tmp_path, settings, "digits", device="cpu", quiet=True)
    entries = {e.measure: e for e in categorical.fig1(lab) if e.what == "mmd-3 Simple"}
    for part in ("training", "test"):
        entry = entries[f"accuracy on reconstructed {part} images"]
        assert entry.data == f"digits {part.removesuffix('ing')}"
    trained = entries["accuracy on reconstructed training images"].ours
    assert any(f"training images, {trained}, is below 0.97" in note for note in lab.notes)
    assert entries["accuracy at mean cosine 0.9"].n == 10 * 10
    assert not any("paper's curves" in note for note in lab.notes)  # they are of D = 20


def test_where_the_curves_are_as_high_as_the_papers() -> None:
    said = categorical.agreement({"elbo at 0.9": True, "elbo at 0.75": False})
    assert said.endswith("as high: elbo at 0.9; that are lower: elbo at 0.75.")


def test_published_theta_is_point_181554_of_the_lexicographic_grid() -> None:
    table = published()["categorical/table4"]
    theta = next(row["theta"] for what, row in table.items() if "Medium1" in what)
    assert len(theta) == 11
    ask = next(on_grid(space_of("medium1", 11, 1), 181_554))
    assert ask.rows == [tuple(round(10 * t) for t in theta)]
    assert "point 181,554" in categorical.NOTE


@pytest.mark.usefixtures("small_sets")
def test_table4_has_a_row_for_the_lexicographic_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FRESH", 40)
    monkeypatch.setattr(categorical, "FRESH", 40)
    settings = {"options": {"iterations": 3, "hidden": 16}, "samples": 5}
    settings |= {"dims": (3, 2), "trials": 2, "prefix": 4}
    lab = Lab(tmp_path, settings, "mnist", device="cpu", quiet=True)
    entries = categorical.table4(lab)
    assert all("of 60,000 training images" in e.part for e in entries if e.measure == "accuracy")
    what = "MMD-2 Medium1, lexicographic prefix"
    assert [e.measure for e in entries if e.what == what][:2] == ["mean cosine", "accuracy"]
    leading, last = map(float, lab.more["options"][what]["theta"].split(","))
    assert leading == 0
    assert 0 <= last <= 0.3
    assert any("first 4 points at D = 2" in note for note in lab.notes)


@pytest.mark.usefixtures("small_sets")
def test_regions_are_judged_by_nearest_neighbours(tmp_path: Path) -> None:
    from sklearn.metrics import recall_score
    from sklearn.neighbors import KNeighborsClassifier

    settings = {"options": {"iterations": 30, "hidden": 16}}
    lab = Lab(tmp_path, settings, "digits", device="cpu", quiet=True)
    run = categorical._trained(lab, "mmd", 2)
    overall, least = categorical.regions(lab, run)
    images, model = api.run_images(run), api.load(run.folder, device="cpu")
    known = KNeighborsClassifier(categorical.NEIGHBOURS)
    known.fit(codes(model, images.train.x), images.train.y)
    z, y = codes(model, images.test.x), images.test.y
    assert overall.ours.value == pytest.approx(known.score(z, y), abs=0.01)
    of_each = recall_score(y, known.predict(z), average=None)
    assert least.ours.value == pytest.approx(min(of_each), abs=0.04)


def test_every_scale_states_its_choices() -> None:
    for name in NAMES:
        scales = papers.find(name).scales
        assert all(scale.choices for scale in scales.values())
        assert "8,000 iterations" in scales["small"].choices
