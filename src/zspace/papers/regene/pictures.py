"""The experiments that make ReGene's sheets of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zspace.errors import InputError
from zspace.evaluation.measurement import GENERATION, Subject, generated, reconstructed
from zspace.generation import gallery
from zspace.generation.combine import generate
from zspace.metrics import mean_figure, memorisation_score
from zspace.papers.entries import Entry
from zspace.papers.lab import Lab
from zspace.papers.regene.tables import PROBES, trials_of
from zspace.papers.regene.trained import Trained, both, frechet, judged, trained
from zspace.papers.ways import ways
from zspace.samplers import Convex
from zspace.samplers.convex import TooFewError

JUDGED = "collage", "closest", "closest-generations"
"""The sheets of single experiments whose combinations must pass the judges."""


def passing(lab: Lab, of: Trained, labels: Sequence[int]) -> list[int]:
    """Those of some classes of which the judges pass enough; a note says why others are left out.

    These are the classes of which `PROBES` combinations pass before the sampler gives up, by which
    one in a hundred passes. `Trained.gallery` tries ten times as often, so that chance leaves no
    sheet without its images.

    Raises:
        InputError: there is no such class.
    """
    errors = {label: trials_of(of, PROBES, label)[1] for label in labels}
    lab.note(*(str(error) for error in errors.values() if error))
    if all(errors.values()):
        raise InputError(f"the judges pass too little of every class: {lab.notes[-1]}")
    return [label for label, error in errors.items() if error is None]


def sheet_of(kind: str, labels: Callable[[Sequence[str]], Sequence[int]] | None = None) -> Any:
    """The run of an experiment that draws one of the gallery's sheets.

    Args:
        kind: a key of `zspace.generation.gallery.SHEETS`.
        labels: chooses classes from their names; None takes all.
    """

    def draw(lab: Lab) -> list[Entry]:
        of = trained(lab)
        classes = of.images.classes
        chosen = list(range(len(classes)) if labels is None else labels(classes))
        if kind in JUDGED:
            chosen = passing(lab, of, chosen)
        gallery.SHEETS[kind][0](of.gallery(lab.device), chosen).save(lab.picture(kind))
        return both(of, "ReGene")

    draw.__doc__ = gallery.SHEETS[kind][1]
    return draw


def one(name: str) -> Callable[[Sequence[str]], Sequence[int]]:
    """A choice of a single class: that of a given name or, if there is none, the second."""
    return lambda classes: [classes.index(name) if name in classes else 1]


def fig7(lab: Lab) -> list[Entry]:
    """Figure 7: images generated from 2, 3 and 5 sources, the sources overlaid, interpolations.

    How evenly images change between two of a class, and whether they look real, is measured.
    """
    of = trained(lab)
    labels = range(len(of.images.classes))
    shown = passing(lab, of, labels)
    gallery.overlay(of.gallery(lab.device), shown).save(lab.picture("overlay"))
    gallery.interpolation(of.gallery(lab.device), labels).save(lab.picture("interpolation"))
    return [*both(of, "ReGene"), *ways(judged(of, lab, None), of.part, by_class=True)]


def fig11(lab: Lab) -> list[Entry]:
    """Figure 11: pairs of anime faces, from the folders of images, one per class, in --data-dir.

    The paper's set is none of the named ones.
    """
    if lab.data_dir is None:
        raise InputError(
            "regene/fig11 needs --data-dir, two folders of faces, one of them named anime, "
            "separated by a comma, or a folder that holds them; regene/fig9 draws CelebA's faces"
        )
    of = trained(replace(lab, data_dir=None), lab.data_dir)
    gallery.matrix(of.gallery(lab.device), one("anime")(of.images.classes)).save(
        lab.picture("matrix")
    )
    return both(of, "ReGene")


def fig14(lab: Lab) -> list[Entry]:
    """Figure 14: generations, and further ones combined from their latents or from their images.

    The entries are the Frechet distances from the test images of three generations, each with as
    many images of a class as the test part has. Classes of which the judges pass too little are
    left out, and notes say so.
    """
    of = trained(lab)
    labels = passing(lab, of, range(len(of.images.classes)))
    gallery.family(of.gallery(lab.device), labels).save(lab.picture("family"))
    held = judged(of, lab, None)
    assert held.labels is not None
    counts = [(label, int((held.labels == label).sum())) for label in labels]
    entries = both(of, "ReGene")
    device = of.convex.codes.device
    for origin in ("latents", "images"):
        families = [
            generate(
                of.model,
                of.patient,
                n,
                label,
                generations=3,
                origin=origin,
                generator=torch.Generator(device).manual_seed(label),
            )
            for label, n in counts
            if n > of.convex.combine
        ]
        for i, each in enumerate(zip(*families, strict=True)):
            if i == 0 and origin == "images":
                continue  # the same as before
            what = f"generation {i + 1}" + (f", of {origin}" if i else "")
            made = Subject(what, GENERATION, torch.cat([generation.x for generation in each]))
            apart = frechet(lab, held, held.reference, made)
            by, n = held.extractor.name, len(made.x)
            entries.append(Entry(what, "Frechet distance", apart, by, of.data, n, part=of.part))
    return entries


WEIGHTS = "0.7,0.3", "0.9,0.1"
"""Weights of two codes, beside equal ones."""


def closest(lab: Lab) -> list[Entry]:
    """Figures E.28 to E.45: generated images beside the nearest training and generated images.

    Nearness is measured by mean squared error, SSIM, latents and, if its weights are there, VGG16's
    features. The entries are the nearest image's values, averaged over the classes, and distances
    of many images (see `distances`).
    """
    of = trained(lab)
    shown = passing(lab, of, range(len(of.images.classes)))
    sheet, among = gallery.closest(of.gallery(lab.device), shown)
    sheet.save(lab.picture("closest-training"))
    sheet, others = gallery.closest_generations(
        of.gallery(lab.device), shown, lab.settings["generations"]
    )
    sheet.save(lab.picture("closest-generations"))
    entries: list[Entry] = []
    for where, values in (("training images", among), ("other generations", others)):
        for way, each in values.items():
            entries.append(
                Entry(
                    f"nearest of the {where}",
                    way,
                    mean_figure(torch.tensor(each)),
                    "one generation of each class",
                    of.data,
                    len(each),
                    part=of.part,
                )
            )
    return [*entries, *distances(lab, of)]


TO_TRAINING = "distance to the nearest training image"
TO_OTHERS = "distance to the nearest of half the others"


def distances(lab: Lab, of: Trained) -> list[Entry]:
    """How far generations are from training images and from one another, by pixels.

    By themselves such distances say little. Beside them stand those of test images, as they are and
    as the decoder draws them, which is smoother and thus nearer to any image; and those of
    reconstructions of training images, which is what copies would be. Generations are also made
    with weights that are not equal. Where the judges pass too few, a note stands in place of the
    distances.
    """
    held = judged(of, lab, "pixels")

    def drawn(convex: Convex) -> Callable[[], Tensor]:
        return lambda: generated(held, "generations", sampler=convex).x

    subjects: dict[str, Callable[[], Tensor]] = {
        "generations": drawn(of.convex),
        **{f"generations, weights {w}": drawn(of.convex.changed(weights=w)) for w in WEIGHTS},
        "test images": lambda: held.test,
        "reconstructions of test images": lambda: reconstructed(held).x,
        "reconstructions of training images": lambda: reconstructed(held, held.training).x,
    }
    entries: list[Entry] = []
    for what, find in subjects.items():
        try:
            x = find()
        except TooFewError as error:
            lab.note(f"No distances of {what}: {error}")
            continue
        half = len(x) // 2
        data = of.training_data if what.endswith("training images") else of.data
        for measure, a, b in (
            (TO_TRAINING, x, held.images.train.x),
            (TO_OTHERS, x[:half], x[half:]),
        ):
            apart = mean_figure(memorisation_score(a, b))
            entries.append(Entry(what, measure, apart, "pixels", data, len(a), part=of.part))
    return entries
