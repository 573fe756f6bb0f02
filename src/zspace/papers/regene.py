"""ReGene's tables and figures (Gopalakrishnan et al., Neurocomputing 471, 2022)."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zspace import api, gallery, plots
from zspace.bench import DATA, GENERATION, Bench, Subject, bench_of, generated, reconstructed
from zspace.core import Batches, as_float, as_stored, codes, of_stored
from zspace.data import Images
from zspace.data.images import Part, join
from zspace.errors import InputError
from zspace.features import find_extractor
from zspace.functional import convex
from zspace.gallery import Gallery
from zspace.generations import augmented, convex_of, write_labelled
from zspace.methods.classifier import Classifier
from zspace.methods.regene import ReGene
from zspace.metrics import (
    BiasWarning,
    Figure,
    accuracy,
    frechet_distance,
    inception_score,
    jackknife,
    linear_probe,
    mean_absolute_error,
    mean_figure,
)  # fmt: skip
from zspace.nets.papers import ReGeneNets
from zspace.neutral import neutral_classifier
from zspace.papers.base import (
    Entry,
    Experiment,
    Scale,
    Workbench,
    known_to,
    mean_and_deviation,
    published,
)  # fmt: skip
from zspace.recipes.regene import CLASSIFIER_RATE, SCHEDULES, schedule_for
from zspace.run import Run
from zspace.samplers import Convex
from zspace.storage import write_text
from zspace.training import fit, make_fabric
from zspace.weights import find_weights

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
        return Gallery(self.model, self.convex, self.images.train, self.images.classes, generator,
                       gallery.vgg16_features(device))  # fmt: skip


def _trained(bench: Workbench, data: str | None = None, **options: Any) -> Trained:
    """The ReGene of an experiment's settings, with further options."""
    data = data or str(bench.data)
    own = {"label_attribute": "Male"} if data == "celeba" else {}
    run = bench.trained("regene", data, **{**bench.settings["options"], **own, **options})
    model = api.load(run.folder, device=bench.device)
    assert isinstance(model, ReGene)
    combined = convex_of(run.folder, model, {"most_trials": bench.settings.get("most_trials", 100)})
    return Trained(run, model, api.run_images(run), combined)


def _own_accuracy(model: ReGene, part: Part) -> Figure:
    assert part.y is not None
    device = next(model.parameters()).device
    p = of_stored(lambda x: model.probabilities(model.encode(x)).cpu(), part.x, device)
    return mean_figure(accuracy(p, part.y))


def _mae(model: Any, part: Part) -> Figure:
    device = next(model.parameters()).device
    return mean_figure(
        of_stored(
            lambda x: mean_absolute_error(model.decode(model.encode(x)), x).cpu(), part.x, device
        )
    )


def _both(of: Trained, what: str, theirs: Sequence[float | None] = (None, None)) -> list[Entry]:
    """Accuracy and reconstruction error beside the paper's."""
    n = len(of.test)
    return [
        Entry(what, "accuracy of its classifier", _own_accuracy(of.model, of.test),
              "its classifier", of.data, n, theirs[0], None, "its classifier", of.published),
        Entry(what, "MAE of reconstructions", _mae(of.model, of.test), "pixels", of.data, n,
              theirs[1], None, "pixels", of.published),
    ]  # fmt: skip


Spaces = dict[str, tuple[Tensor, Tensor]]
"""Codes and labels, by title."""


def _sparse(of: Trained, what: str, spaces: Spaces) -> Entry:
    """The share of latent dimensions near 0, of 2,000 test latents, which join the spaces."""
    z, y = spaces[what] = gallery.some_codes(of.model, of.test)
    return Entry(what, "near 0", Figure(gallery.sparsity(z), math.nan), "latents", of.data, len(y))


def table1(bench: Workbench) -> list[Entry]:
    """Classifiers of different depth: accuracy, and the MAE of a decoder of their latents.

    Figure 4: barcodes, and maps, of 2,000 test latents.

    `near 0` is the share of latent dimensions whose mean activation is below a tenth of the
    largest: a number for the sparsity that the paper shows by barcodes.
    """
    entries: list[Entry] = []
    spaces: Spaces = {}
    theirs = {(b, k): (a, m) for b, _, k, a, m in published()["regene/table1"]["rows"]}
    classes: Sequence[str] = ()
    for blocks in bench.settings["blocks"]:
        for convolutions in bench.settings["convolutions"]:
            of = _trained(bench, blocks=blocks, convolutions=convolutions)
            what = f"{blocks} blocks, {convolutions} a block, latent {of.model.latent_dim}"
            paper = theirs.get((blocks, convolutions), (None, None))
            entries += _both(of, what, paper if bench.data == "cifar10" else (None, None))
            entries.append(_sparse(of, what, spaces))
            classes = of.images.classes
    gallery.barcodes(bench.picture("fig4-barcodes"), spaces, classes)
    gallery.tsne(bench.picture("fig4-tsne"), spaces, classes)
    return entries


