"""The evaluation that a run stores in evaluation.json, and whether it is still valid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zspace import api
from zspace.errors import InputError
from zspace.generation.fit import weights_fingerprint
from zspace.storage.files import write_text

TEXTS = (
    "run",
    "configuration",
    "data",
    "test",
    "reference",
    "features",
    "features_asked",
    "features_identity",
    "model",
    "checkpoint",
)

SAME = ("test", "reference", "n", "seed", "features_identity", "model", "checkpoint")
"""The keys in which two evaluations must agree to be stored in one file."""


def write_evaluation(run: str | Path, evaluation: Mapping[str, Any]) -> Path:
    """Store an evaluation in a run.

    An evaluation of some metrics only is merged with a stored one of the same measurement.

    Args:
        run: the run.
        evaluation: the result of `evaluate`.

    Returns the file.
    """
    path = Path(run) / "evaluation.json"
    if not evaluation["complete"]:
        try:
            held = read_evaluation(run)
        except InputError:
            held = None  # a damaged file is replaced
        if held is not None and all(held[name] == evaluation[name] for name in SAME):
            evaluation = _joined(held, evaluation)
    write_text(path, json.dumps(evaluation, indent=1) + "\n")
    return path


def _joined(held: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    rows = {row["subject"]: {**row, "figures": dict(row["figures"])} for row in held["rows"]}
    for row in new["rows"]:
        rows.setdefault(row["subject"], {**row, "figures": {}})["figures"].update(row["figures"])
    notes = list(dict.fromkeys([*held["notes"], *new["notes"]]))
    return {**held, "rows": list(rows.values()), "notes": notes, "versions": new["versions"]}


def read_evaluation(run: str | Path) -> dict[str, Any] | None:
    """The evaluation that a run stores, or None if there is none.

    Raises:
        InputError: the file is damaged.
    """
    path = Path(run) / "evaluation.json"
    if not path.exists():
        return None
    try:
        evaluation: Any = json.loads(path.read_text(encoding="utf-8"))
        good = _is_evaluation(evaluation)
    except (OSError, ValueError, RecursionError):
        good, evaluation = False, None
    if not good:
        raise InputError(
            f"{path} is damaged: remove it, and 'zspace evaluate {run}' makes it again"
        )
    return evaluation


def _is_evaluation(held: Any) -> bool:
    match held:
        case {
            "n": int(),
            "seed": int(),
            "complete": bool(),
            "rows": list(rows),
            "notes": list(notes),
            "versions": dict(),
        } if rows:
            texts = all(isinstance(held.get(name), str) for name in TEXTS)
            return texts and all(map(_is_row, rows)) and all(isinstance(n, str) for n in notes)
        case _:
            return False


def _is_row(row: Any) -> bool:
    match row:
        case {"subject": str(), "kind": str(), "figures": dict(figures)}:
            return all(map(_is_figure, figures.values()))
        case _:
            return False


def _is_figure(figure: Any) -> bool:
    if not isinstance(figure, dict) or not isinstance(figure.get("features", ""), str):
        return False
    numbers = [figure.get("value", ""), figure.get("error", "")]
    return all(
        n is None or (isinstance(n, int | float) and not isinstance(n, bool)) for n in numbers
    )


def current_evaluation(
    run: str | Path,
    *,
    features: str | None = None,
    n: int | None = None,
    seed: int | None = None,
    checkpoint: str = "last",
) -> dict[str, Any] | None:
    """The evaluation that a run stores, if it is complete and belongs to the present weights.

    Args:
        run: the run.
        features, n, seed: what the evaluation must have been asked for; None accepts anything.
        checkpoint: the checkpoint whose weights it must belong to.

    Returns the evaluation, or None if there is none like that.
    Raises:
        InputError: the file is damaged, or the run can't be loaded.
    """
    evaluation = read_evaluation(run)
    if evaluation is None or not evaluation["complete"]:
        return None
    asked = {"features_asked": features, "n": n, "seed": seed, "checkpoint": checkpoint}
    if any(value is not None and evaluation[name] != value for name, value in asked.items()):
        return None
    model = api.load(run, checkpoint=checkpoint)
    return evaluation if evaluation["model"] == weights_fingerprint(model) else None
