"""The experiments that make FlexAE's tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zspace.core import codes
from zspace.evaluation.measurement import Measurement, Subject, generated
from zspace.metrics import Figure, mean_figure, memorisation_score, nearest
from zspace.papers.entries import Entry, over_seeds, published
from zspace.papers.flexae.trained import (
    COLOUR,
    GENERATED,
    RECONSTRUCTED,
    SYSTEMS,
    as_published,
    code_size,
    column_of,
    figures,
    frechet,
    measured_by,
    source_of,
    trained,
)
from zspace.papers.lab import Lab
from zspace.samplers import KDE

PUBLISHED = {
    RECONSTRUCTED: 0,
    GENERATED: 1,
    f"{RECONSTRUCTED}, the best checkpoint": 0,
    f"{GENERATED}, the best checkpoint": 1,
}
"""The distances that the paper prints, each with its place in a pair of its numbers."""


def table1(lab: Lab) -> list[Entry]:
    """Table 1: Frechet distances of reconstructed and generated images from the test images.

    All systems have the same encoder and decoder (except VQ-VAE, which has its own), batch size and
    number of iterations (in each stage of the two-stage VAE), or the same time, by the protocol,
    which also chooses their rates and likelihoods.
    """
    numbers, column = published()["flexae/table1"], column_of(lab)
    entries: list[Entry] = []
    systems = lab.settings["systems"]
    if lab.data in COLOUR:
        systems = {name: systems[name] for name in lab.settings.get("in_colour", systems)}
    for system, seeds in systems.items():
        values, about = frechet(lab, system, seeds)
        for what, value in values.items():
            theirs = None
            if column is not None and what in PUBLISHED:
                theirs = numbers[system][column][PUBLISHED[what]]
            entries.append(Entry(system, what, value, **about, **as_published(lab, theirs)))
    lab.note(
        "The authors stretch each generated image to the whole range of values before they measure "
        "it; here images are measured as they are, and stretched ones beside them where it says so."
    )
    return entries


def table2(lab: Lab) -> list[Entry]:
    """Table 2: precision and recall of Sajjadi et al.; F1/8 weighs precision, F8 recall.

    The paper prints "Precision/Recall"; that these are F1/8 and F8 is inferred.
    """
    numbers, column = published()["flexae/table2"], column_of(lab)
    entries: list[Entry] = []
    for system, seeds in lab.settings["systems"].items():
        each: list[dict[str, Figure]] = []
        about: dict[str, Any] = {}
        for seed in range(seeds):
            run = trained(lab, system, seed=seed)
            held = measured_by(lab, run)
            sampler = SYSTEMS[system].sampler
            about = source_of(held, seeds)
            each.append(figures(lab, held, ["prd"], [sampler])[sampler])
        for i, (key, name) in enumerate((("f1/8", "precision, F1/8"), ("f8", "recall, F8"))):
            theirs = None if column is None else numbers[system][column][i]
            value = over_seeds([v[key] for v in each])
            entries.append(Entry(system, name, value, **about, **as_published(lab, theirs)))
    return entries


def table3(lab: Lab) -> list[Entry]:
    """Table 3: Frechet distances of WAE-GAN and FlexAE-SR for code sizes m_b, 2 m_b and 4 m_b.

    A protocol chooses their settings at the size of Table 1, for all sizes. The trainings of that
    size are Table 1's.
    """
    numbers, column = published()["flexae/table3"], column_of(lab)
    base = lab.settings["base"] or (64 if lab.data in COLOUR else 32)
    entries: list[Entry] = []
    for factor in lab.settings["factors"]:
        row = "m_b" if factor == 1 else f"{factor}m_b"
        more = {} if factor * base == code_size(lab) else {"latent_dim": factor * base}
        for j, system in enumerate(("WAE-GAN", "FlexAE-SR")):
            values, about = frechet(lab, system, lab.settings["seeds"], **more)
            for what, value in values.items():
                theirs = None
                if column is not None and what in PUBLISHED:
                    theirs = numbers[row][column][2 * PUBLISHED[what] + j]
                name = f"{system}, m = {factor * base}"
                entries.append(Entry(name, what, value, **about, **as_published(lab, theirs)))
    return entries


def table4(lab: Lab) -> list[Entry]:
    """Table 4: PMS and IMS, the distances of generated images from training and test images.

    They are measured for FlexAE-SR and for a model that memorises: the same one, with codes drawn
    from very narrow kernels at the codes of the training images.

    The paper smooths the codes lest the generator memorise those of the training images (section
    3.2.1), of which it has no figure. Ours is how far generated codes are on average from the
    nearest code of a training image, over how far the codes of test images are: 1 if they are as
    new as those, 0 if they are copies. It is measured with and without smoothing, and of the
    memoriser.
    """
    name = {
        "mnist": "MNIST",
        "fashion-mnist": "Fashion",
        "cifar10": "CIFAR-10",
        "celeba": "CelebA",
    }.get(str(lab.data))
    numbers = None if name is None else published()["flexae/table4"][name]
    run = trained(lab, "FlexAE-SR")
    held = measured_by(lab, run)
    memory = KDE(held.model.latent_dim, centres=len(held.training), bandwidth=1e-3)
    memory.fit(codes(held.model, held.training).cpu())
    device = next(held.model.parameters()).device
    drawn = generated(held, "prior")
    copied = generated(held, "memoriser", sampler=memory.to(device))
    pairs = (
        ("Tr-Tr", held.others, held.memorised),
        ("Gen-Tr", drawn, held.memorised),
        ("Tr-Te", held.memorised, held.reference),
        ("Gen-Te", drawn, held.reference),
        ("Gen-Tr of a memoriser", copied, held.memorised),
    )
    entries: list[Entry] = []
    for i, (what, a, b) in enumerate(pairs):
        pixels = mean_figure(memorisation_score(a.x, b.x))
        features = mean_figure(memorisation_score(held.features(a), held.features(b)))
        theirs = numbers[i] if numbers is not None and i < len(numbers) else (None, None)
        about: dict[str, Any] = source_of(held)
        about |= {"data": f"{lab.data}, {len(a.x):,} images", "n": len(a.x)}
        in_pixels: dict[str, Any] = {**about, "by": "pixels"}
        entries.append(
            Entry(
                what,
                "PMS",
                pixels,
                **in_pixels,
                published=theirs[0],
                published_by="pixels",
                published_data=f"{lab.data}, 10,000 images",
            )
        )
        entries.append(
            Entry(
                what,
                "IMS",
                features,
                **about,
                published=theirs[1],
                published_by="inception",
                published_data=f"{lab.data}, 10,000 images",
            )
        )
    rough = measured_by(lab, trained(lab, "FlexAE"))
    return [
        *entries,
        *_newness(held, {"FlexAE-SR": drawn, "a memoriser": copied}),
        *_newness(rough, {"FlexAE": generated(rough, "prior")}),
    ]


def _newness(held: Measurement, subjects: Mapping[str, Subject]) -> list[Entry]:
    train, test = (codes(held.model, x).cpu() for x in (held.images.train.x, held.test))
    seen = mean_figure(nearest(test, train)[0][:, 0])
    about: dict[str, Any] = {**source_of(held), "by": "codes"}
    entries: list[Entry] = []
    for name, drawn in subjects.items():
        assert drawn.codes is not None
        new = mean_figure(nearest(drawn.codes, train)[0][:, 0])
        value = new.value / seen.value
        figure = Figure(value, value * math.hypot(new.error / new.value, seen.error / seen.value))
        measure = "distance from training codes, over test codes'"
        entries.append(Entry(f"codes of {name}", measure, figure, **about))
    return entries
