"""The experiments that make ReGene's figures of curves and maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zspace import api
from zspace.core import codes
from zspace.data.images import Part
from zspace.display import plots
from zspace.evaluation.measurement import (
    DATA,
    RECONSTRUCTION,
    Measurement,
    Subject,
    generated,
    reconstructed,
)
from zspace.evaluation.metrics import METRICS
from zspace.features.classifier import neutral_classifier
from zspace.features.extract import find_extractor
from zspace.functional import as_float, as_stored, convex, of_stored
from zspace.generation import gallery, maps
from zspace.methods.classifier import Augment
from zspace.metrics import Figure, accuracy, linear_probe, mean_figure
from zspace.papers.entries import Entry, over_trainings, published
from zspace.papers.lab import Lab
from zspace.papers.regene.trained import (
    ALIKE,
    Spaces,
    Trained,
    both,
    frechet,
    judged,
    mae,
    own_accuracy,
    sparse,
    subject_of,
    trained,
)
from zspace.recipes.regene import SCHEDULES, schedule_for
from zspace.samplers import Convex
from zspace.samplers.convex import TooFewError

RESNET = "classifier resnet56"
"""The neutral classifier by which the paper's accuracies are measured."""


def fig3(lab: Lab) -> list[Entry]:
    """Figure 3: ReGene against an autoencoder of the same networks that is trained by MAE alone.

    The autoencoder has the batches, rates and number of iterations of ReGene's decoder. Its
    accuracy is that of a linear probe of its codes, fitted to at most 10,000 training images.
    Of both, images are decoded from combinations of two codes of a class, none of them judged, and
    the data set's neutral classifier says whether they are still of that class, and whether
    reconstructions are of theirs.
    """
    of = trained(lab)
    paper = SCHEDULES[schedule_for(of.images.shape)]
    options = {
        "width": 128,
        "decoder_width": 512,
        "batch_size": paper.decoder_batch_size,
        "learning_rate": paper.phases[0].rate,
        **lab.settings["options"],
    }
    alike = "width", "decoder_width", "batch_size", "learning_rate", "precision"
    ae_run = lab.trained(
        "ae",
        str(lab.data),
        arch="regene",
        loss="absolute-error",
        iterations=of.run.config["iterations"] - of.run.config["classifier_iterations"],
        **{name: options[name] for name in (*alike, *ALIKE) if name in options},
    )
    lab.check(ae_run, of.images)
    ae = api.load(ae_run.folder, device=lab.device)
    z, y = maps.some_codes(ae, of.images.train, 10_000)
    assert of.test.y is not None
    z_test = codes(ae, of.test.x).cpu()
    probe = mean_figure(linear_probe(z, y, z_test, of.test.y))
    theirs = published()["regene/fig3"] if lab.data == "mnist" else {}
    entries = both(of, "ReGene", theirs.get("regene", (None, None)))
    accuracy_of, error_of = theirs.get("ae", (None, None))
    entries += [
        Entry(
            "autoencoder",
            "accuracy of a linear probe",
            probe,
            "linear probe",
            of.data,
            len(of.test),
            accuracy_of,
            None,
            "linear probe",
            of.data,
            part=of.part,
        ),
        Entry(
            "autoencoder",
            "MAE of reconstructions",
            mae(ae, of.test),
            "pixels",
            of.data,
            len(of.test),
            error_of,
            None,
            "pixels",
            of.data,
            part=of.part,
        ),
    ]
    for what, run, sampler in (
        ("ReGene", of.run, of.convex.changed().with_judges({})),
        ("autoencoder", ae_run, Convex().fit(codes(ae, of.images.train.x), of.images.train.y)),
    ):
        held = lab.measured(run, "classifier")
        for measure, x in (
            ("accuracy of reconstructions", reconstructed(held)),
            ("accuracy of combinations", generated(held, what, sampler=sampler)),
        ):
            right, by = METRICS["accuracy"].measure(held, x)[""], held.extractor.name
            entries.append(Entry(what, measure, right, by, of.data, len(x.x), part=of.part))
    maps.tsne(
        lab.picture("fig3-tsne"),
        {"autoencoder": maps.some_codes(ae, of.test), "ReGene": maps.some_codes(of.model, of.test)},
        of.images.classes,
    )
    label = min(4, len(of.images.classes) - 1)
    own = (of.test.y == label).nonzero()[:8, 0]
    pairs = as_float(of.test.x[own]).to(of.convex.codes.device)
    half = len(pairs) // 2
    rows = [
        gallery.interpolation_rows(m, pairs[:half], pairs[half : 2 * half], 11)[0]
        for m in (ae, of.model)
    ]
    plots.save_sheet(lab.picture("fig3-interpolation"), torch.cat(rows).cpu(), 11)
    return entries


