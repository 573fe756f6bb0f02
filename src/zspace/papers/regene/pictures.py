"""ReGene's sheets of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from zspace.errors import InputError
from zspace.generation import gallery
from zspace.metrics import mean_figure
from zspace.papers.base import Entry, Lab
from zspace.papers.regene.trained import both, trained


def sheet_of(kind: str, labels: Callable[[Sequence[str]], Sequence[int]] | None = None) -> Any:
    """An experiment that is a sheet of images."""

    def draw(lab: Lab) -> list[Entry]:
        of = trained(lab)
        classes = of.images.classes
        chosen = range(len(classes)) if labels is None else labels(classes)
        gallery.SHEETS[kind][0](of.gallery(lab.device), list(chosen)).save(lab.picture(kind))
        return both(of, "ReGene")

    draw.__doc__ = gallery.SHEETS[kind][1]
    return draw


def one(name: str) -> Callable[[Sequence[str]], Sequence[int]]:
    """The class of that name, or else the second one."""
    return lambda classes: [classes.index(name) if name in classes else 1]


def fig7(lab: Lab) -> list[Entry]:
    """Generations of 2, 3 and 5 with their sources, these laid over one another; interpolations."""
    of = trained(lab)
    labels = range(len(of.images.classes))
    gallery.overlay(of.gallery(lab.device), labels).save(lab.picture("overlay"))
    gallery.interpolation(of.gallery(lab.device), labels).save(lab.picture("interpolation"))
    return both(of, "ReGene")


def fig11(lab: Lab) -> list[Entry]:
    """Pairs of anime faces. The paper's set has no name here: --data-dir has a folder per class."""
    if lab.data_dir is None:
        raise InputError(
            "regene/fig11 needs --data-dir, a folder with a folder of faces for each class, one of "
            "them named anime"
        )
    of = trained(replace(lab, data_dir=None), lab.data_dir)
    gallery.matrix(of.gallery(lab.device), one("anime")(of.images.classes)).save(
        lab.picture("matrix")
    )
    return both(of, "ReGene")


def closest(lab: Lab) -> list[Entry]:
    """Generations, their nearest training images, reconstructions and latents, and their nearest
    other generations: a sheet for all classes of each.

    By mean squared error, SSIM, latents and, where its weights are, VGG16's features. The entries
    are the nearest one's value, mean over classes.
    """
    of = trained(lab)
    labels = list(range(len(of.images.classes)))
    sheet, among = gallery.closest(of.gallery(lab.device), labels)
    sheet.save(lab.picture("closest-training"))
    sheet, others = gallery.closest_generations(
        of.gallery(lab.device), labels, lab.settings["generations"]
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
                )
            )
    return entries
