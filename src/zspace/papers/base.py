"""Experiments: their definition, their run, and the comparison of their numbers with a paper's."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import torch

from zspace import api
from zspace.display.progress import Display
from zspace.display.tables import Table
from zspace.errors import InputError, unknown
from zspace.evaluation.evaluate import versions
from zspace.metrics import Figure
from zspace.options import checked, options_of
from zspace.recipes import find
from zspace.storage.cache import key
from zspace.storage.files import read_header, write_text
from zspace.storage.run import Run

Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True)
class Scale:
    """A size at which an experiment can be run.

    Attributes:
        settings: the settings that the experiment reads.
        reductions: how the settings fall short of the paper's; empty if they do not.
        cost: about how long a run takes, and on what machine.
    """

    settings: Mapping[str, Any]
    reductions: str
    cost: str


@dataclass(frozen=True)
class Entry:
    """A measured number beside the number that the paper publishes.

    Attributes:
        what: the model, data set or part of a table that it belongs to.
        measure: the name of the measure.
        ours: the measured value and its standard error.
        by: the features, or the space, in which it was measured.
        data: the data on which it was measured.
        n: the number of samples.
        published, published_error: the paper's value and its error; None if the paper prints none.
        published_by, published_data: the features and the data of the paper's value.
    """

    what: str
    measure: str
    ours: Figure
    by: str
    data: str
    n: int
    published: float | None = None
    published_error: float | None = None
    published_by: str = ""
    published_data: str = ""

    def difference(self) -> tuple[float | None, str]:
        """Our value minus the paper's, and "".

        If they can't be compared, because there is no published value or the features or data
        differ, it is None, and the reason.
        """
        if self.published is None:
            return None, "the paper prints no number"
        if self.by != self.published_by:
            return None, f"other features: {self.by} / {self.published_by}"
        if self.data != self.published_data:
            return None, f"other data: {self.data} / {self.published_data}"
        return self.ours.value - self.published, ""


@dataclass(frozen=True)
class Experiment:
    """A table or figure of a paper, as an experiment.

    Attributes:
        name: the name, of the form paper/figure.
        about: a description in one line.
        scales: the scales by name: smoke, small, paper.
        run: runs the experiment, writes its pictures, and returns its entries.
        data: the named sets that `--data` can choose from, the default first; empty if the
            experiment makes its own data.
        needs: a description of the files that the experiment needs.
    """

    name: str
    about: str
    scales: Mapping[str, Scale]
    run: Callable[[Lab], list[Entry]]
    data: tuple[str, ...] = ()
    needs: str = ""


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

    def trained(self, recipe: str, data: str, **options: Any) -> Run:
        """The finished run of a configuration, which is read, resumed or trained.

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
        name = f"{recipe}-{Path(data).stem}-{key([recipe, data, settings])[:8]}"
        folder = (self.shelf or self.out / "runs") / name
        self.runs.append(folder.name)
        if folder.exists():
            run = Run(folder)
            if run.model_file.exists():
                wanted = settings["iterations"] or run.config["iterations"]
                if read_header(run.model_file).get("iteration") == wanted:
                    return run
                raise InputError(f"{folder} is not what it was trained to be: remove it")
            start = max(run.checkpoints(), default=0)
            with Display(quiet=self.quiet, start=start) as progress:
                api.resume(folder, progress=progress)
            return Run(folder)
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
        return Run(folder)

    def picture(self, name: str) -> Path:
        """The file of a picture with a given name."""
        return self.out / f"{name}.png"


def mean_and_deviation(values: list[float]) -> Figure:
    """The mean of values, with their standard deviation in place of an error, as papers print it.

    The deviation of a single value is NaN.
    """
    each = torch.tensor(values, dtype=torch.float64)
    return Figure(float(each.mean()), float(each.std()) if len(each) > 1 else math.nan)


