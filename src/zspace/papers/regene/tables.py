"""The experiments that make ReGene's tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from zspace.evaluation.measurement import Measurement, generated, reconstructed
from zspace.features.weights import find_weights
from zspace.generation import maps
from zspace.metrics import Figure, inception_score
from zspace.papers.entries import Entry, over_trainings, published, told_apart
from zspace.papers.lab import Lab
from zspace.papers.regene.trained import (
    COLUMNS,
    Spaces,
    Trained,
    both,
    frechet,
    judged,
    sparse,
    subject_of,
    trained,
)
from zspace.samplers.convex import TooFewError


def table1(lab: Lab) -> list[Entry]:
    """Table 1: the accuracy of classifiers of different depth, and the MAE of their decoders.

    It also draws Figure 4: barcodes and maps of 2,000 test latents.

    The entry `near 0` is the share of latent dimensions whose mean activation is below a tenth of
    the largest: a number for the sparsity that the paper shows by barcodes.
    """
    entries: list[Entry] = []
    spaces: Spaces = {}
    theirs = {(b, k): (a, m) for b, _, k, a, m in published()["regene/table1"]["rows"]}
    classes: Sequence[str] = ()
    sizes: dict[str, int] = {}
    for blocks in lab.settings["blocks"]:
        for convolutions in lab.settings["convolutions"]:
            of = trained(lab, blocks=blocks, convolutions=convolutions)
            what = f"{blocks} blocks, {convolutions} a block"
            sizes[f"{blocks} blocks"] = of.model.latent_dim
            paper = theirs.get((blocks, convolutions), (None, None))
            entries += both(of, what, paper if lab.data == "cifar10" else (None, None))
            entries.append(sparse(of, what, spaces))
            classes = of.images.classes
    listed = ", ".join(f"{blocks} {size:,}" for blocks, size in sizes.items())
    lab.note(f"Dimensions of the latents: {listed}.")
    maps.barcodes(lab.picture("fig4-barcodes"), spaces, classes)
    maps.tsne(lab.picture("fig4-tsne"), spaces, classes)
    return entries


def table2(lab: Lab) -> list[Entry]:
    """Table 2: the trials until 500 combinations of 2 have passed each of the two judges.

    The first judges latents and the second images; the second's thresholds are the mean confidences
    on the validation images. If a class is given up, all of its candidates are counted, a note says
    so, and the number is a lower bound.
    """
    of = trained(lab)
    n = lab.settings["per_class"]
    theirs = published()["regene/table2"].get(str(lab.data).split("-")[0]) if n == 500 else None
    entries = both(of, "ReGene")
    totals = dict.fromkeys(of.convex.judges, 0.0)
    for label, name in enumerate(of.images.classes):
        trials, error = trials_of(of, n, label)
        if error:
            lab.note(str(error))
        for column, judge in enumerate(of.convex.judges):
            totals[judge] += trials[judge]
            ours = Figure(trials[judge], math.nan)
            paper = theirs[label][column] if theirs else None
            entries.append(
                Entry(
                    f"class {name}",
                    f"trials, {judge}",
                    ours,
                    "combinations of 2",
                    of.data,
                    n,
                    paper,
                    None,
                    "combinations of 2",
                    of.data,
                    part=of.part,
                )
            )
    for column, (judge, total) in enumerate(totals.items()):
        paper = sum(row[column] for row in theirs) if theirs else None
        entries.append(
            Entry(
                "all classes",
                f"trials, {judge}",
                Figure(total, math.nan),
                "combinations of 2",
                of.data,
                n * len(of.images.classes),
                paper,
                None,
                "combinations of 2",
                of.data,
                part=of.part,
            )
        )
    lab.more["thresholds"] = of.model.thresholds.tolist()
    return entries


PROBES = 12
"""The number of combinations that are drawn to see whether the judges pass enough of a class."""


def trials_of(of: Trained, n: int, label: int) -> tuple[Mapping[str, int], TooFewError | None]:
    """The number of trials by judge for n combinations of a class, and None if as many passed.

    If too few candidates pass a judge, its number is that of all candidates, a lower bound, and the
    error says so.
    """
    generator = torch.Generator(of.convex.codes.device).manual_seed(label)
    try:
        return of.convex.combined(n, label, generator=generator).trials, None
    except TooFewError as error:
        return error.trials, error


def table3(lab: Lab) -> list[Entry]:
    """Table 3: Frechet distances between original, reconstructed and generated images, in pairs.

    The paper does not say whether its originals are training or test images, so both are measured.
    There are as many images of each kind as the test part has, at most 10,000. The other models of
    the table that there are here stand beside ReGene, with FlexAE's networks.
    """
    return [*fig15a(lab), *_baselines(lab)]


BASELINES = {
    "WGAN GP": ("wgan-gp", "prior", {}),
    "VAE": ("vae", "prior", {}),
    "WAE": ("wae", "prior", {}),
    "RAE-SN": ("rae", "mixture", {"regulariser": "spectral-norm"}),
    "2-Stage VAE": ("two-stage-vae", "prior", {}),
}
"""Rows of Table 3: the recipe, the sampler of its codes, and its options."""


def _baselines(lab: Lab) -> list[Entry]:
    """The distances of other models' generations from the test images."""
    of = trained(lab)
    entries: list[Entry] = []
    for features in lab.settings["features"]:
        held = judged(of, lab, features)
        for name, (recipe, sampler, options) in BASELINES.items():
            made = subject_of(lab, recipe, held, sampler, **options)
            distance = frechet(lab, held, held.reference, made)
            entries.append(_beside(lab, of, held, name, distance, len(made.x), name))
    return told_apart(entries)


