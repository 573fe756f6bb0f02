"""Experiments: their definition, their run, and the comparison of their numbers with a paper's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from zspace.display.tables import Table
from zspace.errors import InputError, MissingFiles, unknown
from zspace.evaluation.evaluate import versions
from zspace.features.weights import WEIGHTS, checked_weights
from zspace.papers.entries import COLUMNS, Entry
from zspace.papers.lab import Device, Lab
from zspace.storage.cache import key
from zspace.storage.files import read_json, write_text
from zspace.storage.lock import locked

PROTOCOLS = {
    "defaults": "every system at the defaults of its recipe",
    "tuned": "every system at the best of a small grid, by the sum of the Frechet distances of "
    "reconstructed and generated images from the validation images (one training for each point; "
    "that of the best is one of those measured)",
    "equal-time": "every system at its tuned settings, trained for the same time on one core",
    "budget": "every system at the settings that are stated, trained for the same time on one core",
}
"""How a comparison chooses the settings of its systems."""


@dataclass(frozen=True)
class Scale:
    """A size at which an experiment can be run.

    Attributes:
        settings: the settings that the experiment reads.
        reductions: how the settings fall short of the paper's, empty if they do not; of an
            experiment of no paper, what they are.
        cost: about how long a run takes, and on what machine.
        choices: the settings that the paper leaves open, and what is chosen here.
        protocols: the ways to choose the settings of compared systems, the default first (see
            `zspace.papers.protocol`); empty if no systems are compared.
    """

    settings: Mapping[str, Any]
    reductions: str
    cost: str
    choices: str = ""
    protocols: tuple[str, ...] = ()

    def about(self) -> str:
        """How the settings stand to the paper's, in a clause or two."""
        if not self.reductions and not self.choices:
            return "the settings of the paper"
        parts = [self.reductions or "the settings of the paper, as far as it gives them"]
        return "; ".join([*parts, *([f"our choices: {self.choices}"] if self.choices else [])])


@dataclass(frozen=True)
class Experiment:
    """A table or figure of a paper, as an experiment.

    Attributes:
        name: the name, of the form paper/figure.
        about: a description in one line.
        scales: the scales by name: smoke, small, paper; all/systems has demo, too.
        run: runs the experiment, writes its pictures, and returns its entries.
        data: the named sets that `--data` can choose from, the default first; empty if the
            experiment makes its own data.
        needs: a description of the files that the experiment needs.
        judges: whether `--features` chooses what images are compared by, the setting "judges".
        without: what the experiment can leave out, by the option that leaves it out, each with the
            change of a scale: `--perceptual 0` makes `without["perceptual"](scale)` of a scale.
    """

    name: str
    about: str
    scales: Mapping[str, Scale]
    run: Callable[[Lab], list[Entry]]
    data: tuple[str, ...] = ()
    needs: str = ""
    judges: bool = False
    without: Mapping[str, Callable[[Scale], Scale]] = field(
        default_factory=dict[str, Callable[[Scale], Scale]]
    )


class StoredFigure(TypedDict):
    """A figure of a table.json."""

    value: float | None
    error: float | None


class StoredEntry(TypedDict):
    """What an entry of a table.json must hold to be read again."""

    what: str
    measure: str
    ours: StoredFigure
    published: float | None
    repeats: NotRequired[int]


class Stored(TypedDict):
    """What a table.json must hold to be read again; the rest may be anything."""

    entries: list[StoredEntry]
    experiment: str
    scale: str
    data: str | None
    protocol: NotRequired[str]
    without: NotRequired[list[str]]


VALIDATED = ("celeba",)
"""The named sets whose files say which images are for validation."""

MARK = "experiment.json"
"""The file that says which experiment a folder holds."""


