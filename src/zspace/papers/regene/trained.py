"""The trained models that ReGene's experiments share, and measurements of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zspace import api
from zspace.data import Images
from zspace.data.images import Part
from zspace.evaluation.measurement import RECONSTRUCTION, Measurement, Subject, generated
from zspace.functional import of_stored
from zspace.generation import gallery, maps
from zspace.generation.combine import convex_of
from zspace.generation.gallery import Gallery
from zspace.methods.regene import ReGene
from zspace.metrics import (
    BiasWarning,
    Figure,
    accuracy,
    frechet_distance,
    jackknife,
    mean_absolute_error,
    mean_figure,
)
from zspace.papers.entries import TRAINING, Entry, part_of
from zspace.papers.lab import Lab, known_to
from zspace.samplers import Convex
from zspace.storage.run import Run

COLUMNS = ("mnist", "fashion-mnist", "cifar10", "celeba")
"""The data sets in the columns of Table 3."""
WHOLE = {**TRAINING, "celeba": 200_000}
"""The numbers of training images in the paper, which sets none aside for validation."""

USUAL: Mapping[str, Mapping[str, Any]] = {
    "mnist": {"blocks": 4},
    "fashion-mnist": {"blocks": 4},
    "cifar10": {"blocks": 4},
    "celeba": {"image_size": 64},
}
"""The values that options have anyway, by data set: with them or without, a run is the same."""

ALIKE = ("image_size", "train_size", "validation")
"""Options of the data that other models share with ReGene."""


@dataclass
class Trained:
    """A trained ReGene, with its data set and its sampler.

    Attributes:
        run: the run.
        model: the model.
        images: the data set.
        convex: the sampler of convex combinations of training codes.
    """

    run: Run
    model: ReGene
    images: Images
    convex: Convex

    @property
    def test(self) -> Part:
        """The test part of the data set."""
        return self.images.test

    @property
    def data(self) -> str:
        """The name of the data on which the model is measured."""
        return f"{self.images.name} test"

    @property
    def training_data(self) -> str:
        """The name of the training images, where the model is measured on some of these."""
        return f"{self.images.name} train"

    @property
    def part(self) -> str:
        """Which part of the set's training images it was trained on; "" if these are all."""
        return part_of(self.images, WHOLE)

    @property
    def patient(self) -> Convex:
        """The sampler, but one that tries ten times as often before it gives up."""
        return self.convex.changed(most_trials=10 * self.convex.most_trials)

    @property
    def unjudged(self) -> Convex:
        """The sampler, but without judges: whatever it combines counts."""
        return self.convex.changed().with_judges({})

    def gallery(self, device: str = "auto") -> Gallery:
        """The gallery that draws sheets of this model's images, by its patient sampler."""
        generator = torch.Generator(self.convex.codes.device).manual_seed(0)
        return Gallery(
            self.model,
            self.patient,
            self.images.train,
            self.images.classes,
            generator,
            gallery.vgg16_features(device),
        )


def faces_of(lab: Lab, data: str) -> dict[str, Any]:
    """The options of CelebA: its label, and the crop to 140 pixels unless the settings name one.

    Other sets have none.
    """
    if data != "celeba":
        return {}
    return {"label_attribute": "Male", "crop": lab.settings.get("crop", "140")}


def trained(lab: Lab, data: str | None = None, seed: int = 0, **options: Any) -> Trained:
    """A ReGene trained with an experiment's settings and further options.

    Args:
        lab: the experiment's surroundings.
        data: the data set; None takes that of the experiment. A file of some of its images is
            trained on with the settings that the experiment has for the whole.
        seed: the seed of the training.
        options: further options of the recipe.
    """
    data = data or str(lab.data)
    own = faces_of(lab, data) | ({"seed": seed} if seed else {})
    reduced = lab.settings.get("own", {}).get(lab.data, {})
    given = {**lab.settings["options"], **reduced, **own, **options}
    usual = USUAL.get(data, {})
    run = lab.trained("regene", data, **{k: v for k, v in given.items() if usual.get(k, ...) != v})
    model, images = api.load(run.folder, device=lab.device), lab.images(run)
    assert isinstance(model, ReGene)
    # whatever a sampler that the run holds already was fitted with
    most = lab.settings.get("most_trials", 100)
    drawing = {"combine": 2, "weights": "uniform", "most_trials": most}
    return Trained(run, model, images, convex_of(run.folder, model, drawing, images))