def fig5(lab: Lab) -> list[Entry]:
    """Figure 5: the latents of a DenseNet, averages of its last maps, against those of ReGene."""
    entries: list[Entry] = []
    spaces: Spaces = {}
    shown: list[Tensor] = []
    classes: Sequence[str] = ()
    for encoder in ("densenet", "regene"):
        own = {"depth": lab.settings["depth"]} if encoder == "densenet" else {}
        of = trained(lab, encoder=encoder, **own)
        what = "DenseNet" if own else "ReGene"
        theirs = published()["regene/text"]["DenseNet100 CIFAR-10 accuracy"]
        known = lab.data == "cifar10" and own.get("depth") == 100
        entries += both(of, what, (theirs if known else None, None))
        entries.append(sparse(of, what, spaces))
        x = as_float(of.test.x[:10])
        shown += [x] if not shown else []
        shown.append(of.model.reconstruct(x.to(of.convex.codes.device)).cpu())
        classes = of.images.classes
    lab.note(f"The DenseNet has {lab.settings['depth']} layers.")
    maps.barcodes(lab.picture("fig5-barcodes"), spaces, classes)
    plots.save_sheet(lab.picture("fig5-reconstructions"), torch.cat(shown), 10)
    return entries


def fig6(lab: Lab) -> list[Entry]:
    """Figure 6: the accuracy of a neutral classifier on images generated from n combined codes.

    Rows `judged` hold combinations that passed both judges, rows `raw` all combinations. There are
    as many images of each class as the test part has, at most 10,000 in all. The neutral classifier
    is trained once, and so are the conditional GANs beside ReGene, with FlexAE's networks; for its
    own, the paper's Figure 6b prints no numbers.
    """
    return over_trainings([_neutral(lab, seed) for seed in range(lab.settings["seeds"])])


def _neutral(lab: Lab, seed: int) -> list[Entry]:
    """The entries of Figure 6 for one seed of ReGene; those of other models with the first."""
    of = trained(lab, seed=seed)
    neutral = neutral_classifier(
        of.images,
        arch=lab.settings["neutral"],
        device=lab.device,
        iterations=lab.settings.get("neutral_iterations"),
        augment=augment_of(lab.settings["neutral"], of.images.name),
    )
    extractor = find_extractor("classifier", lambda task, arch: neutral, lab.device)
    judge = judged(of, lab, "pixels")  # the measurement's own classifier would be another one
    judge.extractor = extractor
    known = published()["regene/fig6"] if lab.data == "cifar10" else {}
    entries: list[Entry] = []
    if seed == 0:
        entries += _others(lab, of, judge, neutral.accuracy)
    for n in lab.settings["combine"]:
        for what in ("judged", "raw"):
            sampler = of.convex.changed(combine=n)
            if what == "raw":
                sampler.with_judges({})
            try:
                made = generated(judge, f"combinations of {n}", sampler=sampler)
            except TooFewError as error:
                lab.note(str(error))
                continue
            assert made.labels is not None
            right = mean_figure(accuracy(judge.features(made, "logits"), made.labels))
            paper = known.get("regene") if n == 2 and what == "judged" else None
            entries.append(
                Entry(
                    f"n = {n}, {what}",
                    "accuracy",
                    right,
                    extractor.name,
                    of.data,
                    len(made.x),
                    paper,
                    None,
                    RESNET,
                    of.data,
                    part=of.part,
                )
            )
    return entries


def augment_of(arch: str, data: str) -> Augment | None:
    """How a neutral classifier's training images are changed: digits are not mirrored."""
    return "crop" if arch == "resnet56" and data in ("mnist", "digits") else None