def fig3(bench: Workbench) -> list[Entry]:
    """ReGene against an autoencoder of the same networks, trained end to end by MAE alone.

    The autoencoder's accuracy is that of a linear probe of its codes, on 10,000 training images at
    most.
    """
    of = _trained(bench)
    options = {"width": 128, "decoder_width": 512, "batch_size": 512, **bench.settings["options"]}
    alike = ("width", "decoder_width", "batch_size", "train_size", "precision")
    ae_run = bench.trained(
        "ae", str(bench.data), arch="regene", loss="absolute-error",
        iterations=of.run.config["iterations"] - of.run.config["classifier_iterations"],
        **{name: options[name] for name in alike if name in options},
    )  # fmt: skip
    ae = api.load(ae_run.folder, device=bench.device)
    z, y = gallery.some_codes(ae, of.images.train, 10_000)
    assert of.test.y is not None
    z_test = codes(ae, of.test.x).cpu()
    probe = mean_figure(linear_probe(z, y, z_test, of.test.y))
    theirs = published()["regene/fig3"] if bench.data == "mnist" else {}
    entries = _both(of, "ReGene", theirs.get("regene", (None, None)))
    accuracy_of, error_of = theirs.get("ae", (None, None))
    entries += [
        Entry("autoencoder", "accuracy of a linear probe", probe, "linear probe", of.data,
              len(of.test), accuracy_of, None, "linear probe", of.published),
        Entry("autoencoder", "MAE of reconstructions", _mae(ae, of.test), "pixels", of.data,
              len(of.test), error_of, None, "pixels", of.published),
    ]  # fmt: skip
    gallery.tsne(
        bench.picture("fig3-tsne"),
        {"autoencoder": gallery.some_codes(ae, of.test),
         "ReGene": gallery.some_codes(of.model, of.test)}, of.images.classes,
    )  # fmt: skip
    label = min(4, len(of.images.classes) - 1)
    own = (of.test.y == label).nonzero()[:8, 0]
    pairs = as_float(of.test.x[own]).to(of.convex.codes.device)
    half = len(pairs) // 2
    rows = [gallery.interpolation_rows(m, pairs[:half], pairs[half:2 * half], 11)[0]
            for m in (ae, of.model)]  # fmt: skip
    plots.save_sheet(bench.picture("fig3-interpolation"), torch.cat(rows).cpu(), 11)
    return entries


def fig5(bench: Workbench) -> list[Entry]:
    """The latents of a DenseNet (the average of its last maps) against ReGene's own classifier."""
    entries: list[Entry] = []
    spaces: Spaces = {}
    shown: list[Tensor] = []
    classes: Sequence[str] = ()
    for encoder in ("densenet", "regene"):
        own = {"depth": bench.settings["depth"]} if encoder == "densenet" else {}
        of = _trained(bench, encoder=encoder, **own)
        what = f"DenseNet-{own['depth']}" if own else "ReGene"
        theirs = published()["regene/text"]["DenseNet100 CIFAR-10 accuracy"]
        known = bench.data == "cifar10" and own.get("depth") == 100
        entries += _both(of, what, (theirs if known else None, None))
        entries.append(_sparse(of, what, spaces))
        x = as_float(of.test.x[:10])
        shown += [x] if not shown else []
        shown.append(of.model.reconstruct(x.to(of.convex.codes.device)).cpu())
        classes = of.images.classes
    gallery.barcodes(bench.picture("fig5-barcodes"), spaces, classes)
    plots.save_sheet(bench.picture("fig5-reconstructions"), torch.cat(shown), 10)
    return entries


def table2(bench: Workbench) -> list[Entry]:
    """Trials until 500 combinations of 2 have passed the judge of latents, and that of images, too.

    The thresholds of the second judge are the mean confidences on the validation images.
    """
    of = _trained(bench)
    n = bench.settings["per_class"]
    theirs = published()["regene/table2"].get(str(bench.data).split("-")[0]) if n == 500 else None
    entries = _both(of, "ReGene")
    totals = dict.fromkeys(of.convex.judges, 0.0)
    for label, name in enumerate(of.images.classes):
        trials = _trials(bench, of, n, label)
        for column, judge in enumerate(of.convex.judges):
            totals[judge] += trials.get(judge, math.nan)
            ours = Figure(trials.get(judge, math.nan), math.nan)
            paper = theirs[label][column] if theirs else None
            entries.append(
                Entry(f"class {name}", f"trials, {judge}", ours, "combinations of 2", of.data, n,
                      paper, None, "combinations of 2", of.published)
            )  # fmt: skip
    for column, (judge, total) in enumerate(totals.items()):
        paper = sum(row[column] for row in theirs) if theirs else None
        entries.append(
            Entry("all classes", f"trials, {judge}", Figure(total, math.nan), "combinations of 2",
                  of.data, n * len(of.images.classes), paper, None, "combinations of 2",
                  of.published)
        )  # fmt: skip
    bench.more["thresholds"] = of.model.thresholds.tolist()
    return entries


