"""What the experiments of ReGene share: trained models, and figures of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zspace import api
from zspace.data import Images
from zspace.data.images import Part
from zspace.evaluation.measurement import Measurement, Subject, generated, measure_run
from zspace.functional import of_stored
from zspace.generation import gallery
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
from zspace.papers.base import Entry, Lab, known_to
from zspace.samplers import Convex
from zspace.storage.run import Run

COLUMNS = ("mnist", "fashion-mnist", "cifar10", "celeba")
"""Of Table 3."""
SIZES = {"mnist": 54_000, "fashion-mnist": 54_000, "cifar10": 45_000}
"""Training images of a whole set, a tenth being the validation part."""


@dataclass
class Trained:
    """A ReGene and what belongs to it."""

    run: Run
    model: ReGene
    images: Images
    convex: Convex

    @property
    def test(self) -> Part:
        return self.images.test

    @property
    def data(self) -> str:
        """The data's name; with how many images it was trained on, where those are not all."""
        n = len(self.images.train)
        whole = SIZES.get(self.images.name, n) == n
        return self.published if whole else f"{self.published}, {n:,} training images"

    @property
    def published(self) -> str:
        """What the paper's numbers are of."""
        return f"{self.images.name} test"

    def gallery(self, device: str = "auto") -> Gallery:
        generator = torch.Generator(self.convex.codes.device).manual_seed(0)
        return Gallery(
            self.model,
            self.convex,
            self.images.train,
            self.images.classes,
            generator,
            gallery.vgg16_features(device),
        )


def trained(lab: Lab, data: str | None = None, **options: Any) -> Trained:
    """The ReGene of an experiment's settings, with further options."""
    data = data or str(lab.data)
    own = {"label_attribute": "Male"} if data == "celeba" else {}
    run = lab.trained("regene", data, **{**lab.settings["options"], **own, **options})
    model = api.load(run.folder, device=lab.device)
    assert isinstance(model, ReGene)
    combined = convex_of(run.folder, model, {"most_trials": lab.settings.get("most_trials", 100)})
    return Trained(run, model, api.run_images(run), combined)


def own_accuracy(model: ReGene, part: Part) -> Figure:
    assert part.y is not None
    device = next(model.parameters()).device
    p = of_stored(lambda x: model.probabilities(model.encode(x)).cpu(), part.x, device)
    return mean_figure(accuracy(p, part.y))


def mae(model: Any, part: Part) -> Figure:
    device = next(model.parameters()).device
    return mean_figure(
        of_stored(
            lambda x: mean_absolute_error(model.decode(model.encode(x)), x).cpu(), part.x, device
        )
    )


def both(of: Trained, what: str, theirs: Sequence[float | None] = (None, None)) -> list[Entry]:
    """Accuracy and reconstruction error beside the paper's."""
    n = len(of.test)
    return [
        Entry(
            what,
            "accuracy of its classifier",
            own_accuracy(of.model, of.test),
            "its classifier",
            of.data,
            n,
            theirs[0],
            None,
            "its classifier",
            of.published,
        ),
        Entry(
            what,
            "MAE of reconstructions",
            mae(of.model, of.test),
            "pixels",
            of.data,
            n,
            theirs[1],
            None,
            "pixels",
            of.published,
        ),
    ]


Spaces = dict[str, tuple[Tensor, Tensor]]
"""Codes and labels, by title."""


def sparse(of: Trained, what: str, spaces: Spaces) -> Entry:
    """The share of latent dimensions near 0, of 2,000 test latents, which join the spaces."""
    z, y = spaces[what] = gallery.some_codes(of.model, of.test)
    return Entry(what, "near 0", Figure(gallery.sparsity(z), math.nan), "latents", of.data, len(y))


def conditional_subject(lab: Lab, recipe: str, judge: Measurement) -> Subject:
    """What another conditional model, trained on the same images, generates."""
    options = known_to(recipe, lab.settings["conditional"])
    run = lab.trained(recipe, str(lab.data), **options)
    model = api.load(run.folder, device=lab.device)
    return generated(replace(judge, model=model), recipe, sampler=model.prior)


def frechet(lab: Lab, held: Measurement, x: Subject, y: Subject) -> Figure:
    """The Frechet distance of two subjects; that it is biased, where it is, becomes a note."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", BiasWarning)
        distance = jackknife(frechet_distance, held.features(x), held.features(y), groups=8)
    notes = lab.more.setdefault("notes", [])
    notes += {str(w.message) for w in caught if w.category is BiasWarning} - set(notes)
    return distance


def judged(of: Trained, lab: Lab, features: str | None) -> Measurement:
    return measure_run(of.run.folder, features=features, device=lab.device)