def own_accuracy(model: ReGene, part: Part) -> Figure:
    """The accuracy of a model's own classifier on labelled images."""
    assert part.y is not None
    device = next(model.parameters()).device
    p = of_stored(lambda x: model.probabilities(model.encode(x)).cpu(), part.x, device)
    return mean_figure(accuracy(p, part.y))


def mae(model: Any, part: Part) -> Figure:
    """The mean absolute error of a model's reconstructions of images, pixels in [0, 1]."""
    device = next(model.parameters()).device
    return mean_figure(
        of_stored(
            lambda x: mean_absolute_error(model.decode(model.encode(x)), x).cpu(), part.x, device
        )
    )


def both(of: Trained, what: str, theirs: Sequence[float | None] = (None, None)) -> list[Entry]:
    """The entries for the accuracy and the reconstruction error, beside the paper's.

    Args:
        of: the model.
        what: the entries' name.
        theirs: the paper's accuracy and error; None if it prints none.
    """
    n = len(of.test)
    return [
        Entry(what, measure, figure, by, of.data, n, paper, None, by, of.data, part=of.part)
        for measure, by, figure, paper in (
            (
                "accuracy of its classifier",
                "its classifier",
                own_accuracy(of.model, of.test),
                theirs[0],
            ),
            ("MAE of reconstructions", "pixels", mae(of.model, of.test), theirs[1]),
        )
    ]


Spaces = dict[str, tuple[Tensor, Tensor]]
"""Codes (N, D) and labels (N,) by title."""


def sparse(of: Trained, what: str, spaces: Spaces) -> Entry:
    """The entry for the share of latent dimensions near 0 among 2,000 test latents.

    The latents are added to `spaces` under the entry's name.
    """
    z, y = spaces[what] = maps.some_codes(of.model, of.test)
    share = Figure(maps.sparsity(z), math.nan)
    return Entry(what, "near 0", share, "latents", of.data, len(y), part=of.part)


def silhouette(z: Tensor, y: Tensor) -> Figure:
    """How far apart the classes of latents z (N, D) with labels y (N,) are: the mean silhouette.

    With a the mean distance of a latent to the others of its class, and b that to the latents of
    the nearest other class, its silhouette is (b - a) / max(a, b): near 1 far from other classes, 0
    between two, below 0 among the latents of another (Rousseeuw, 1987).
    """
    from sklearn.metrics import silhouette_samples

    return mean_figure(torch.from_numpy(silhouette_samples(z.numpy(), y.numpy())))


def subject_of(
    lab: Lab, recipe: str, judge: Measurement, sampler: str = "prior", **options: Any
) -> Subject:
    """The images that another model, trained on the same data, generates.

    Args:
        lab: the experiment's surroundings.
        recipe: the model's recipe.
        judge: a measurement on the same data.
        sampler: the name of the sampler of its codes.
        options: further options of the recipe.
    """
    alike = {k: v for k, v in lab.settings["options"].items() if k in ALIKE}
    own = {**alike, **known_to(recipe, lab.settings["conditional"]), **options}
    run = lab.trained(recipe, str(lab.data), **faces_of(lab, str(lab.data)), **own)
    lab.check(run, judge.images)
    model = api.load(run.folder, device=lab.device)
    return generated(replace(judge, run=run, model=model), sampler)


def frechet(lab: Lab, held: Measurement, x: Subject, y: Subject) -> Figure:
    """The Frechet distance of two subjects. A warning that it is biased becomes a note.

    Args:
        lab: the experiment's surroundings.
        held: the measurement.
        x, y: the subjects; if y is of reconstructions, they are those of x.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", BiasWarning)
        features, paired = (held.features(x), held.features(y)), y.kind == RECONSTRUCTION
        distance = jackknife(frechet_distance, *features, groups=8, paired=paired)
    lab.note(*(str(w.message) for w in caught if w.category is BiasWarning))
    return distance


def judged(of: Trained, lab: Lab, features: str | None) -> Measurement:
    """The measurement of a model's run by given features."""
    return lab.measured(of.run, features)
