"""Experiments: their definition, their run, and the comparison of their numbers with a paper's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from zspace import api
from zspace.display.progress import Display
from zspace.display.tables import Table
from zspace.errors import InputError, MissingFiles, unknown
from zspace.evaluation.evaluate import versions
from zspace.evaluation.measurement import Measurement, measure_run
from zspace.features.weights import WEIGHTS, checked_weights
from zspace.options import checked, options_of
from zspace.papers.entries import COLUMNS, Entry
from zspace.recipes import find
from zspace.storage.cache import key
from zspace.storage.files import read_header, read_json, write_text
from zspace.storage.lock import locked
from zspace.storage.published import PREFIX, judges
from zspace.storage.run import Header, Run
from zspace.training import Precision, make_fabric, settled

Device = Literal["auto", "cpu", "cuda", "mps"]


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


CHECKPOINTS = ("checkpoint_every", "keep")
"""Options of training that decide what is kept of it, and not what comes out."""


@dataclass
class Lab:
    """The surroundings of an experiment: its folder, its settings, and trained models.

    Attributes:
        out: the folder for tables and pictures.
        settings: the settings of the scale.
        data: the named set; None if the experiment makes its own data.
        data_dir: the folder that holds the set's files.
        device: the device to compute on.
        quiet: whether to show no progress.
        shelf: the folder of trained runs, which several experiments may share; None means runs/ in
            `out`.
        more: further values to be stored in table.json, such as a curve.
        runs: the names of the runs that the experiment used.
        protocol: the way in which the settings of the systems are chosen; "" if none is.
        in_float32: what was asked for in bf16 and trained in float32, which was faster.
    """

    out: Path
    settings: Mapping[str, Any]
    data: str | None = None
    data_dir: str | None = None
    device: Device = "auto"
    quiet: bool = False
    shelf: Path | None = None
    more: dict[str, Any] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    protocol: str = ""
    in_float32: list[str] = field(default_factory=list)

    def precision(self, asked: Precision, what: str) -> Precision:
        """The precision for a training that leaves no run, where one is asked for.

        Args:
            asked: the precision that is asked for.
            what: what is trained, for the table's notes.
        """
        with Display(quiet=self.quiet) as progress:
            used = settled(asked, make_fabric(self.device), progress.say)
        return self.used(asked, used, what)

    def used(self, asked: Precision, used: Precision, what: str) -> Precision:
        """The precision that was used, which the table's notes name if another was asked for."""
        if used != asked and what not in self.in_float32:
            self.in_float32.append(what)
        return used

    def trained(self, recipe: str, data: str, **options: Any) -> Run:
        """The finished run of a configuration, which is read, resumed or trained.

        Runs that differ only in how many checkpoints were kept are the same.

        Args:
            recipe: the recipe's name.
            data: the data set, as `--data` takes it.
            options: options of the recipe and of training.

        Raises:
            InputError: an option is not allowed, or the run's folder holds another training.
        """
        own = options_of(find(recipe))
        rest = {name: value for name, value in options.items() if name not in own}
        settings = {**rest, **checked(own, {k: v for k, v in options.items() if k in own})}
        what = {k: v for k, v in settings.items() if k not in CHECKPOINTS}
        name = f"{recipe}-{Path(data).stem}-{key([recipe, data, what])[:8]}"
        folder = (self.shelf or self.out / "runs") / name
        if folder.name not in self.runs:
            self.runs.append(folder.name)
        if folder.exists():
            run = Run(folder)
            if run.model_file.exists():
                wanted = settings["iterations"] or run.config["iterations"]
                if read_header(run.model_file, Header).iteration != wanted:
                    raise InputError(f"{folder} is not what it was trained to be: remove it")
                self._used_by(run, options)
                return run
            start = max(run.checkpoints(), default=0)
            with Display(quiet=self.quiet, start=start) as progress:
                api.resume(folder, progress=progress)
        else:
            with Display(quiet=self.quiet) as progress:
                api.train(
                    recipe,
                    data,
                    out=folder,
                    progress=progress,
                    device=self.device,
                    data_dir=self.data_dir,
                    **options,
                )
        run = Run(folder)
        run.thin()
        self._used_by(run, options)
        return run

    def _used_by(self, run: Run, options: Mapping[str, Any]) -> None:
        self.used(options.get("precision", "32"), run.config["precision"], run.folder.name)

    def measured(self, run: Run, features: str | None, **options: Any) -> Measurement:
        """The measurement of a run by features, on the experiment's device.

        Where the zoo has a judge for images of the run's data and size, it stands in for the
        classifier that would have to be trained first.

        Args:
            run: the run.
            features: the features; None takes those that `measure_run` would take.
            options: further options of `measure_run`.
        """
        if features in (None, "classifier"):
            features = next(
                (
                    PREFIX + name
                    for name, judge in judges().items()
                    if (judge.data, judge.facts.shape) == (self.data, run.facts.shape)
                    and judge.task == "labels"
                ),
                features,
            )
        return measure_run(run.folder, features=features, device=self.device, **options)

    def picture(self, name: str) -> Path:
        """The file of a picture with a given name."""
        return self.out / f"{name}.png"


def known_to(recipe: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some settings for which a recipe, or training itself, has an option."""
    known = api.run_options(recipe)
    return {name: value for name, value in settings.items() if name in known}


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
    if scale not in experiment.scales:
        raise unknown("scale", scale, experiment.scales)
    if data is not None and data not in experiment.data:
        may = f"one of {', '.join(experiment.data)}" if experiment.data else "no --data: its own"
        raise InputError(f"{experiment.name} takes {may}, not {data}")
    chosen = experiment.scales[scale]
    for name in without:
        if name not in experiment.without:
            raise InputError(f"{experiment.name} takes no --{name} 0: leave it out")
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
    check_features(chosen.settings)
    mark = out / "experiment.json"
    whose = {"experiment": experiment.name, "scale": scale, "data": data}
    whose |= {"protocol": protocol} if protocol else {}
    whose |= {"without": list(without)} if without else {}
    whose |= {"features": list(features)} if features else {}
    marked = {**whose, "settings": key(chosen.settings)}
    begun = not mark.exists()
    if not begun and read_json(mark, dict[str, Any]) != marked:
        raise InputError(f"{out} holds another experiment, or other settings: choose another --out")
    if begun and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out} exists and holds no experiment")
    # the folders that are made here, the innermost first
    new = [folder for folder in (out, *out.absolute().parents) if not folder.exists()]
    write_text(mark, json.dumps(marked) + "\n")
    with locked(out, "choose another --out"):
        began = time.monotonic()
        of = data or next(iter(experiment.data), None)
        lab = Lab(out, chosen.settings, of, data_dir, device, quiet, shelf, protocol=protocol)
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
            "versions": versions(),
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
    notes = [
        experiment.about,
        f"Scale {whose['scale']}: {chosen.about()}.",
        f"Protocol {lab.protocol}: {PROTOCOLS[lab.protocol]}." if lab.protocol else "",
        f"Trained in float32, where bf16 was asked for and slower: {slower}." if slower else "",
        f"Made by `{_command(whose, lab)}`.",
        f"This call took {seconds:g} s; finished runs are reused.",
        *lab.more.get("notes", []),
    ]
    return [note for note in notes if note]
