"""What the page follows of a run from outside: its training, and the figures of its evaluation."""

from __future__ import annotations

import torch

from zspace import api
from zspace.core import LatentModel, decoded
from zspace.data.images import choose_rows
from zspace.errors import InputError
from zspace.evaluation.metrics import better
from zspace.evaluation.results import read_evaluation
from zspace.exploring.pictures import sprite
from zspace.exploring.requests import Answer, Request
from zspace.exploring.space import Space
from zspace.functional import as_float
from zspace.storage.log import thinned
from zspace.storage.run import Run

POINTS = 400
"""The number of points of a curve, at most."""

CURVES = 32
"""The number of losses, of subjects of an evaluation and of their figures, at most."""

PICTURES = 32
"""The number of newest samples."""


def run_of(space: Space) -> Run:
    """The run of a space.

    Raises:
        InputError: there is none.
    """
    if space.run is None:
        raise InputError(space.refusals()["train"])
    return space.run


class Training(Request):
    """The losses of a run so far, and the newest samples, of its last checkpoint.

    Without a prior, the samples are reconstructions of test images.
    """

    def answer(self, space: Space) -> Answer:
        run = run_of(space)
        losses = thinned(run.losses(), POINTS)
        names = list(dict.fromkeys(n for line in losses for n in line if n != "iteration"))[:CURVES]
        told: Answer = {
            "finished": run.model_file.exists(),
            "iterations": run.config.get("iterations"),
            "at": [line["iteration"] for line in losses],
            "losses": {name: [line.get(name) for line in losses] for name in names},
            "sprite": None,
            "of": None,
        }
        try:
            path = run.weights_file()
            known = space.newest.get("path"), space.newest.get("time")
            time = path.stat().st_mtime_ns
            if known != (path, time):
                model = api.load(run.folder, device=space.device_name)
                space.newest |= {"path": path, "time": time, "sprite": _samples(space, model)}
                space.renew(model)
            told |= {"sprite": space.newest["sprite"], "of": "finished model"}
            if path != run.model_file:
                told["of"] = f"iteration {int(path.stem):,}"
        except (InputError, OSError):  # no checkpoint yet, or one that is just being replaced
            pass
        return told


@torch.no_grad()
def _samples(space: Space, model: LatentModel) -> Answer | None:
    if not space.images.is_image:
        return None
    device = next(model.parameters()).device
    if model.prior is None:
        test = space.images.test.x
        shown = test[choose_rows(len(test), PICTURES, 0)]
        return sprite(model.reconstruct(as_float(shown.to(device))))
    random = torch.Generator(device).manual_seed(0)
    return sprite(decoded(model, model.prior.draw(PICTURES, generator=random)))


class Figures(Request):
    """The figures of evaluation.json, a row for each subject; none if there is no such file."""

    def answer(self, space: Space) -> Answer:
        evaluation = read_evaluation(run_of(space).folder)
        if evaluation is None:
            return {"rows": []}
        rows = [
            {
                "subject": row["subject"],
                "figures": {
                    name: [figure["value"], figure["error"]]
                    for name, figure in list(row["figures"].items())[:CURVES]
                },
            }
            for row in evaluation["rows"][:CURVES]
        ]
        return {
            "rows": rows,
            "n": evaluation["n"],
            "features": evaluation["features"],
            "better": {name: better(name) for row in rows for name in row["figures"]},
        }
