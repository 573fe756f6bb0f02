"""Tables that compare several runs and their samplers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from zspace import api
from zspace.data import DataOptions
from zspace.display.tables import Table
from zspace.errors import InputError, unknown
from zspace.evaluation.measurement import CODES, DATA, GENERATION, RECONSTRUCTION
from zspace.evaluation.metrics import METRICS, better
from zspace.metrics import Figure
from zspace.metrics.figure import LEVEL, tied
from zspace.options import options_of
from zspace.storage.cache import fingerprint
from zspace.storage.run import Run

MARKS = f"bold: best, by more than chance makes ({LEVEL:.0%}); =: not told apart from the best."
"""What the marks of a table mean."""

FIGURES = [name for metric in METRICS.values() for name in metric.names]
"""All figures, in the order in which a table shows them."""

USUAL = "fid", "f8", "f1/8", "precision", "recall", "mse", "accuracy", "pms"
"""The figures that a table shows if none are chosen; one that has none of them shows all."""

ALL = "all"
"""What chooses all figures in place of their names."""

LOOKS = "looks wrong"
"""The column of what a diagnosis finds."""

TIDY = (
    *("table", "run", "subject", "figure", "features", "value", "error", "better"),
    *("n", "data", "seed", LOOKS),
)
"""The columns of `tidy`."""

TITLES = {
    GENERATION: "Generations",
    RECONSTRUCTION: "Reconstructions of test images",
    CODES: "Codes of test images",
}


PAIR = "value", "error"


def figure_of(stored: Mapping[str, Any]) -> Figure:
    """The figure that an evaluation stores as a value and an error, None standing for NaN."""
    value, error = (math.nan if stored[k] is None else float(stored[k]) for k in PAIR)
    return Figure(value, error)


def metrics_of(figures: Sequence[str]) -> list[str] | None:
    """The metrics that give some figures; None if one of them is not for every run.

    Raises:
        InputError: a figure is unknown.
    """
    owners = {column: name for name, metric in METRICS.items() for column in metric.names}
    for figure in figures:
        if figure not in owners:
            raise unknown("figure", figure, owners)
    names = list(dict.fromkeys(owners[figure] for figure in figures))
    return None if any(METRICS[name].needs for name in names) else names


def check_data(
    runs: Sequence[Run],
    evaluations: Sequence[Mapping[str, Any] | None],
    data_dir: str | None = None,
) -> None:
    """Check that runs have the same test images, before any of them is evaluated.

    Args:
        runs: the runs.
        evaluations: the evaluation that is held of each, or None.
        data_dir: the folder in which the runs' data are now.

    Raises:
        InputError: the data can't be read, or differ.
    """
    training = {"data_dir", "train_size", "train_per_class"}
    chosen = {"data", *options_of(DataOptions)} - training
    settings = [{name: run.config.get(name) for name in chosen} for run in runs]
    if all(own == settings[0] for own in settings):
        return
    tests = [
        fingerprint(api.run_images(run, data_dir=data_dir).test.x) if held is None else held["test"]
        for run, held in zip(runs, evaluations, strict=True)
    ]
    for run, test in zip(runs, tests, strict=True):
        if test != tests[0]:
            raise InputError(
                f"{runs[0].folder} and {run.folder} have different data "
                f"({runs[0].config['data']} and {run.config['data']}): their figures can't be "
                "compared"
            )


def evaluation_table(evaluation: Mapping[str, Any]) -> list[Table]:
    """Tables of a run's figures, with a row for each figure and a column for each subject.

    Args:
        evaluation: the result of `evaluate`.

    Returns a table of images and one of codes, as far as there are figures.
    """
    tables: list[Table] = []
    rows = evaluation["rows"]
    for title, kinds in (("Images", (RECONSTRUCTION, GENERATION, DATA)), ("Codes", (CODES,))):
        subjects = [row for row in rows if row["kind"] in kinds]
        names = list(dict.fromkeys(name for row in subjects for name in row["figures"]))
        if not names:
            continue
        lines: list[list[str]] = []
        for name in names:
            held = [row["figures"].get(name) for row in subjects]
            by = next((h["features"] for h in held if h and "features" in h), "")
            lines.append(
                [_label(name, by), *("" if h is None else str(figure_of(h)) for h in held)]
            )
        tables.append(Table(["figure", *(row["subject"] for row in subjects)], lines, title))
    return tables


def compare(
    evaluations: Sequence[Mapping[str, Any]],
    *,
    sort: str | None = None,
    columns: Sequence[str] | None = None,
) -> list[Table]:
    """Tables of generated images, reconstructions and codes, with a row for each run and sampler.

    Each column holds one figure by one set of features. The best value is bold if all others differ
    from it by more than chance makes (95%); if not, "=" marks it and those that do not, and nothing
    is bold. Nothing is marked in a column where the error of a figure is unknown.

    Args:
        evaluations: the results of `evaluate` for each run.
        sort: the name of a figure by which rows are ordered, best first; rows without it come last.
        columns: the names of the figures to show, in this order, or ["all"]; None shows the usual
            ones.

    Raises:
        InputError: there is no evaluation, the test images differ, or a figure is unknown.
    """
    if not evaluations:
        raise InputError("there is no run to compare")
    check_alike(evaluations)
    known = {name for e in evaluations for row in e["rows"] for name in row["figures"]}
    if columns is not None and [*columns] == [ALL]:
        columns = [name for name in FIGURES if name in known]
    for name in (*(columns or ()), *([sort] if sort else [])):
        if name not in known:
            raise unknown("figure", name, known)
    kinds = GENERATION, RECONSTRUCTION, CODES
    tables = [_table(evaluations, kind, sort, columns) for kind in kinds]
    return [table for table in tables if table is not None]


def check_alike(evaluations: Sequence[Mapping[str, Any]]) -> None:
    """Refuse evaluations of different test images, or of different numbers of images."""
    first = evaluations[0]
    for other in evaluations[1:]:
        if other["test"] != first["test"]:
            raise InputError(
                f"{first['run']} and {other['run']} were measured on different data "
                f"({first['data']} and {other['data']}): their figures can't be compared"
            )
        if other["n"] != first["n"]:
            raise InputError(
                f"{first['run']} was measured on n = {first['n']}, {other['run']} on "
                f"n = {other['n']}: evaluate both with the same --n"
            )
        if other["reference"] != first["reference"]:
            raise InputError(
                f"{first['run']} and {other['run']} were measured on different test images (seeds "
                f"{first['seed']} and {other['seed']}): evaluate both with the same --seed and --n"
            )


def over_seeds(evaluations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The evaluations with those of runs that differ only by their seeds merged into one.

    A merged value is the mean over the runs; its error is their standard deviation divided by the
    square root of their number, which includes the randomness of training. A table marks two means
    as different by Student's t, which asks for more of so few: 2.8 to 4.3 standard errors of the
    difference where there are three runs of each.

    Args:
        evaluations: the results of `evaluate` for each run.

    Raises:
        InputError: no two runs differ by their seeds alone, two have the same weights, or they were
            not measured alike.
    """
    check_alike(evaluations)
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for e in evaluations:
        alike = e["configuration"], e["features_identity"], e["checkpoint"]
        group = groups.setdefault(alike, [])
        for other in group:
            if other["model"] == e["model"]:
                raise InputError(
                    f"{other['run']} and {e['run']} have the same weights, as one training has: "
                    "--over-seeds takes trainings of different seeds"
                )
        group.append(e)
    if all(len(group) == 1 for group in groups.values()):
        raise InputError("no two of these runs differ by their seeds alone: leave out --over-seeds")
    merged: list[dict[str, Any]] = []
    for group in groups.values():
        first, k = group[0], len(group)
        held = [{row["subject"]: row["figures"] for row in e["rows"]} for e in group]
        subjects = dict.fromkeys(subject for each in held for subject in each)
        short = [subject for subject in subjects if not all(subject in each for each in held)]
        rows: list[dict[str, Any]] = []
        for row in (row for row in first["rows"] if row["subject"] not in short):
            same = [h[row["subject"]] for h in held]
            figures = {
                name: {**figure, **_over(k, [s[name]["value"] for s in same])}
                for name, figure in row["figures"].items()
                if all(name in s for s in same)
            }
            same_rows = [r for e in group for r in e["rows"] if r["subject"] == row["subject"]]
            faults = dict.fromkeys(f for r in same_rows for f in r.get("faults", ()))
            rows.append({**row, "figures": figures, **({"faults": [*faults]} if faults else {})})
        name = f"{first['recipe']}, {k} seeds" if k > 1 else first["run"]
        notes = list(dict.fromkeys(note for e in group for note in e["notes"]))
        if short:
            notes.append(f"not every run of {first['recipe']} has figures of {', '.join(short)}")
        merged.append({**first, "run": name, "rows": rows, "notes": notes, "seeds": k})
    return merged