def _trials(bench: Workbench, of: Trained, n: int, label: int) -> Mapping[str, int]:
    """Trials by judge; empty where too few candidates passed, which becomes a note."""
    generator = torch.Generator(of.convex.codes.device).manual_seed(label)
    try:
        return of.convex.combined(n, label, generator=generator).trials
    except InputError as error:
        bench.more.setdefault("notes", []).append(str(error))
        return {}


def fig6(bench: Workbench) -> list[Entry]:
    """Accuracy of a neutral classifier, trained on the data set, on generations of n codes.

    `raw`: combinations that no judge has seen; else those that passed both. As many of each class
    as the test part has, 10,000 in all at most. Beside them conditional GANs of FlexAE's networks;
    for theirs the paper's Figure 6b prints no numbers.
    """
    of = _trained(bench)
    neutral = neutral_classifier(
        of.images, arch=bench.settings["neutral"], device=bench.device,
        iterations=bench.settings.get("neutral_iterations"),
    )  # fmt: skip
    extractor = find_extractor("classifier", lambda: neutral, bench.device)
    judge = _judged(of, bench, "pixels")  # whose own classifier would be another one
    judge.extractor = extractor
    published_by = "classifier resnet56"
    known = published()["regene/fig6"] if bench.data == "cifar10" else {}
    entries = [
        Entry("test images", "accuracy", neutral.accuracy, extractor.name, of.data, len(of.test),
              known.get("real"), None, published_by, of.published)
    ]  # fmt: skip
    for n in bench.settings["combine"]:
        for what in ("judged", "raw"):
            sampler = of.convex.changed(combine=n)
            if what == "raw":
                sampler.judges = {}
            try:
                made = generated(judge, f"combinations of {n}", sampler=sampler)
            except InputError as error:
                bench.more.setdefault("notes", []).append(str(error))
                continue
            assert made.labels is not None
            right = mean_figure(accuracy(judge.features(made, "logits"), made.labels))
            paper = known.get("regene") if n == 2 and what == "judged" else None
            entries.append(
                Entry(f"n = {n}, {what}", "accuracy", right, extractor.name, of.data, len(made.x),
                      paper, None, published_by, of.published)
            )  # fmt: skip
    for recipe in ("dcgan", "wgan-gp", "sngan"):
        made = _conditional(bench, recipe, judge)
        assert made.labels is not None
        right = mean_figure(accuracy(judge.features(made, "logits"), made.labels))
        entries.append(
            Entry(recipe, "accuracy", right, extractor.name, of.data, len(made.x), None, None,
                  published_by, of.published)
        )  # fmt: skip
    return entries


def _conditional(bench: Workbench, recipe: str, judge: Bench) -> Subject:
    """What another conditional model, trained on the same images, generates."""
    options = known_to(recipe, bench.settings["conditional"])
    run = bench.trained(recipe, str(bench.data), **options)
    model = api.load(run.folder, device=bench.device)
    return generated(replace(judge, model=model), recipe, sampler=model.prior)


