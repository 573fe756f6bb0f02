"""Which judge ranks what: ladders of degradations by several features."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from zspace.data import Images, load
from zspace.data.images import choose_rows
from zspace.display import plots
from zspace.display.progress import Display
from zspace.display.tables import Table
from zspace.errors import InputError
from zspace.evaluation.ladder import RULE, UNITS, Rung, by_ladder, climb, most_frequent, verdict
from zspace.evaluation.measurement import MOST
from zspace.features.classifier import Arch, Neutral, Task, neutral_classifier
from zspace.features.extract import Extractor, find_extractor, neutral_name
from zspace.papers.base import Experiment, Scale
from zspace.papers.entries import Entry
from zspace.papers.lab import Lab
from zspace.storage.cache import fingerprint
from zspace.storage.files import read_json, write_text

JUDGES = (
    "pixels",
    "classifier:cnn",
    "classifier:silu-resnet",
    "rotation:cnn",
    "rotation:silu-resnet",
)
"""The features that are compared unless `--features` names others."""
FACES = {"image_size": 32, "label_attribute": "Male,Smiling"}
"""How CelebA is read: as `zoo:judge-faces` takes it."""


def judges(lab: Lab) -> list[Entry]:
    """Measure every ladder by every judge; ladders.md has the distances side by side.

    Test images are degraded, and compared with training images. Each judge's distances are kept in
    ladders.json, so that an experiment that was interrupted measures none twice.
    """
    own = FACES if lab.data == "celeba" else {}
    images = load(str(lab.data), data_dir=lab.data_dir, **own)
    count = min(lab.settings["n"] or MOST, len(images.test))
    test = images.test.take(choose_rows(len(images.test), count, 0))
    there = len(images.train)
    training = images.train.x[choose_rows(there, min(lab.settings["training"] or there, there), 0)]
    found: dict[str, list[Rung]] = {}
    path = lab.out / "ladders.json"
    held = read_json(path, dict[str, list[Rung]]) if path.exists() else {}
    with Display(quiet=lab.quiet) as progress:
        for extractor in _extractors(lab, images):
            entry = f"{extractor.name}, {extractor.identity}, {fingerprint(training, test.x)}"
            if entry not in held:
                held[entry] = climb(extractor, training, test, progress=progress)
                stored = {name: [asdict(each) for each in rungs] for name, rungs in held.items()}
                write_text(path, json.dumps(stored) + "\n")
            found[extractor.name] = held[entry]
    verdicts = {
        name: {ladder: verdict(rungs[0], own) for ladder, own in by_ladder(rungs).items()}
        for name, rungs in found.items()
    }
    lab.more["verdicts"] = verdicts
    lab.note(*_summary(verdicts), f"The rule: {RULE}.")
    notes = [
        f"{images.name}: {count:,} test images, degraded, against {len(training):,} training ones.",
        f"The rule: {RULE}.",
    ]
    if test.y is not None:
        kept = images.classes[most_frequent(test.y)]
        notes.append(f"One class: {kept}, whose images repeat where there are not enough of them.")
    write_text(lab.out / "ladders.md", "\n".join(_tables(found, verdicts, notes)))
    _draw(lab, found)
    return [
        Entry(
            f"{name}: {each.ladder}{'' if each.level is None else f' {each.level:g}'}",
            "Frechet",
            each.figure,
            name,
            f"{images.name} test",
            count,
        )
        for name, rungs in found.items()
        for each in rungs
    ]


def _extractors(lab: Lab, images: Images) -> list[Extractor]:
    """The judges, whose names and networks are checked before the first of them is trained."""

    def neutral(task: Task, arch: Arch) -> Neutral:
        with Display(quiet=lab.quiet) as progress:
            return neutral_classifier(
                images,
                task=task,
                arch=arch,
                iterations=lab.settings["iterations"].get(arch),
                device=lab.device,
                progress=progress,
            )

    names = sorted(lab.settings["judges"], key=lambda name: neutral_name(name) is not None)
    found: dict[str, Extractor] = {}
    for name in names:
        if name.startswith("file:"):
            raise InputError(f"all/judges takes no features of a file: {name}")
        extractor = find_extractor(name, neutral, lab.device)
        extractor.check_shape(images.shape)
        found[extractor.name] = extractor
    return [*found.values()]


def _summary(verdicts: Mapping[str, Mapping[str, str]]) -> list[str]:
    """A line for each judge: the ladders by what they are."""
    lines: list[str] = []
    for name, own in verdicts.items():
        kinds = {
            kind: [k for k, v in own.items() if v == kind] for kind in dict.fromkeys(own.values())
        }
        parts = [f"{kind} in {', '.join(ladders)}" for kind, ladders in sorted(kinds.items())]
        lines.append(f"{name}: {'; '.join(parts)}.")
    return lines


def _tables(
    found: Mapping[str, list[Rung]], verdicts: Mapping[str, Mapping[str, str]], notes: list[str]
) -> list[str]:
    """A table for each ladder, with a row for each judge."""
    tables: list[str] = []
    for ladder, rungs in by_ladder(next(iter(found.values()))).items():
        levels = [f"{each.level:g}" for each in rungs]
        rows = [
            [
                name,
                str(own[0].figure),
                *(str(each.figure) for each in by_ladder(own)[ladder]),
                verdicts[name][ladder],
            ]
            for name, own in found.items()
        ]
        header = [f"{ladder}, {UNITS[ladder]}", "undisturbed", *levels, "the ladder is"]
        tables.append(Table(header, rows).markdown())
    return [*tables, *(f"{note}\n" for note in notes)]


def _draw(lab: Lab, found: Mapping[str, list[Rung]]) -> None:
    """Draw the ladders: each judge's distances as multiples of that of undisturbed images."""
    ladders = by_ladder(next(iter(found.values())))
    fig, axes = plots.figure(4, (len(ladders) + 3) // 4, (3.2, 2.6))
    for axis in axes.flat[len(ladders) :]:
        axis.set_axis_off()
    for axis, (ladder, rungs) in zip(axes.flat, ladders.items(), strict=False):
        places = range(len(rungs) + 1)
        for name, own in found.items():
            floor = max(own[0].value, 1e-12)
            values = [1.0, *(each.value / floor for each in by_ladder(own)[ladder])]
            axis.plot(places, values, marker=".", label=plots.entry(name))
        axis.set_xticks(places, ["none", *(f"{each.level:g}" for each in rungs)], fontsize=7)
        axis.set_yscale("log")
        axis.set_title(ladder, fontsize=9)
        axis.set_xlabel(UNITS[ladder], fontsize=7)
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("distance / that of undisturbed images", fontsize=7)
    axes[0, 0].legend(fontsize=6)
    plots.save_figure(lab.picture("judges"), fig)


_SMOKE: dict[str, Any] = {
    "judges": JUDGES,
    "iterations": {"cnn": 20, "silu-resnet": 10, "resnet56": 2, "dropout-cnn": 20},
    "n": 200,
    "training": 400,
}

EXPERIMENTS = (
    Experiment(
        "all/judges",
        "The Frechet distance of degraded images by several judges: which ranks what.",
        {
            "smoke": Scale(
                _SMOKE, "10 to 20 iterations of each classifier, 200 images", "a minute"
            ),
            "small": Scale(
                {"judges": JUDGES, "iterations": {}, "n": None, "training": None},
                "the neutral classifiers at their defaults",
                "about 5 hours on 2 cores, not measured: half of them trainings of silu-resnet",
            ),
        },
        judges,
        ("cifar10", "celeba", "svhn", "fashion-mnist", "mnist", "digits"),
        "the data set's files",
        judges=True,
    ),
)