def _over(k: int, values: Sequence[float | None]) -> dict[str, float | None]:
    known = [v for v in values if v is not None]
    if len(known) < k or k < 2:
        return {} if k < 2 else {"value": None, "error": None}
    return {"value": statistics.mean(known), "error": statistics.stdev(known) / math.sqrt(k)}


def _table(
    evaluations: Sequence[Mapping[str, Any]],
    kind: str,
    sort: str | None,
    columns: Sequence[str] | None,
) -> Table | None:
    if columns is None:
        own = [row["figures"] for e in evaluations for row in e["rows"] if row["kind"] == kind]
        held = {name for figures in own for name in figures}
        columns = [name for name in USUAL if name in held] or FIGURES
    if sort is not None:
        columns = [*columns, sort]
    rows: list[tuple[str, dict[tuple[str, str], Figure], str, float]] = []
    names = labels(evaluations)
    for evaluation, label in zip(evaluations, names, strict=True):
        freedom = evaluation.get("seeds", 1) - 1 or math.inf
        for row in evaluation["rows"]:
            if row["kind"] != kind:
                continue
            figures = {
                (name, _features(evaluation, stored)): figure_of(stored)
                for name, stored in row["figures"].items()
                if name in columns
            }
            title = f"{label}: {row['subject']}" if kind == GENERATION else label
            rows.append((title, figures, _looks(row), freedom))
    found = dict.fromkeys(key for _, figures, *_ in rows for key in figures)
    keys = sorted(found, key=lambda key: columns.index(key[0]))
    if not keys:
        return None
    if sort is not None:
        rows.sort(key=lambda row: _order(row[1], sort))
    freedoms = [freedom for *_, freedom in rows]
    marked = {key: _marks([f.get(key) for _, f, *_ in rows], freedoms, key[0]) for key in keys}
    header = ["run", *(_header(key, keys) for key in keys)]
    lines = [[title, *(marked[key][i] for key in keys)] for i, (title, *_) in enumerate(rows)]
    first = evaluations[0]
    notes = [
        f"{first['data']}, n = {first['n']} against {first['n']} test images; "
        f"↑ higher, ↓ lower is better; {MARKS}"
    ]
    if any(looks for _, _, looks, _ in rows):
        header.append(LOOKS)
        lines = [[*line, looks] for line, (_, _, looks, _) in zip(lines, rows, strict=True)]
        notes.append(
            f"{LOOKS}: what 'zspace diagnose' finds; a row with ! has a fault that its other "
            "figures may not show."
        )
    if kind == GENERATION:
        notes += _told(evaluations, names)
    return Table(header, lines, TITLES[kind], notes)