def _distance(bench: Workbench, held: Bench, x: Subject, y: Subject) -> Figure:
    """The Frechet distance of two subjects; that it is biased, where it is, becomes a note."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", BiasWarning)
        distance = jackknife(frechet_distance, held.features(x), held.features(y), groups=8)
    notes = bench.more.setdefault("notes", [])
    notes += {str(w.message) for w in caught if w.category is BiasWarning} - set(notes)
    return distance


def _judged(of: Trained, bench: Workbench, features: str | None) -> Bench:
    return bench_of(of.run.folder, features=features, device=bench.device)


def table3(bench: Workbench) -> list[Entry]:
    """Frechet distances between originals, their reconstructions and generations, in pairs.

    The paper does not say whether its originals are training or test images: both are here. As many
    images of each as the test part has, 10,000 at most.
    """
    data = str(bench.data)
    of = _trained(bench)
    table, spread = published()["regene/table3"], published()["regene/table3-sd"]
    column = COLUMNS.index(data) if data in COLUMNS else None
    entries: list[Entry] = []
    for features in bench.settings["features"]:
        held = _judged(of, bench, features)
        made = generated(held, "generations", sampler=of.convex)
        rebuilt, rebuilt_train = reconstructed(held), reconstructed(held, held.others.x)
        for what, x, y, row in (
            ("original (test) vs generated", held.reference, made, "original vs generated"),
            ("original (training) vs generated", held.others, made, "original vs generated"),
            ("original (test) vs reconstructed", held.reference, rebuilt,
             "original vs reconstructed"),
            ("original (training) vs reconstructed", held.others, rebuilt_train,
             "original vs reconstructed"),
            ("reconstructed (test) vs generated", rebuilt, made, "reconstructed vs generated"),
            ("reconstructed (training) vs generated", rebuilt_train, made,
             "reconstructed vs generated"),
        ):  # fmt: skip
            distance = _distance(bench, held, x, y)
            theirs = None if column is None else table[f"ReGene ({row})"][column]
            error = spread.get(f"ReGene ({row})", [None] * 4)[column or 0]
            entries.append(
                Entry(what, "Frechet distance", distance, held.extractor.name, of.data,
                      len(made.x), theirs, error, "inception", of.published)
            )  # fmt: skip
    return entries


def table4(bench: Workbench) -> list[Entry]:
    """Inception Scores: by the data set's classifier and, where its weights are, by Inception.

    The paper's value for real images can only come from a classifier of the data set, its others
    from an Inception network. Of its other models the CVAE is here, with FlexAE's networks; CCVAE
    and CCapsCVAE are not.
    """
    of = _trained(bench)
    column = {"mnist": 0, "fashion-mnist": 1}.get(str(bench.data))
    table, spread = published()["regene/table4"], published()["regene/table4-sd"]
    entries: list[Entry] = []
    by = ["classifier", *(["inception"] if find_weights("inception") is not None else [])]
    for features in by:
        held = _judged(of, bench, features)
        made = generated(held, "generations", sampler=of.convex)
        conditional = _conditional(bench, "cvae", held)
        for what, subject, row in (
            ("test images", held.reference, "Real Image"), ("ReGene", made, "ReGene"),
            ("CVAE", conditional, "CVAE"),
        ):  # fmt: skip
            mean, deviation = inception_score(held.features(subject, "logits"))
            theirs = (None, None) if column is None else (table[row][column], spread[row][column])
            published_by = "a classifier of the data" if row == "Real Image" else "inception"
            entries.append(
                Entry(what, "Inception Score", Figure(mean, deviation / math.sqrt(10)),
                      held.extractor.name, of.data, len(subject.x), *theirs, published_by,
                      of.published)
            )  # fmt: skip
    return entries


def fig15a(bench: Workbench) -> list[Entry]:
    """Figure 15a: the Frechet distances of Table 3 on CIFAR-10, beside those of GANs (Table 3)."""
    entries = table3(bench)
    table = published()["regene/table3"]
    bench.more["published GANs"] = {
        name: row[2] for name, row in table.items() if "ReGene" not in name and name != "what"
    }
    return entries


def fig15b(bench: Workbench) -> list[Entry]:
    """a x + (1 - a) D(E(x)) of training images: its Frechet distance from x, and its accuracy.

    The accuracy is that of ReGene's own classifier.
    """
    of = _trained(bench)
    held = _judged(of, bench, None)
    device = next(of.model.parameters()).device
    n = min(len(of.test), 10_000, len(of.images.train))
    order = torch.randperm(len(of.images.train), generator=torch.Generator().manual_seed(0))[:n]
    part = of.images.train.take(order)
    original = Subject("training images, some", DATA, part.x)
    entries: list[Entry] = []
    curve: list[tuple[float, float, float]] = []
    for a in bench.settings["ratios"]:

        def mixed(x: Tensor, a: float = a) -> Tensor:
            rebuilt = of.model.decode(of.model.encode(x))
            return as_stored(convex(x, rebuilt, torch.full((len(x), 1), a, device=device))).cpu()

        x = of_stored(mixed, part.x, device)
        subject = Subject(f"a = {a}", GENERATION, x)
        distance = _distance(bench, held, original, subject)
        right = _own_accuracy(of.model, Part(x, part.y))
        curve.append((a, distance.value, right.value))
        for measure, figure, by in (("Frechet distance", distance, held.extractor.name),
                                    ("accuracy", right, "its classifier")):  # fmt: skip
            entries.append(Entry(f"a = {a:g}", measure, figure, by, of.data, n))
    fig, axes = plots.figure(1, 1, (5, 3.4))
    ratios, distances, rights = zip(*curve, strict=True)
    axes[0, 0].plot(ratios, distances, marker=".", label="Frechet distance")
    axes[0, 0].set_xlabel("share of the original")
    axes[0, 0].set_ylabel(f"Frechet distance ({held.extractor.name})")
    right_axis = axes[0, 0].twinx()
    right_axis.plot(ratios, rights, color="C1", marker=".")
    right_axis.set_ylabel("accuracy", color="C1")
    plots.save_figure(bench.picture("fig15b"), fig)
    return entries


LOSSES = ("cross-entropy", "hinge", "cosine", "mse")


def fig16(bench: Workbench) -> list[Entry]:
    """Four losses of the classifier: accuracy, MAE, tries, and the generations' accuracy and
    Frechet distance (B.18: maps of the latents; B.19 and B.20: barcodes).

    Tries: candidates until `per_class` of every class have passed both judges; `tries, relative` is
    to cross-entropy's. Where a class is given up (its candidates are counted, and a note says so)
    the number is a lower bound.
    """
    n = bench.settings["per_class"]
    theirs = published()["regene/fig16"] if bench.data == "cifar10" else {}
    entries: list[Entry] = []
    spaces: Spaces = {}
    tries: dict[str, int] = {}
    classes: Sequence[str] = ()
    for loss in LOSSES:
        of = _trained(bench, loss=loss)
        classes = of.images.classes
        entries += _both(of, loss)
        tries[loss] = 0
        for label in range(len(classes)):
            limit = n * of.convex.most_trials
            tries[loss] += _trials(bench, of, n, label).get("image space", limit)
        count = n * len(classes)
        what = "combinations of 2"
        entries.append(Entry(loss, "tries", Figure(tries[loss], math.nan), what, of.data, count))
        if loss != "cross-entropy":
            relative = Figure(tries[loss] / tries["cross-entropy"], math.nan)
            entries.append(
                Entry(loss, "tries, relative", relative, what, of.data, count, theirs.get(loss),
                      None, what, of.published)
            )  # fmt: skip
        try:
            held = _judged(of, bench, None)
            made = generated(held, "generations", sampler=of.convex)
            distance = _distance(bench, held, held.reference, made)
            entries.append(Entry(loss, "Frechet distance, generated", distance,
                                 held.extractor.name, of.data, len(made.x)))  # fmt: skip
            right = _own_accuracy(of.model, Part(made.x, made.labels))
            entries.append(Entry(loss, "accuracy of generations", right, "its classifier",
                                 of.data, len(made.x)))  # fmt: skip
        except InputError as error:
            bench.more.setdefault("notes", []).append(f"{loss}: {error}")
        spaces[loss] = gallery.some_codes(of.model, of.test)
    gallery.tsne(bench.picture("figB18-tsne"), spaces, classes)
    gallery.barcodes(bench.picture("figB19-B20-barcodes"), spaces, classes)
    return entries


def fig17(bench: Workbench) -> list[Entry]:
    """Accuracy of the same classifier on originals, with generations in their place, or beside.

    Of each class `per_class` originals, others for each seed. The generating classifier and decoder
    are trained on these alone: on nine tenths of them, the thresholds being of the last tenth. Then
    Table A.5's (A.7's) classifier is trained anew on all of the originals; with a share of them
    replaced by generations; with generations beside them. All are trained for as many iterations,
    and judged on the whole test part. Behind ± stands the standard deviation over the seeds.
    """
    where = bench.settings
    data = str(bench.data)
    theirs = published()["regene/fig17"] if data == "cifar10" else {}
    entries: list[Entry] = []
    for per_class in where["per_class"]:
        results: dict[str, list[float]] = {}
        size = 0
        for seed in range(where["seeds"]):
            name = f"{'all' if per_class is None else per_class}-{seed}"
            for what, value in _kept(bench, name, lambda s=seed, p=per_class: _cells(
                bench, data, p, s
            )).items():  # fmt: skip
                results.setdefault(what, []).append(value)
            size = int(results.pop("originals", [size])[0]) or size
        for what, values in results.items():
            paper = {"originals alone": theirs.get("original"),
                     "+100% generations": theirs.get("augmented")}.get(what)  # fmt: skip
            count = "all" if per_class is None else per_class
            entries.append(
                Entry(f"{count} originals per class: {what}", "accuracy (± deviation)",
                      mean_and_deviation(values), "Table A.5-A.7's classifier",
                      f"{data} test, {size:,} originals",
                      len(values), paper, None, "Table A.5-A.7's classifier",
                      f"{data} test, 50,000 originals")
            )  # fmt: skip
    return entries


def _kept(bench: Workbench, name: str, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Numbers that are computed once: a killed experiment goes on where it was."""
    path = bench.out / "cells" / f"{name}.json"
    if path.is_file():
        found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return found
    made = compute()
    write_text(path, json.dumps(made) + "\n")
    return made


