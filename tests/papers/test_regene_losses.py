"""ReGene's figures of losses and of training with generations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.papers.trial import trial_of
from zspace import papers
from zspace.core import Progress
from zspace.data.images import Part
from zspace.generation.combine import augmented, convex_of
from zspace.metrics import Figure
from zspace.options import checked, options_of
from zspace.papers.cells import Cells
from zspace.papers.entries import Entry
from zspace.papers.lab import Lab
from zspace.papers.regene import losses
from zspace.papers.regene.losses import LOSSES, fig16
from zspace.papers.regene.trained import trained
from zspace.recipes.regene import regene
from zspace.samplers import Convex
from zspace.storage.run import Run


def test_losses_of_figure_16_are_of_logits_and_of_the_softmax() -> None:
    assert len(LOSSES) == 7
    for name, options in LOSSES.items():
        assert name == "cross-entropy" or options["loss_of"] in name
        assert checked(options_of(regene), options).items() >= options.items()
    for scale in ("small", "paper"):
        settings = papers.find("regene/fig16").scales[scale].settings
        assert (settings["per_class"], settings["seeds"]) == (500, 3)


@pytest.mark.usefixtures("small_sets")
def test_added_images_are_trained_on_as_long_and_as_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[tuple[int, float]] = []
    judges: list[list[str]] = []

    def accuracy(
        lab: Lab, train: Part, test: Part, classes: int, seed: int, originals: int, length: float
    ) -> float:
        lengths.append((len(train) // originals, length))
        return 0.5

    def exhausted(*asked: Any, progress: Progress, further: bool, **options: Any) -> Part:
        assert further
        judges.append([*asked[1].judges])
        progress.say("all combinations are used")
        return augmented(*asked, further=further, **options)

    monkeypatch.setattr(losses, "_classifier_accuracy", accuracy)
    monkeypatch.setattr(losses, "augmented", exhausted)
    scale = trial_of(papers.find("regene/fig17")).scales["trial"]
    lab = Lab(tmp_path, scale.settings, "digits", device="cpu", quiet=True)
    entries = losses.fig17(lab)
    assert "12 originals per class, seed 0: all combinations are used" in lab.notes
    assert judges == [["latent space", "image space"], []]
    assert lengths == [(1, 1.0), (1, 1.0), (2, 2.0), (2, 1.0), (1, 1.0), (1, 1.0)]
    assert [e.what.split(": ")[1] for e in entries] == [
        "originals alone",
        "50% replaced by generations",
        "+100% generations, equal epochs",
        "+100% generations, equal iterations",
        "100% replaced by their reconstructions",
        "100% replaced by unjudged generations",
    ]
    assert entries[0].part == "120 training images"


@pytest.mark.usefixtures("small_sets")
def test_figure_16_says_where_trials_are_a_lower_bound_and_measures_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strict(folder: Path, *args: Any) -> Convex:
        convex = convex_of(folder, *args)
        given_up = 1 if Run(folder).config.get("loss") == "hinge" else None
        judge = {name: lambda z, label: torch.ones(len(z), dtype=bool) for name in convex.judges}
        judge["image space"] = lambda z, label: torch.full((len(z),), label != given_up)
        convex.with_judges(judge)
        return convex

    monkeypatch.setitem(trained.__globals__, "convex_of", strict)
    names = "cross-entropy", "hinge, on logits", "cosine, on logits"
    monkeypatch.setattr(losses, "LOSSES", {name: LOSSES[name] for name in names})
    for picture in ("tsne", "barcodes"):
        monkeypatch.setattr(losses.maps, picture, lambda *_: None)
    scale = trial_of(papers.find("regene/fig16")).scales["trial"]
    lab = Lab(tmp_path, scale.settings, "digits", device="cpu", quiet=True)
    entries = fig16(lab)
    held = {(e.what, e.measure): e.ours.value for e in entries}
    wanted = scale.settings["per_class"]
    classes = 10
    assert held["cross-entropy", "trials, image space"] == wanted * classes
    assert held["cosine, on logits", "trials, times cross-entropy's"] == 1.0
    tried = scale.settings["most_trials"] * wanted
    assert held["hinge, on logits", "trials, image space, at least"] == tried + 9 * wanted
    assert held["hinge, on logits", "trials, latent space"] == wanted * classes
    of_hinge = {measure for name, measure in held if name == "hinge, on logits"}
    assert "Frechet distance, generated, unjudged" in of_hinge
    assert not of_hinge & {
        "trials, image space",
        "trials, times cross-entropy's",
        "Frechet distance, generated",
        "accuracy of generations",
    }
    said = "hinge, on logits, seed 0: the judges pass too few combinations of 1"
    assert said in lab.notes

    monkeypatch.setattr(losses, "_loss", lambda *_: pytest.fail("measured once more"))
    again = Lab(tmp_path, scale.settings, "digits", device="cpu", quiet=True)
    assert [e.as_json() for e in fig16(again)] == [e.as_json() for e in entries]
    assert said in again.notes


def test_a_bound_in_one_training_is_one_of_the_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def entries(lab: Lab, cells: Cells, seed: int) -> list[Entry]:
        trials = ", at least" if seed else ""
        found = {f"trials, image space{trials}": 100.0 * (seed + 1), "MAE": 0.1 + seed}
        found |= {} if seed else {"trials, times cross-entropy's": 2.0, "accuracy": 0.9}
        return [
            Entry("hinge", measure, Figure(value, float("nan")), "", "", 1)
            for measure, value in found.items()
        ]

    monkeypatch.setattr(losses, "_losses", entries)
    bound, error = fig16(Lab(tmp_path, {"seeds": 2}))
    assert (bound.measure, bound.ours.value) == ("trials, image space, at least", 150.0)
    assert bound.uncertainty == ""
    assert (error.measure, error.repeats) == ("MAE", 2)