def _looks(row: Mapping[str, Any]) -> str:
    return ", ".join(f"! {name}" for name in row.get("faults", ()))


def _told(evaluations: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """What was told when the runs were measured, each note once, with the runs that it is of."""
    of: dict[str, list[str]] = {}
    for evaluation, name in zip(evaluations, names, strict=True):
        for note in evaluation["notes"]:
            of.setdefault(note, []).append(name)
    return [
        note if len(runs) == len(evaluations) else f"{note} ({', '.join(runs)})"
        for note, runs in of.items()
    ]


def tidy(evaluations: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> Table:
    """A single table with a row for each figure, whose cells are plain numbers and texts.

    Args:
        evaluations: the results of `evaluate` for each run.
        columns: the names of the figures to show; None shows all.
    """
    rows: list[list[str]] = []
    for evaluation, run in zip(evaluations, labels(evaluations), strict=True):
        for row in evaluation["rows"]:
            if row["kind"] not in TITLES:
                continue
            for name, stored in row["figures"].items():
                if columns is not None and name not in columns:
                    continue
                value, error = ("" if stored[k] is None else repr(float(stored[k])) for k in PAIR)
                rows.append(
                    [
                        row["kind"],
                        run,
                        row["subject"],
                        name,
                        stored.get("features", ""),
                        value,
                        error,
                        better(name) or "",
                        str(row.get("n", evaluation["n"])),
                        evaluation["data"],
                        str(evaluation["seed"]),
                        " ".join(row.get("faults", ())),
                    ]
                )
    return Table(TIDY, rows)


def labels(evaluations: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of the runs' folders, or their whole paths if names repeat."""
    short = [str(e["run"]).rstrip("/").rpartition("/")[2] for e in evaluations]
    return short if len(set(short)) == len(short) else [str(e["run"]) for e in evaluations]


def _features(evaluation: Mapping[str, Any], stored: Mapping[str, Any]) -> str:
    """The name and the checksum of a figure's feature extractor, "" if it has none."""
    if "features" not in stored:
        return ""
    return f"{stored['features']} {evaluation['features_identity']}"


def _header(key: tuple[str, str], keys: Sequence[tuple[str, str]]) -> str:
    name, features = key
    if not features:
        return _label(name)
    extractor, _, identity = features.rpartition(" ")
    same = [k for k in keys if k[1].rpartition(" ")[0] == extractor and k[1] != features]
    return _label(name, f"{extractor} {identity[:6]}" if same else extractor)


def _label(name: str, features: str = "") -> str:
    """A figure's name with its features and an arrow in the direction that is better."""
    arrow = {"higher": " ↑", "lower": " ↓"}.get(better(name), "")
    return f"{name} ({features}){arrow}" if features else f"{name}{arrow}"


def _order(figures: Mapping[tuple[str, str], Figure], name: str) -> float:
    values = [f.value for (n, _), f in figures.items() if n == name and math.isfinite(f.value)]
    if not values:
        return math.inf
    return -values[0] if better(name) == "higher" else values[0]


def _marks(figures: Sequence[Figure | None], freedoms: Sequence[float], name: str) -> list[str]:
    direction = better(name)
    finite = {i: f for i, f in enumerate(figures) if f is not None and math.isfinite(f.value)}
    level: list[int] = []
    known = all(math.isfinite(f.error) for f in finite.values())
    if direction and known and len(finite) > 1:
        pick = max if direction == "higher" else min
        best = pick(finite, key=lambda i: finite[i].value)
        level = [i for i in finite if tied(finite[i], finite[best], (freedoms[i], freedoms[best]))]
    mark = "**{}**" if len(level) == 1 else "{} ="
    return [
        "" if f is None else mark.format(f) if i in level else str(f) for i, f in enumerate(figures)
    ]