def _cells(bench: Workbench, data: str, per_class: int | None, seed: int) -> dict[str, float]:
    """The accuracies of one seed, by what the classifier was trained on."""
    where = bench.settings
    images = api.images_of(data, {**dict.fromkeys(api.DATA_OPTIONS), "data_dir": bench.data_dir,
                                  "crop": "128"})  # fmt: skip
    pool = join([images.train, images.validation])
    assert pool.y is not None
    generator = torch.Generator().manual_seed(1000 + seed)
    rows: list[Tensor] = []
    for label in range(len(images.classes)):
        own = (pool.y == label).nonzero()[:, 0]
        own = own[torch.randperm(len(own), generator=generator)]
        rows.append(own if per_class is None else own[:per_class])
    originals = pool.take(torch.cat(rows)[torch.randperm(sum(map(len, rows)), generator=generator)])
    file = bench.out / "data" / f"{len(originals)}-{seed}.npz"
    write_labelled(file, {"train": originals, "test": images.test}, images.classes)
    of = _trained(bench, str(file), seed=seed, train_size=None)
    assert originals.y is not None
    counts = torch.bincount(originals.y)
    most = max(1.0, *where["added"], *where["replaced"])
    try:
        made = augmented(
            of.model, of.convex, math.ceil(most * int(counts.max())), images.classes,
            generator=torch.Generator(of.convex.codes.device).manual_seed(seed),
        )  # fmt: skip
    except InputError as error:  # what can't be generated can't be added
        note = f"{per_class} originals per class, seed {seed}: {error}"
        bench.more.setdefault("notes", []).append(note)
        made = originals.take(torch.arange(0))

    def some(part: Part, shares: float) -> list[Part]:
        """So many times as many of each class as there are originals."""
        assert part.y is not None
        chosen = [(part.y == label).nonzero()[: round(shares * int(count)), 0]
                  for label, count in enumerate(counts)]  # fmt: skip
        rows = torch.cat(chosen)
        return [part.take(rows)] if len(rows) else []

    mixtures = {"originals alone": [originals]}
    for share in where["replaced"] if len(made) else ():
        mixtures[f"{share:.0%} replaced by generations"] = [
            *some(originals, 1 - share),
            *some(made, share),
        ]
    for share in where["added"] if len(made) else ():
        mixtures[f"+{share:.0%} generations"] = [originals, *some(made, share)]
    found = {
        what: _classifier_accuracy(bench, join(parts), images.test, len(images.classes), seed)
        for what, parts in mixtures.items()
    }
    return {**found, "originals": float(len(originals))}