def _others(lab: Lab, of: Trained, judge: Measurement, real: Figure) -> list[Entry]:
    """The entries of Figure 6 for test images and for conditional GANs."""
    known = published()["regene/fig6"] if lab.data == "cifar10" else {}
    found: list[tuple[str, Figure, int, float | None]] = [
        ("test images", real, len(of.test), known.get("real"))
    ]
    for recipe in ("dcgan", "wgan-gp", "sngan"):
        made = subject_of(lab, recipe, judge)
        assert made.labels is not None
        right = mean_figure(accuracy(judge.features(made, "logits"), made.labels))
        found.append((recipe, right, len(made.x), None))
    return [
        Entry(
            what,
            "accuracy",
            figure,
            judge.extractor.name,
            of.data,
            n,
            paper,
            None,
            RESNET,
            of.data,
            part=of.part,
        )
        for what, figure, n, paper in found
    ]


def crops(lab: Lab) -> list[Entry]:
    """Appendix C: Frechet distances of generations from test images of CelebA, by crop and size."""
    text = published()["regene/text"]
    theirs = {
        ("140", 64): text["CelebA FID 140-crop 64px (appendix; the table says 46.65)"],
        ("none", 128): text["CelebA FID 128px uncropped (approx)"],
    }
    entries: list[Entry] = []
    for crop, size in lab.settings["crops"]:
        of = trained(lab, crop=crop, image_size=size)
        held = judged(of, lab, lab.settings["features"])
        what = f"crop {crop}, {size} pixels"
        try:
            made = generated(held, "generations", sampler=of.convex)
        except TooFewError as error:
            lab.note(f"No distance of {what}: {error}")
            continue
        entries.append(
            Entry(
                what,
                "Frechet distance",
                frechet(lab, held, held.reference, made),
                held.extractor.name,
                of.data,
                len(made.x),
                theirs.get((crop, size)),
                None,
                "inception",
                of.data,
                part=of.part,
            )
        )
    return entries


def fig15b(lab: Lab) -> list[Entry]:
    """Figure 15b: mixtures a x + (1 - a) D(E(x)) of training images and their reconstructions.

    The entries are their Frechet distance from x, and the accuracy of ReGene's own classifier.
    """
    of = trained(lab)
    held = judged(of, lab, None)
    device = next(of.model.parameters()).device
    n = min(len(of.test), 10_000, len(of.images.train))
    order = torch.randperm(len(of.images.train), generator=torch.Generator().manual_seed(0))[:n]
    part = of.images.train.take(order)
    original = Subject("training images, some", DATA, part.x)
    entries: list[Entry] = []
    curve: list[tuple[float, float, float]] = []
    for a in lab.settings["ratios"]:

        def mixed(x: Tensor, a: float = a) -> Tensor:
            rebuilt = of.model.decode(of.model.encode(x))
            return as_stored(convex(x, rebuilt, torch.full((len(x), 1), a, device=device))).cpu()

        x = of_stored(mixed, part.x, device)
        subject = Subject(f"a = {a}", RECONSTRUCTION, x)
        distance = frechet(lab, held, original, subject)
        right = own_accuracy(of.model, Part(x, part.y))
        curve.append((a, distance.value, right.value))
        for measure, figure, by in (
            ("Frechet distance", distance, held.extractor.name),
            ("accuracy", right, "its classifier"),
        ):
            data = of.training_data
            entries.append(Entry(f"a = {a:g}", measure, figure, by, data, n, part=of.part))
    fig, axes = plots.figure(1, 1, (5, 3.4))
    ratios, distances, rights = zip(*curve, strict=True)
    axes[0, 0].plot(ratios, distances, marker=".", label="Frechet distance")
    axes[0, 0].set_xlabel("share of the original")
    axes[0, 0].set_ylabel(f"Frechet distance ({held.extractor.name})")
    right_axis = axes[0, 0].twinx()
    right_axis.plot(ratios, rights, color="C1", marker=".")
    right_axis.set_ylabel("accuracy", color="C1")
    plots.save_figure(lab.picture("fig15b"), fig)
    return entries
