"""Whether generated images help a classifier: the same one, trained with and without them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from typing_extensions import TypedDict

from zspace.core import SILENT, Progress
from zspace.data.images import Images, Part, join
from zspace.display import plots
from zspace.display.tables import Table
from zspace.errors import InputError
from zspace.features.classifier import default_iterations, neutral_classifier
from zspace.functional import of_stored
from zspace.metrics import Figure
from zspace.storage.cache import fingerprint
from zspace.storage.files import read_json, write_text
from zspace.training import find_device

WITHOUT, WITH = "without", "with"
RECALL = "recall"
TOTALS = ("balanced accuracy", "accuracy")
FILE = "augment-check"
"""The name of the files in a run, augment-check.json and augment-check.png."""


class Benefit(TypedDict):
    """What was measured of classifiers with and without generated images.

    Attributes:
        classes: the names of the classes.
        real, added, tested: the numbers of real training images, of generated ones and of test
            images of each class.
        seeds: the seeds of the trainings.
        iterations: the iterations of each.
        test: a checksum of the test images and their labels.
        confusion: for "without" and "with", the counts of test images by true and by predicted
            class, (seeds, K, K).
    """

    classes: list[str]
    real: list[int]
    added: list[int]
    tested: list[int]
    seeds: list[int]
    iterations: int
    test: str
    confusion: dict[str, list[list[list[int]]]]


def benefit(
    images: Images,
    generated: Part,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    iterations: int | None = None,
    device: str = "auto",
    progress: Progress = SILENT,
) -> Benefit:
    """Train classifiers with and without generated images, and test them on the same real ones.

    They are neutral classifiers (`zspace.features.classifier`) of the same network, seeds and
    iterations; those of the real images alone see each of them more often. Trainings are kept in
    the cache.

    Args:
        images: the real images with their labels; the test part is what both are tested on.
        generated: the generated images with their labels.
        seeds: the seeds, with a training of each kind for each.
        iterations: the iterations of a training; None is the classifier's default for as many
            images as the larger set has.
        device: "auto", "cpu", "cuda" or "mps".
        progress: told the progress of the trainings.

    Raises:
        InputError: the data are no images, or have no labels, fewer than two classes, or a class
            without training images.
    """
    train, test = images.train, images.test
    if train.y is None or test.y is None or generated.y is None:
        raise InputError(f"{images.name} has no labels: no classifier can be trained on it")
    if not bool((test.y >= 0).any()):
        raise InputError(f"no test image of {images.name} has a label: nothing can be checked")
    train = train.known()
    both = join([train, generated])
    total = iterations or default_iterations(len(both))
    count = len(images.classes)
    confusion: dict[str, list[list[list[int]]]] = {}
    for name, part in ((WITHOUT, train), (WITH, both)):
        own = replace(images, name=f"{images.name} {name} generated images", train=part)
        confusion[name] = []
        for seed in seeds:
            told = progress.about(f"{name} generated images, seed {seed}")
            found = neutral_classifier(
                own, iterations=total, seed=seed, device=device, progress=told
            )
            logits = of_stored(found.net, test.x, find_device(device))
            confusion[name].append(confused(test.y, logits.argmax(1).cpu(), count).tolist())
    return {
        "classes": list(images.classes),
        "real": train.counts(count).tolist(),
        "added": generated.counts(count).tolist(),
        "tested": test.counts(count).tolist(),
        "seeds": list(seeds),
        "iterations": total,
        "test": fingerprint(test.x, test.y),
        "confusion": confusion,
    }


def confused(y: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """The counts (K, K) of samples by their label and by the predicted one.

    Args:
        y, predicted: labels (N,); a sample whose label is -1 is left out.
        classes: K, the number of labels.
    """
    known = y >= 0
    pairs = classes * y[known] + predicted[known]
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


def figures(found: Benefit) -> dict[str, dict[str, list[float]]]:
    """The figures of both kinds of classifiers by name, a value for each seed.

    They are the recall of each class that has test images, the share of them that is known as its
    own; the balanced accuracy, the mean of these; and the accuracy.
    """
    made: dict[str, dict[str, list[float]]] = {}
    for name, each in found["confusion"].items():
        own: dict[str, list[float]] = {}
        for counts in each:
            table = torch.tensor(counts).double()
            right, whole = table.diagonal(), table.sum(1)
            recalls: list[float] = []
            for k, label in enumerate(found["classes"]):
                if whole[k] > 0:
                    recalls.append(float(right[k] / whole[k]))
                    own.setdefault(f"{RECALL} of {label}", []).append(recalls[-1])
            own.setdefault(TOTALS[0], []).append(statistics.mean(recalls))
            own.setdefault(TOTALS[1], []).append(float(right.sum() / whole.sum()))
        made[name] = own
    return made


def benefit_table(found: Benefit) -> Table:
    """The figures with and without generated images, and their differences, in a table."""
    each = figures(found)
    numbers = {
        f"{RECALL} of {label}": row
        for label, *row in zip(
            found["classes"], found["real"], found["added"], found["tested"], strict=True
        )
    }
    lines: list[list[str]] = []
    for name, without in each[WITHOUT].items():
        differences = [b - a for a, b in zip(without, each[WITH][name], strict=True)]
        totals = [sum(found[key]) for key in ("real", "added", "tested")]
        lines.append(
            [
                name,
                *map(str, numbers.get(name, totals)),
                str(_over(without)),
                str(_over(each[WITH][name])),
                str(_over(differences, len(differences))),
            ]
        )
    seeds = len(found["seeds"])
    notes = [
        f"the same classifier, seeds and {found['iterations']:,} iterations, and the same held-out "
        f"real images; {seeds} training{'s' if seeds > 1 else ''} of each; ± is the deviation over "
        "them and, of the difference of pairs with one seed, its standard error. What few test "
        "images would vary by is not in it."
    ]
    header = ["", "real", "added", "tested", WITHOUT, WITH, "difference"]
    return Table(header, lines, "Does it help?", notes)


def _over(values: Sequence[float], count: int = 1) -> Figure:
    """The mean of values over seeds with their deviation, over the root of a count."""
    spread = statistics.stdev(values) / count**0.5 if len(values) > 1 else float("nan")
    return Figure(statistics.mean(values), spread)


def keep_benefit(run: Path, found: Benefit) -> str | None:
    """Store what was measured in a run, as augment-check.json and augment-check.png.

    Returns a warning, if an earlier check there was of other test images.
    """
    path = run / f"{FILE}.json"
    warning: str | None = None
    if path.exists():
        try:
            before = read_json(path, Benefit)["test"]
        except InputError:
            before = found["test"]  # a damaged file is replaced
        if before != found["test"]:
            warning = (
                f"the earlier check in {path} was of other test images: its figures can't be "
                "compared with these"
            )
    shares = {
        f"{name} generated images": torch.tensor(each).double().sum(0).tolist()
        for name, each in found["confusion"].items()
    }
    write_text(path, json.dumps(found, indent=1) + "\n")
    plots.confusions(path.with_suffix(".png"), shares, found["classes"])
    return warning