def _classifier_accuracy(
    bench: Workbench, train: Part, test: Part, classes: int, seed: int
) -> float:
    """Test accuracy of the paper's classifier, trained from scratch."""
    options = bench.settings["options"]
    shape = tuple(train.x.shape[1:])
    paper = SCHEDULES[schedule_for(shape)]
    fabric = make_fabric(bench.device, options.get("precision", "32"))
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        nets = ReGeneNets(shape, options.get("width", 128), last_kernels=paper.last_kernels)
        net = nn.Sequential(nets.encoder(), nn.Linear(nets.latent_dim, classes))
        net.to(fabric.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        size = min(options.get("batch_size", paper.batch_size), len(train))
        per_epoch = len(train) // size
        batches = Batches(train.x, train.y, size=size, seed=seed, device=fabric.device)
        fit(
            Classifier(net, rate=CLASSIFIER_RATE), batches,
            bench.settings["judge_iterations"] or paper.epochs * per_epoch,
            rate=paper.rate(per_epoch), fabric=fabric,
        )  # fmt: skip
    assert test.y is not None
    logits = of_stored(lambda x: net.eval()(x).cpu(), test.x, fabric.device)
    return mean_figure(accuracy(logits, test.y)).value


def _sheet(kind: str, labels: Callable[[Sequence[str]], Sequence[int]] | None = None) -> Any:
    """An experiment that is a sheet of images."""

    def draw(bench: Workbench) -> list[Entry]:
        of = _trained(bench)
        classes = of.images.classes
        chosen = range(len(classes)) if labels is None else labels(classes)
        gallery.SHEETS[kind][0](of.gallery(bench.device), list(chosen)).save(bench.picture(kind))
        return _both(of, "ReGene")

    draw.__doc__ = gallery.SHEETS[kind][1]
    return draw


def _one(name: str) -> Callable[[Sequence[str]], Sequence[int]]:
    """The class of that name, or else the second one."""
    return lambda classes: [classes.index(name) if name in classes else 1]


def fig7(bench: Workbench) -> list[Entry]:
    """Generations of 2, 3 and 5 with their sources, these laid over one another; interpolations."""
    of = _trained(bench)
    labels = range(len(of.images.classes))
    gallery.overlay(of.gallery(bench.device), labels).save(bench.picture("overlay"))
    gallery.interpolation(of.gallery(bench.device), labels).save(bench.picture("interpolation"))
    return _both(of, "ReGene")


def fig11(bench: Workbench) -> list[Entry]:
    """Pairs of anime faces. The paper's set has no name here: --data-dir has a folder per class."""
    if bench.data_dir is None:
        raise InputError(
            "regene/fig11 needs --data-dir, a folder with a folder of faces for each class, one of "
            "them named anime"
        )
    of = _trained(replace(bench, data_dir=None), bench.data_dir)
    gallery.matrix(of.gallery(bench.device), _one("anime")(of.images.classes)).save(
        bench.picture("matrix")
    )
    return _both(of, "ReGene")


def closest(bench: Workbench) -> list[Entry]:
    """Generations, their nearest training images, reconstructions and latents, and their nearest
    other generations: a sheet for all classes of each.

    By mean squared error, SSIM, latents and, where its weights are, VGG16's features. The entries
    are the nearest one's value, mean over classes.
    """
    of = _trained(bench)
    labels = list(range(len(of.images.classes)))
    sheet, among = gallery.closest(of.gallery(bench.device), labels)
    sheet.save(bench.picture("closest-training"))
    sheet, others = gallery.closest_generations(
        of.gallery(bench.device), labels, bench.settings["generations"]
    )
    sheet.save(bench.picture("closest-generations"))
    entries: list[Entry] = []
    for where, values in (("training images", among), ("other generations", others)):
        for way, each in values.items():
            entries.append(
                Entry(f"nearest of the {where}", way, mean_figure(torch.tensor(each)),
                      "one generation of each class", of.data, len(each))
            )  # fmt: skip
    return entries


_SMOKE: dict[str, Any] = {
    "width": 16, "decoder_width": 32, "batch_size": 32, "iterations": 500, "rate": 4e-3,
    "classifier_iterations": 100, "train_size": 1000, "perceptual": 0.0,
}  # fmt: skip
_SMALL: dict[str, Any] = {
    "width": 32, "decoder_width": 64, "batch_size": 128, "iterations": 8000,
    "classifier_iterations": 2000, "precision": "bf16", "perceptual": 0.0,
}  # fmt: skip
_TOY = "1,000 images, 16 and 32 channels, 100 + 400 iterations of 32 images"
_LESS = (
    "encoder of 32 channels and decoder of 64 and 32 in place of 128, 512 and 256, 2,000 + 6,000 "
    "iterations of 128 images in bfloat16 in place of 50 + 300 epochs of 512 images; no perceptual "
    "loss"
)
_DAY = "for each training 2 (grey) or 3 hours on a GPU, by the paper's seconds per epoch"
_CONDITIONAL_SMOKE = {"iterations": 10, "width": 4, "hidden": 16, "train_size": 300}
_CONDITIONAL = {
    "iterations": 4000, "width": 16, "hidden": 256, "batch_size": 64, "precision": "bf16",
}  # fmt: skip
"""Options of the conditional models beside ReGene, in Figure 6 and Table 4."""
_GREY = ("mnist", "fashion-mnist", "digits")
_ALL = ("mnist", "fashion-mnist", "cifar10", "digits")
_COLOUR = ("cifar10", "mnist", "fashion-mnist", "digits")


def _experiment(
    name: str, about: str, run: Callable[[Workbench], list[Entry]], data: tuple[str, ...],
    settings: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | None = None,
    *, less: str = "", small: dict[str, Any] | None = None, needs: str = "the data set's files",
    cost: str = "20 minutes on a core", image_size: int | None = None, paper_cost: str = _DAY,
) -> Experiment:  # fmt: skip
    """An experiment about one ReGene, or several, at the three scales.

    Args:
        settings: further ones of each scale.
        less: how `small` falls short besides.
        small: options of the recipe at that scale other than the usual.
        image_size: that the data are scaled to; 16 at smoke.
    """
    smoke, middle, paper = settings or ({}, {}, {})
    sized = {} if image_size is None else {"image_size": image_size}
    options = (
        {**_SMOKE, **({} if image_size is None else {"image_size": 16})},
        {**_SMALL, **sized, **(small or {})},
        {"iterations": None, **sized},
    )
    toy = _TOY + ("" if image_size is None else ", 16 pixels")
    return Experiment(
        f"regene/{name}",
        about,
        {
            "smoke": Scale(
                {
                    "options": options[0],
                    "most_trials": 50,
                    "conditional": _CONDITIONAL_SMOKE,
                    **smoke,
                },
                toy,
                "a minute",
            ),
            "small": Scale(
                {"options": options[1], "conditional": _CONDITIONAL, **middle}, less or _LESS, cost
            ),
            "paper": Scale(
                {"options": options[2], "conditional": {"iterations": 100_000}, **paper},
                "",
                paper_cost,
            ),
        },
        run,
        data,
        needs,
    )


_GRID = "encoder of 32 channels and decoder of 64 and 32, 1,500 + 2,500 iterations of 128 images"
_QUICK = {"iterations": 4000, "classifier_iterations": 1500}
_FACES = (
    "the data set's files; the paper's complementary class, anime, is no named set: here the "
    "classes are CelebA's attribute Male"
)


def _faces(decoder: int) -> dict[str, Any]:
    """The scale `small` of faces, and what `paper` costs."""
    return {
        "small": {"width": 16, "decoder_width": 32, "batch_size": 32, "classifier_iterations": 500,
                  "iterations": 500 + decoder},
        "less": f"encoder of 16 channels and decoder of 32 and 16 in place of 128, 512 and 256, "
                f"500 + {decoder:,} iterations of 32 images in bfloat16 in place of 50 epochs of "
                "256 and 700 of 128; no perceptual loss",
        "cost": "half an hour on a core",
        "paper_cost": "58 hours on a GPU at 64 pixels, by the paper's seconds per epoch",
    }  # fmt: skip


EXPERIMENTS = (
    _experiment(
        "table1",
        "ReGene, Table 1 and Figure 4: depth of the classifier against what can be decoded.",
        table1, _COLOUR,
        ({"blocks": (2, 3), "convolutions": (1,)}, {"blocks": (4, 5, 6), "convolutions": (1, 3)},
         {"blocks": (4, 5, 6), "convolutions": (1, 3)}),
        less=f"{_GRID} in place of 128, 512 and 256 channels, 100 + 300 epochs of 512; bfloat16; "
        "no perceptual loss",
        small=_QUICK, cost="2 hours on a core",
    ),
    _experiment("fig3", "ReGene, Figure 3: against an autoencoder with a linear probe.", fig3,
                _GREY, cost="40 minutes on a core"),
    _experiment("fig5", "ReGene, Figure 5: the latents of a DenseNet can't be decoded.", fig5,
                _COLOUR, ({"depth": 10}, {"depth": 40}, {"depth": 100}),
                less=f"DenseNet-40 in place of 100; {_GRID}; no perceptual loss", small=_QUICK,
                cost="2 hours on a core"),
    _experiment("table2", "ReGene, Table 2: trials for 500 generations of each class.", table2,
                _ALL, ({"per_class": 10}, {"per_class": 500}, {"per_class": 500})),
    _experiment("fig6", "ReGene, Figure 6: a neutral classifier's accuracy on generations.", fig6,
                _ALL,
                ({"combine": (2, 3, 5), "neutral": "cnn", "neutral_iterations": 100},
                 {"combine": (2, 3, 5), "neutral": "cnn"},
                 {"combine": (2, 3, 5), "neutral": "resnet56"}),
                less=f"{_LESS}; a small neutral network in place of ResNet-56"),
    _experiment("table3", "ReGene, Table 3: Frechet distances between originals, reconstructions "
                "and generations.", table3, (*_ALL, "celeba"),
                ({"features": ("pixels",)}, {"features": ("classifier",)},
                 {"features": ("inception",)}),
                needs="the data set's files; at scale paper the Inception weights (zspace "
                "weights)"),
    _experiment("table4", "ReGene, Table 4: Inception Scores.", table4, _GREY),
    _experiment("fig7", "ReGene, Figure 7: generations over their sources, and interpolations.",
                fig7, _ALL),
    _experiment("fig8", "ReGene, Figure 8: pairs of cars.", _sheet("matrix", _one("automobile")),
                _COLOUR),
    _experiment("fig9", "ReGene, Figure 9: pairs of faces at 64 pixels.",
                _sheet("matrix", _one("Male")), ("celeba",), needs=_FACES, image_size=64,
                **_faces(2000)),
    _experiment("fig10", "ReGene, Figure 10: pairs of faces at 128 pixels.",
                _sheet("matrix", _one("Male")), ("celeba",), needs=_FACES, image_size=128,
                **_faces(1000)),
    _experiment("fig11", "ReGene, Figure 11: pairs of anime faces at 128 pixels.", fig11, (),
                needs="--data-dir, a folder of a folder of faces for each class", image_size=128,
                **_faces(1000)),
    _experiment("fig12", "ReGene, Figure 12: the nearest training images of generations.",
                _sheet("closest"), _ALL),
    _experiment("fig13", "ReGene, Figure 13: the nearest other generations.",
                _sheet("closest-generations"), _ALL),
    _experiment("fig14", "ReGene, Figure 14: generations of generations.", _sheet("family"), _ALL),
    _experiment("fig15a", "ReGene, Figure 15a: Table 3's distances on CIFAR-10 and the GANs'.",
                fig15a, _COLOUR,
                ({"features": ("pixels",)}, {"features": ("classifier",)},
                 {"features": ("inception",)}), needs="the data set's files; at scale paper the "
                "Inception weights (zspace weights)"),
    _experiment("fig15b", "ReGene, Figure 15b: between originals and reconstructions.", fig15b,
                _COLOUR, ({"ratios": (0.0, 0.5, 1.0)},
                          {"ratios": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)},
                          {"ratios": tuple(np.linspace(0, 1, 11).round(1).tolist())})),
    _experiment("fig16", "ReGene, Figure 16 and B.18 to B.20: four losses of the classifier.",
                fig16, _COLOUR,
                ({"per_class": 5}, {"per_class": 200}, {"per_class": 1000}),
                less=f"{_GRID} in place of 128, 512 and 256 channels, 100 + 300 epochs of 512; 200 "
                "generations of each class in place of 1,000; bfloat16; no perceptual loss",
                small=_QUICK, cost="40 minutes on a core"),
    _experiment("fig17", "ReGene, Figure 17: classifiers trained with generations.", fig17, _COLOUR,
                ({"per_class": (30,), "seeds": 1, "replaced": (0.5,), "added": (1.0,),
                  "judge_iterations": 50},
                 {"per_class": (100, 300, 1000), "seeds": 3, "replaced": (1.0,),
                  "added": (1.0, 3.0), "judge_iterations": 1000, "most_trials": 1000},
                 {"per_class": (None,), "seeds": 3, "replaced": (0.25, 0.5, 0.75, 1.0),
                  "added": (0.25, 0.5, 0.75, 1.0), "judge_iterations": None}),
                less="100, 300 and 1,000 originals of each class in place of 5,000; 16 channels in "
                "place of 128, decoder of 32 and 16; 800 + 2,000 iterations of 64 images, "
                "classifiers 1,000",
                small={"width": 16, "decoder_width": 32, "batch_size": 64, "iterations": 2800,
                       "classifier_iterations": 800, "precision": "32"},
                cost="an hour on a core"),
    _experiment("collage", "ReGene, Figures D.22 to D.27: generations of each class.",
                _sheet("collage"), (*_ALL, "celeba")),
    _experiment("closest", "ReGene, Figures E.28 to E.45: closest matches, for each class.",
                closest, (*_ALL, "celeba"),
                ({"generations": 20}, {"generations": 500}, {"generations": 500})),
)  # fmt: skip