def over_seeds(each: Sequence[Figure]) -> Figure:
    """The mean of several trainings' figures and their deviation; a single figure unchanged."""
    return each[0] if len(each) == 1 else mean_and_deviation([f.value for f in each])


def known_to(recipe: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some settings for which a recipe, or training itself, has an option."""
    known = api.run_options(recipe)
    return {name: value for name, value in settings.items() if name in known}


@cache
def published() -> dict[str, Any]:
    """The numbers that the five papers publish, by table or figure."""
    text = files("zspace.papers").joinpath("published.json").read_text(encoding="utf-8")
    numbers: dict[str, Any] = json.loads(text)
    return numbers


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

    Returns the table.
    Raises:
        InputError: the scale is unknown, the experiment does not take the data, or the folder holds
            something else.
    """
    if scale not in experiment.scales:
        raise unknown("scale", scale, experiment.scales)
    if data is not None and data not in experiment.data:
        may = f"one of {', '.join(experiment.data)}" if experiment.data else "no --data: its own"
        raise InputError(f"{experiment.name} takes {may}, not {data}")
    chosen = experiment.scales[scale]
    mark = out / "experiment.json"
    whose = {"experiment": experiment.name, "scale": scale, "data": data}
    if mark.is_file():
        try:
            held = json.loads(mark.read_text(encoding="utf-8"))
        except ValueError:
            held = None
        if held != whose:
            raise InputError(f"{out} holds another experiment: choose another --out")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out} exists and holds no experiment")
    write_text(mark, json.dumps(whose) + "\n")
    began = time.monotonic()
    lab = Lab(
        out,
        chosen.settings,
        data or next(iter(experiment.data), None),
        data_dir,
        device,
        quiet,
        shelf,
    )
    entries = experiment.run(lab)
    seconds = round(time.monotonic() - began, 1)
    table = _table(experiment, scale, chosen, entries, lab, seconds)
    write_text(out / "table.md", f"# {experiment.name}, {scale}\n\n{table.markdown()}")
    stored = {
        **whose,
        "about": experiment.about,
        "reductions": chosen.reductions,
        "settings": dict(chosen.settings),
        "entries": [_stored(entry) for entry in entries],
        "runs": lab.runs,
        "seconds": seconds,
        "versions": versions(),
        **lab.more,
    }
    write_text(out / "table.json", json.dumps(stored, indent=1) + "\n")
    return table


def _stored(entry: Entry) -> dict[str, Any]:
    difference, reason = entry.difference()
    return {
        "what": entry.what,
        "measure": entry.measure,
        "ours": entry.ours.as_json(),
        "by": entry.by,
        "data": entry.data,
        "n": entry.n,
        "published": entry.published,
        "published_error": entry.published_error,
        "published_by": entry.published_by,
        "published_data": entry.published_data,
        "difference": difference,
        "reason": reason,
    }


def _table(
    experiment: Experiment,
    scale: str,
    chosen: Scale,
    entries: list[Entry],
    lab: Lab,
    seconds: float,
) -> Table:
    rows: list[list[str]] = []
    for e in entries:
        difference, reason = e.difference()
        theirs = ""
        if e.published is not None:
            error = "" if e.published_error is None else f" ± {e.published_error:g}"
            theirs = f"{e.published:g}{error}"
        source = f"{e.published_by}; {e.published_data}" if e.published is not None else ""
        shown = reason if difference is None else f"{difference:+.3g}"
        rows.append(
            [e.what, e.measure, str(e.ours), f"{e.by}; {e.data}; n = {e.n}", theirs, source, shown]
        )
    notes = [
        experiment.about,
        f"Scale {scale}: {chosen.reductions or 'the settings of the paper'}.",
        f"Number of seeds: {lab.settings.get('seeds', 1)}. This call took {seconds:g} s; "
        "finished runs are reused.",
        *lab.more.get("notes", []),
    ]
    header = ["", "measure", "ours", "ours is of", "published", "published is of", "difference"]
    return Table(header, rows, notes=notes)
