"""ReGene's Figures 16 and 17: classifier losses, and classifiers trained on generated images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn

from zspace.core import Batches, Progress, reconstructions
from zspace.data import load
from zspace.data.images import Part, join
from zspace.evaluation.measurement import Measurement, generated
from zspace.functional import of_stored
from zspace.functional.tensors import own_random
from zspace.generation import maps
from zspace.generation.combine import augmented, labelled, write_labelled
from zspace.methods.classifier import Classifier
from zspace.metrics import Figure, accuracy, mean_figure
from zspace.nets.regene import ReGeneNets
from zspace.papers.cells import Cells
from zspace.papers.entries import Entry, mean_and_deviation, over_trainings, published
from zspace.papers.lab import Lab
from zspace.papers.regene.tables import trials_of
from zspace.papers.regene.trained import (
    Spaces,
    Trained,
    frechet,
    judged,
    mae,
    own_accuracy,
    silhouette,
    trained,
)
from zspace.recipes.regene import CLASSIFIER_RATE, SCHEDULES, schedule_for
from zspace.samplers import Convex
from zspace.samplers.convex import TooFewError
from zspace.training import fit, make_fabric

LOSSES: dict[str, dict[str, str]] = {
    "cross-entropy": {},
    **{
        f"{loss}, on {'logits' if of == 'logits' else 'the softmax'}": {"loss": loss, "loss_of": of}
        for of in ("logits", "softmax")
        for loss in ("hinge", "cosine", "mse")
    },
}
"""The losses of Figure 16 as options of the recipe: all but the first are of one of two scores."""


IN_IMAGES, AT_LEAST = "trials, image space", ", at least"
RATIO = "trials, times cross-entropy's"


def fig16(lab: Lab) -> list[Entry]:
    """Figure 16: four losses of the classifier; B.18 to B.20: maps and barcodes of the latents.

    Each loss but the cross-entropy is computed from logits and from the softmax, since the paper
    does not say from which. Beside the accuracy, the MAE and how far apart the classes' latents
    are, the entries are of combinations of two latents: the candidates that it takes until
    `per_class` of every class have passed a judge, their ratio to those of the cross-entropy with
    the same seed, and the Frechet distance and the accuracy of generated images, judged and not.

    If a class is given up, its candidates are counted, a note says so, and the number is called a
    lower bound; there is no ratio, and the generations are unjudged alone. So it is for every
    training of a loss if it is for one.
    """
    cells = Cells(lab)
    each = [_losses(lab, cells, seed) for seed in range(lab.settings["seeds"])]
    bounds = {(e.what, e.measure) for entries in each for e in entries if AT_LEAST in e.measure}

    def named(entry: Entry) -> Entry:
        measure = entry.measure + AT_LEAST
        return replace(entry, measure=measure) if (entry.what, measure) in bounds else entry

    each = [[named(entry) for entry in entries] for entries in each]
    of_all = set.intersection(*({(e.what, e.measure) for e in entries} for entries in each))
    return [
        replace(e, ours=Figure(e.ours.value, math.nan)) if AT_LEAST in e.measure else e
        for e in over_trainings(each)
        if (e.what, e.measure) in of_all
    ]


def _losses(lab: Lab, cells: Cells, seed: int) -> list[Entry]:
    """The entries of Figure 16 for one seed; with the first, its pictures are drawn."""
    n = lab.settings["per_class"]
    theirs = published()["regene/fig16"] if lab.data == "cifar10" and n == 500 else {}
    entries: list[Entry] = []
    spaces: Spaces = {}
    classes: Sequence[str] = ()
    plain: Figure | None = None
    for name, options in LOSSES.items():
        of = trained(lab, seed=seed, **options)
        classes, images = of.images.classes, len(of.test)
        held, whose = judged(of, lab, None), f"{name}, seed {seed}"
        space = spaces[name] = maps.some_codes(of.model, of.test)
        found = cells.of(whose, partial(_loss, lab, of, held, space, whose))
        if not options:
            plain = found.get(IN_IMAGES)
        elif plain and IN_IMAGES in found:
            found[RATIO] = Figure(found[IN_IMAGES].value / plain.value, math.nan)
        sources = {
            "accuracy of its classifier": ("its classifier", images),
            "accuracy of generations": ("its classifier", len(held.test)),
            "MAE": ("pixels", images),
            "silhouette": ("latents", len(space[1])),
            "trials": ("combinations of 2", n * len(classes)),
            "Frechet distance": (held.extractor.name, len(held.test)),
        }
        for measure, figure in found.items():
            by, size = next(s for start, s in sources.items() if measure.startswith(start))
            paper = theirs.get(options["loss"]) if measure == RATIO else None
            where = by, of.data
            entries.append(
                Entry(name, measure, figure, *where, size, paper, None, *where, part=of.part)
            )
    if seed == 0:
        maps.tsne(lab.picture("figB18-tsne"), spaces, classes)
        maps.barcodes(lab.picture("figB19-B20-barcodes"), spaces, classes)
    return entries


def _loss(
    lab: Lab, of: Trained, held: Measurement, space: tuple[Tensor, Tensor], whose: str
) -> dict[str, Figure]:
    """The figures of Figure 16 for one training with its test latents and labels, by measure."""
    n, classes = lab.settings["per_class"], of.images.classes
    counted = [trials_of(of, n, label) for label in range(len(classes))]
    lost = [name for name, (_, error) in zip(classes, counted, strict=True) if error]
    tries: dict[str, Figure] = {}
    for judge in of.convex.judges:
        # where a judge passed too few, it counts as many candidates as the last one does
        short = any(error and trials[judge] == max(trials.values()) for trials, error in counted)
        total = float(sum(trials[judge] for trials, _ in counted))
        tries[f"trials, {judge}{AT_LEAST if short else ''}"] = Figure(total, math.nan)
    made = {", unjudged": generated(held, "generations", sampler=of.unjudged)}
    if lost:
        lab.note(f"{whose}: the judges pass too few combinations of {', '.join(lost)}")
    else:
        try:
            made[""] = generated(held, "generations", sampler=of.convex)
        except TooFewError as error:
            lab.note(f"{whose}: {error}")
    return {
        "accuracy of its classifier": own_accuracy(of.model, of.test),
        "MAE of reconstructions": mae(of.model, of.test),
        "silhouette of the classes": silhouette(*space),
        **tries,
        **{
            f"Frechet distance, generated{how}": frechet(lab, held, held.reference, images)
            for how, images in made.items()
        },
        **{
            f"accuracy of generations{how}": own_accuracy(of.model, Part(images.x, images.labels))
            for how, images in made.items()
        },
    }


def fig17(lab: Lab) -> list[Entry]:
    """Figure 17: a classifier's accuracy if generated images replace originals or join them.

    There are `per_class` originals of each class, a different choice for each seed. ReGene is
    trained on these alone: on nine tenths of them, with thresholds from the last tenth (or, without
    validation images, on all). Then the classifier of Table A.5 (or A.7) is trained from scratch on
    all originals; on their reconstructions, which tell what the decoder's blur costs; on generated
    images that no judge has seen, which tell what combining costs; on originals of which a share is
    replaced by generated images; and on originals with generated images added.
    Few originals make few pairs: where all are used, further images are combined with weights drawn
    at random, of which a note tells. With images added, a classifier of as many epochs as that of
    the originals has more iterations, and one of as many iterations fewer epochs: the paper does
    not say which it means, so both are trained. All are judged on the whole test part.
    """
    where = lab.settings
    data = str(lab.data)
    theirs = published()["regene/fig17"] if data == "cifar10" else {}
    cells = Cells(lab)
    entries: list[Entry] = []
    for per_class in where["per_class"]:
        results: dict[str, list[float]] = {}
        size = tested = 0
        for seed in range(where["seeds"]):
            name = f"{'all' if per_class is None else per_class}-{seed}"
            kept = cells.of(name, partial(_cells, lab, data, per_class, seed))
            for what, figure in kept.items():
                results.setdefault(what, []).append(figure.value)
            size, tested = (int(results.pop(name)[0]) for name in ("originals", "test images"))
        for what, values in results.items():
            paper = {
                "originals alone": theirs.get("original"),
                f"+100% generations, {EQUAL[0]}": theirs.get("augmented"),
                f"+100% generations, {EQUAL[1]}": theirs.get("augmented"),
            }.get(what)
            count = "all" if per_class is None else per_class
            entries.append(
                Entry(
                    f"{count} originals per class: {what}",
                    "accuracy",
                    mean_and_deviation(values),
                    "Table A.5-A.7's classifier",
                    f"{data} test",
                    tested,
                    paper,
                    None,
                    "Table A.5-A.7's classifier",
                    f"{data} test",
                    repeats=len(values),
                    part="" if per_class is None else f"{size:,} training images",
                )
            )
    return entries


EQUAL = "equal epochs", "equal iterations"
"""How long a classifier is trained if it has more images than that of the originals."""


def _cells(lab: Lab, data: str, per_class: int | None, seed: int) -> dict[str, Figure]:
    """The classifier's accuracies for one seed, by what it was trained on."""
    where = lab.settings
    images = load(data, lab.data_dir)
    pool = join([images.train, images.validation])
    assert pool.y is not None
    generator = torch.Generator().manual_seed(1000 + seed)
    rows: list[Tensor] = []
    for label in range(len(images.classes)):
        own = (pool.y == label).nonzero()[:, 0]
        own = own[torch.randperm(len(own), generator=generator)]
        rows.append(own if per_class is None else own[:per_class])
    originals = pool.take(torch.cat(rows)[torch.randperm(sum(map(len, rows)), generator=generator)])
    file = lab.out / "data" / f"{len(originals)}-{seed}.npz"
    blocks = chain(labelled([originals]), labelled([images.test], "_test"))
    write_labelled(file, blocks, images.classes)
    of = trained(lab, str(file), seed=seed, train_size=None)
    assert originals.y is not None
    counts = torch.bincount(originals.y)
    most = max(1.0, *where["added"], *where["replaced"])
    whose = f"{per_class} originals per class, seed {seed}"

    def drawn(convex: Convex, numbers: Sequence[int], whose: str) -> Part:
        generator = torch.Generator(convex.codes.device).manual_seed(seed)
        progress = _Noted(lab, whose)
        return augmented(
            of.model, convex, numbers, further=True, generator=generator, progress=progress
        )

    try:
        asked = math.ceil(most * int(counts.max()))
        made = drawn(of.convex, [asked] * len(images.classes), whose)
    except TooFewError as error:
        lab.note(f"{whose}: {error}")
        made = originals.take(torch.arange(0))

    def some(part: Part, shares: float) -> list[Part]:
        """Images of a part, `shares` times as many of each class as there are originals."""
        assert part.y is not None
        chosen = [
            (part.y == label).nonzero()[: round(shares * int(count)), 0]
            for label, count in enumerate(counts)
        ]
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
    again = reconstructions(of.model, originals.x)
    mixtures["100% replaced by their reconstructions"] = [Part(again, originals.y)]
    free = drawn(of.unjudged, counts.tolist(), f"{whose}, unjudged")
    mixtures["100% replaced by unjudged generations"] = [free]
    found = {"originals": float(len(originals)), "test images": float(len(images.test))}
    for what, parts in mixtures.items():
        train, classes = join(parts), len(images.classes)
        lengths = {what: 1.0}
        if what.startswith("+"):
            epochs = len(train) / len(originals)
            lengths = {f"{what}, {how}": n for how, n in zip(EQUAL, (epochs, 1.0), strict=True)}
        for name, length in lengths.items():
            found[name] = _classifier_accuracy(
                lab, train, images.test, classes, seed, len(originals), length
            )
    return {name: Figure(value, math.nan) for name, value in found.items()}