def _beside(
    lab: Lab,
    of: Trained,
    held: Measurement,
    what: str,
    distance: Figure,
    n: int,
    row: str,
    data: str = "",
) -> Entry:
    """The entry of a distance, beside the number in a row of Table 3 if the set has a column.

    Args:
        lab, of, held, what, distance, n: the surroundings, the model and what the entry holds.
        row: the row of the table.
        data: the set and part of the originals; "" takes the test part. The paper names none.
    """
    data = data or of.data
    theirs: float | None = None
    error: float | None = None
    if lab.data in COLUMNS:
        column = COLUMNS.index(str(lab.data))
        theirs = published()["regene/table3"][row][column]
        error = published()["regene/table3-sd"].get(row, [None] * 4)[column]
    by, part = held.extractor.name, of.part
    paper = (theirs, error, "inception", data)
    return Entry(what, "Frechet distance", distance, by, data, n, *paper, part=part)


def fig15a(lab: Lab) -> list[Entry]:
    """Figure 15a: the Frechet distances on CIFAR-10 from Table 3."""
    return over_trainings([_distances(lab, seed) for seed in range(lab.settings["seeds"])])


def _distances(lab: Lab, seed: int) -> list[Entry]:
    """The entries of Table 3 for one training of ReGene.

    Where the judges pass too little of a class, the generations are combinations that no judge has
    seen, which their names say, and a note says of which class.
    """
    of = trained(lab, seed=seed)
    errors = [trials_of(of, PROBES, label)[1] for label in range(len(of.images.classes))]
    lost = [str(error) for error in errors if error]
    lab.note(*lost)
    sampler = of.unjudged if lost else of.patient
    drawn = "generated, unjudged" if lost else "generated"
    entries: list[Entry] = []
    for features in lab.settings["features"]:
        held = judged(of, lab, features)
        made = generated(held, "generations", sampler=sampler)
        rebuilt, rebuilt_train = reconstructed(held), reconstructed(held, held.others.x)
        for what, x, y, row in (
            (f"original (test) vs {drawn}", held.reference, made, "original vs generated"),
            (f"original (training) vs {drawn}", held.others, made, "original vs generated"),
            (
                "original (test) vs reconstructed",
                held.reference,
                rebuilt,
                "original vs reconstructed",
            ),
            (
                "original (training) vs reconstructed",
                held.others,
                rebuilt_train,
                "original vs reconstructed",
            ),
            (f"reconstructed (test) vs {drawn}", rebuilt, made, "reconstructed vs generated"),
            (
                f"reconstructed (training) vs {drawn}",
                rebuilt_train,
                made,
                "reconstructed vs generated",
            ),
        ):
            distance = frechet(lab, held, x, y)
            data = of.training_data if "(training)" in what else of.data
            entry = _beside(lab, of, held, what, distance, len(made.x), f"ReGene ({row})", data)
            entries.append(entry)
    return told_apart(entries)


NO_CAPSULES = (
    "CCVAE and CCapsCVAE are not measured: the paper takes their scores from another one, and "
    "describes neither their networks nor their training."
)


def table4(lab: Lab) -> list[Entry]:
    """Table 4: Inception Scores by the data set's classifier and, if it is there, by Inception.

    The paper's value for real images can only come from a classifier of the data set, its others
    from an Inception network. Of its other models, the CVAE is measured, with FlexAE's networks.
    """
    lab.note(NO_CAPSULES)
    of = trained(lab)
    column = {"mnist": 0, "fashion-mnist": 1}.get(str(lab.data))
    table, spread = published()["regene/table4"], published()["regene/table4-sd"]
    entries: list[Entry] = []
    by = ["classifier", *(["inception"] if find_weights("inception") is not None else [])]
    for features in by:
        held = judged(of, lab, features)
        found = [("test images", held.reference, "Real Image")]
        try:
            made = generated(held, "generations", sampler=of.convex)
            found.append(("ReGene", made, "ReGene"))
        except TooFewError as error:
            lab.note(f"No score of ReGene: {error}")
        found.append(("CVAE", subject_of(lab, "cvae", held), "CVAE"))
        for what, subject, row in found:
            mean, deviation = inception_score(held.features(subject, "logits"))
            theirs = (None, None) if column is None else (table[row][column], spread[row][column])
            published_by = "a classifier of the data" if row == "Real Image" else "inception"
            entries.append(
                Entry(
                    what,
                    "Inception Score",
                    Figure(mean, deviation / math.sqrt(10)),
                    held.extractor.name,
                    of.data,
                    len(subject.x),
                    *theirs,
                    published_by,
                    of.data,
                    part=of.part,
                )
            )
    return told_apart(entries)