def _chosen(
    experiment: Experiment,
    scale: str,
    data: str | None,
    protocol: str | None,
    without: Sequence[str],
    features: Sequence[str],
) -> tuple[Scale, dict[str, Any]]:
    """The scale with what `reproduce` is asked to change, and what marks its folder."""
    if scale not in experiment.scales:
        raise unknown("scale", scale, experiment.scales)
    if data is not None and data not in experiment.data:
        may = f"one of {', '.join(experiment.data)}" if experiment.data else "no --data: its own"
        raise InputError(f"{experiment.name} takes {may}, not {data}")
    chosen, of = experiment.scales[scale], data or next(iter(experiment.data), None)
    for name in without:
        if name not in experiment.without:
            raise InputError(f"{experiment.name} takes no --{name} 0: leave it out")
        if name == "validation" and of in VALIDATED:
            raise InputError(
                f"{of} has validation images of its own, which no training takes: leave out "
                "--validation 0"
            )
        chosen = experiment.without[name](chosen)
    if features and not experiment.judges:
        raise InputError(f"{experiment.name} takes no --features: leave it out")
    if features:
        chosen = replace(chosen, settings={**chosen.settings, "judges": tuple(features)})
    if protocol is not None and protocol not in chosen.protocols:
        if chosen.protocols:
            raise unknown(f"protocol of scale {scale}", protocol, chosen.protocols)
        raise InputError(f"{experiment.name} has no protocols to choose from at scale {scale}")
    protocol = protocol or next(iter(chosen.protocols), "")
    whose = {"experiment": experiment.name, "scale": scale, "data": of}
    whose |= {"protocol": protocol} if protocol else {}
    whose |= {"without": list(without)} if without else {}
    whose |= {"features": list(features)} if features else {}
    return chosen, whose


def _marked(chosen: Scale, whose: Mapping[str, Any]) -> dict[str, Any]:
    return {**whose, "settings": key(chosen.settings)}


def is_finished(
    experiment: Experiment,
    scale: str,
    out: Path,
    *,
    data: str | None = None,
    protocol: str | None = None,
    without: Sequence[str] = (),
    features: Sequence[str] = (),
) -> bool:
    """Whether a folder has the table that `reproduce` would make by the same arguments.

    Raises:
        InputError: what `reproduce` raises for these.
    """
    asked = _marked(*_chosen(experiment, scale, data, protocol, without, features))
    mark = out / MARK
    there = (out / "table.json").is_file() and mark.is_file()
    return there and _held(mark, experiment) == asked


def _held(mark: Path, experiment: Experiment) -> dict[str, Any]:
    """What marks a folder. Earlier marks say none where no data set was named."""
    held = read_json(mark, dict[str, Any])
    return {**held, "data": held.get("data") or next(iter(experiment.data), None)}