class _Noted(Progress):
    """A receiver whose messages become notes below a table."""

    def __init__(self, lab: Lab, whose: str) -> None:
        self.lab, self.whose = lab, whose

    def say(self, message: str) -> None:
        self.lab.note(f"{self.whose}: {message}")


def _classifier_accuracy(
    lab: Lab, train: Part, test: Part, classes: int, seed: int, originals: int, length: float
) -> float:
    """The test accuracy of the paper's classifier, trained from scratch.

    It is trained `length` times as many iterations as on so many originals.
    """
    options = lab.settings["options"]
    shape = tuple(train.x.shape[1:])
    paper = SCHEDULES[schedule_for(shape)]
    fabric = make_fabric(lab.device)
    with own_random(seed, fabric.device):
        nets = ReGeneNets(shape, options.get("width", 128), last_kernels=paper.last_kernels)
        net = nn.Sequential(nets.encoder(), nn.Linear(nets.latent_dim, classes))
        net.to(fabric.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        size = min(options.get("batch_size", paper.batch_size), originals, len(train))
        usual = lab.settings["judge_iterations"] or paper.epochs * (originals // size)
        batches = Batches(train.x, train.y, size=size, seed=seed, device=fabric.device)
        fit(
            Classifier(net, rate=CLASSIFIER_RATE),
            batches,
            round(length * usual),
            rate=paper.rate(len(train) // size),
            fabric=fabric,
            precision=lab.precision(options.get("precision", "32"), "the classifiers"),
        )
    assert test.y is not None
    logits = of_stored(lambda x: net.eval()(x).cpu(), test.x, fabric.device)
    return mean_figure(accuracy(logits, test.y)).value
