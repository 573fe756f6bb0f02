"""The evaluation that a run stores in evaluation.json, and whether it is still valid."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NotRequired, cast

import msgspec
from typing_extensions import TypedDict

from zspace import api
from zspace.errors import InputError
from zspace.evaluation.measurement import GENERATION
from zspace.evaluation.metrics import METRICS
from zspace.generation.fit import fitted_sampler, weights_fingerprint
from zspace.storage.files import Count, read_json, write_text
from zspace.storage.published import run_folder
from zspace.storage.run import Run
from zspace.wrapping import check_codes


class StoredFigure(TypedDict):
    """A figure of a stored evaluation."""

    value: float | None
    error: float | None
    uncertainty: str
    features: NotRequired[str]


class StoredRow(TypedDict):
    """A subject of a stored evaluation, with its figures by name.

    `sampler` is the checksum of the run's file of the sampler that generated images are of.
    """

    subject: str
    kind: str
    n: Count
    sampler: NotRequired[str]
    figures: dict[str, StoredFigure]
    faults: NotRequired[list[str]]


class StoredEvaluation(TypedDict):
    """The content of evaluation.json, which `evaluate` returns."""

    run: str
    recipe: str | None
    configuration: str
    data: str
    test: str
    reference: str
    reference_part: str
    n: Count
    memorisation_n: Count
    seed: Count
    complete: bool
    features: str
    features_asked: str
    features_identity: str
    model: str
    checkpoint: str
    rows: Annotated[list[StoredRow], msgspec.Meta(min_length=1)]
    notes: list[str]
    seconds: float
    versions: dict[str, str]


SAME = ("test", "reference", "n", "seed", "model", "checkpoint")
"""The keys in which two evaluations must agree to be stored in one file, beside the features."""
FEATURES = ("features", "features_asked", "features_identity")
"""The keys of the features; the first and the last are empty where no figure is by features."""


def write_evaluation(run: str | Path, evaluation: Mapping[str, Any]) -> Path:
    """Store an evaluation in a run.

    An evaluation of some metrics only is merged with a stored one of the same measurement.

    Args:
        run: the run.
        evaluation: the result of `evaluate`.

    Returns the file.
    """
    path = run_folder(run) / "evaluation.json"
    if not evaluation["complete"]:
        try:
            held = read_evaluation(run)
        except InputError:
            held = None  # a damaged file is replaced
        if held is not None and _alike(held, evaluation):
            held = {**held, "rows": [row for row in held["rows"] if _of_now(run, row)]}
            evaluation = _joined(held, evaluation)
    write_text(path, json.dumps(evaluation, indent=1) + "\n")
    return path


def _of_now(run: str | Path, row: Mapping[str, Any]) -> bool:
    """Whether the sampler that a row is of is the one that the run has now."""
    if row["kind"] != GENERATION:
        return True
    return row.get("sampler", "") == fitted_sampler(run, row["subject"]).checksum


def _missed(run: str | Path, evaluation: Mapping[str, Any]) -> list[str]:
    """The samplers of a run that its evaluation has no figures of, nor the reason why not."""
    measured = {row["subject"] for row in evaluation["rows"]}
    told = "\n".join(evaluation["notes"])
    held = Run(run).samplers()
    return [name for name in held if name not in measured and f" {name} is left out" not in told]


def _alike(held: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    by = {held["features_identity"], new["features_identity"]} - {""}
    return len(by) < 2 and all(held[name] == new[name] for name in SAME)


def _joined(held: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    if not held["features_identity"]:
        held = {**held, **{name: new[name] for name in FEATURES}}
    rows = {row["subject"]: {**row, "figures": dict(row["figures"])} for row in held["rows"]}
    for row in new["rows"]:
        own = rows.setdefault(row["subject"], {**row, "figures": {}})
        own["figures"].update(row["figures"])
        own |= {"faults": row["faults"]} if "faults" in row else {}
    notes = list(dict.fromkeys([*held["notes"], *new["notes"]]))
    return {**held, "rows": list(rows.values()), "notes": notes, "versions": new["versions"]}


def read_evaluation(run: str | Path) -> dict[str, Any] | None:
    """The evaluation that a run stores, or None if there is none.

    Raises:
        InputError: the file is damaged.
    """
    path = run_folder(run) / "evaluation.json"
    if not path.exists():
        return None
    try:
        evaluation = read_json(path, StoredEvaluation)
    except InputError as error:
        raise InputError(
            f"{error}: remove it, and 'zspace evaluate {run}' makes it again"
        ) from error
    return cast(dict[str, Any], evaluation)


def current_evaluation(
    run: str | Path,
    *,
    features: str | None = None,
    n: int | None = None,
    seed: int | None = None,
    checkpoint: str = "last",
    metrics: Sequence[str] | None = None,
) -> dict[str, Any] | None:
    """The evaluation that a run stores, if it is complete and of its present weights and samplers.

    One that lacks a sampler which the run has come to hold since is not complete.

    Args:
        run: the run.
        features, n, seed: what the evaluation must have been asked for; None accepts anything.
        checkpoint: the checkpoint whose weights it must belong to.
        metrics: names of `METRICS` whose figures it must hold; None asks for a complete one.

    Returns the evaluation, or None if there is none like that.
    Raises:
        InputError: the file is damaged, the run can't be loaded, or it is of codes that have
            changed since.
    """
    evaluation = read_evaluation(run)
    if evaluation is None:
        return None
    check_codes(Run(run))
    if not all(_of_now(run, row) for row in evaluation["rows"]) or _missed(run, evaluation):
        return None
    held = {name for row in evaluation["rows"] for name in row["figures"]}
    wanted = {name for metric in metrics or () for name in METRICS[metric].names}
    if not evaluation["complete"] and (metrics is None or not wanted <= held):
        return None
    asked = {"features_asked": features, "n": n, "seed": seed, "checkpoint": checkpoint}
    if any(value is not None and evaluation[name] != value for name, value in asked.items()):
        return None
    model = api.load(run, checkpoint=checkpoint)
    return evaluation if evaluation["model"] == weights_fingerprint(model) else None