def reproduce(
    experiment: Experiment,
    scale: str,
    out: Path,
    *,
    data: str | None = None,
    data_dir: str | None = None,
    device: Device = "auto",
    quiet: bool = False,
    shelf: Path | None = None,
    protocol: str | None = None,
    without: Sequence[str] = (),
    features: Sequence[str] = (),
) -> Table:
    """Run an experiment, which writes table.md, table.json and pictures.

    Args:
        experiment: the experiment.
        scale: the name of one of its scales.
        out: the folder to write to; an experiment that was interrupted there is resumed.
        data: one of the experiment's data sets; None takes the first.
        data_dir: the folder that holds the set's files.
        device: the device to compute on.
        quiet: whether to show no progress.
        shelf: the folder of trained runs, whose finished ones are reused; None means runs/ in
            `out`.
        protocol: one of the scale's protocols; None takes the first.
        without: what to leave out of the experiment, keys of `Experiment.without`.
        features: what images are compared by, where the experiment compares features; empty takes
            the scale's.

    Returns the table.
    Raises:
        InputError: the scale is unknown, the experiment does not take the data or the protocol or
            can't leave something out, the folder holds something else or is in use by another
            process, or files are missing; a folder in which nothing has come about by then is
            removed.
    """
    chosen, whose = _chosen(experiment, scale, data, protocol, without, features)
    way: str = whose.get("protocol", "")
    check_features(chosen.settings)
    mark, marked = out / MARK, _marked(chosen, whose)
    if not mark.exists() and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out} exists and holds no experiment")
    # the folders that are made here, the innermost first
    new = [folder for folder in (out, *out.absolute().parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    with locked(out, "choose another --out"):
        begun = not mark.exists()
        if not begun and _held(mark, experiment) != marked:
            raise InputError(
                f"{out} holds another experiment, or other settings: choose another --out"
            )
        write_text(mark, json.dumps(marked) + "\n")
        began = time.monotonic()
        of: str | None = whose["data"]
        lab = Lab(out, chosen.settings, of, data_dir, device, quiet, shelf, protocol=way)
        try:
            entries = experiment.run(lab)
        except InputError as error:
            if begun:
                _forget(mark, new)
            if isinstance(error, MissingFiles) and "digits" in experiment.data:
                raise MissingFiles(f"{error}; --data digits needs no files") from None
            raise
        seconds = round(time.monotonic() - began, 1)
        notes = _notes(experiment, chosen, whose, lab, seconds)
        table = Table(COLUMNS, [entry.row() for entry in entries], notes=notes)
        write_text(out / "table.md", f"# {experiment.name}, {scale}\n\n{table.markdown()}")
        stored = {
            **whose,
            "about": experiment.about,
            "data": lab.data,
            "reductions": chosen.reductions,
            "choices": chosen.choices,
            "settings": dict(chosen.settings),
            "entries": [entry.as_json() for entry in entries],
            "runs": lab.runs,
            "in_float32": lab.in_float32,
            "seconds": seconds,
            "seconds_before": round(lab.seconds_before, 1),
            "versions": versions(),
            **({"notes": lab.notes} if lab.notes else {}),
            **lab.more,
        }
        write_text(out / "table.json", json.dumps(stored, indent=1) + "\n")
    return table


def check_features(settings: Mapping[str, Any]) -> None:
    """See that the weights of the features that settings name are there, before any training.

    Raises:
        InputError: the weights of a published network are missing or changed.
    """
    named = settings.get("features") or ()
    for name in (named,) if isinstance(named, str) else named:
        if name in WEIGHTS:
            try:
                checked_weights(name)
            except InputError as error:
                raise InputError(
                    f"{error}; --scale small does without, by features of a classifier of the data"
                ) from None


def _forget(mark: Path, new: Sequence[Path]) -> None:
    """Remove the mark of an experiment that was refused, unless it stands beside results.

    Args:
        mark: the file that says which experiment a folder holds.
        new: the folders that were made for it, the innermost first, which are then removed, too.
    """
    if [*mark.parent.iterdir()] != [mark]:
        return
    mark.unlink()
    for folder in new:
        if any(folder.iterdir()):
            return
        folder.rmdir()


def _command(whose: Mapping[str, Any], lab: Lab) -> str:
    """The command that makes a result: `whose` is what marks its folder, in experiment.json."""
    given = {"scale": whose["scale"], "data": lab.data, "data-dir": lab.data_dir and "DIR"}
    given |= {"protocol": lab.protocol, **dict.fromkeys(whose.get("without", ()), "0")}
    given |= {"features": ",".join(whose.get("features", ()))}
    options = [f"--{name} {value}" for name, value in given.items() if value]
    return " ".join(["zspace reproduce", whose["experiment"], *options])


def _notes(
    experiment: Experiment, chosen: Scale, whose: Mapping[str, Any], lab: Lab, seconds: float
) -> list[str]:
    slower = ", ".join(lab.in_float32)
    before = (
        f", and {lab.seconds_before:g} s before it for what it found measured"
        if lab.seconds_before
        else ""
    )
    notes = [
        experiment.about,
        f"Scale {whose['scale']}: {chosen.about()}.",
        f"Protocol {lab.protocol}: {PROTOCOLS[lab.protocol]}." if lab.protocol else "",
        f"Trained in float32, where bf16 was asked for and slower: {slower}." if slower else "",
        f"Made by `{_command(whose, lab)}`.",
        f"This call took {seconds:g} s{before}; finished runs are reused.",
        *lab.notes,
    ]
    return [note for note in notes if note]
