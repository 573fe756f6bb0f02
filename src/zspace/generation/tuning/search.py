"""The search for the parameter theta of the classwise samplers, the spread of a class's codes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

import torch
from torch import Tensor

from zspace import api
from zspace.core import SILENT, Progress, codes
from zspace.errors import InputError, ModelError, unknown
from zspace.features.classifier import Neutral
from zspace.functional import stream
from zspace.generation.fit import keep_sampler, weights_fingerprint
from zspace.generation.tuning.lines import (
    AVERAGES,
    Ask,
    Line,
    Row,
    Search,
    Space,
    at_random,
    descent,
    on_grid,
    space_of,
)
from zspace.generation.tuning.objective import (
    SHORT,
    Objective,
    below_bar,
    pair_cosine,
    reconstruction_classifier,
)
from zspace.generation.tuning.trials import Trials
from zspace.metrics import Figure, jackknife, mean_figure
from zspace.options import check_seed
from zspace.recipes.catalogue import make
from zspace.samplers import Simple, as_text
from zspace.samplers.normal import learned_label
from zspace.storage.cache import key
from zspace.storage.files import check_inside, write_text
from zspace.storage.lock import locked
from zspace.storage.run import Run

MOST = 1_000_000
"""The largest number of images of a class by which a candidate is judged."""

FRESH = 1000
"""The number of images of each class, from fresh noise, by which the best candidate is judged."""


@dataclass(frozen=True)
class Tuned:
    """The result of a search.

    Attributes:
        name: the sampler's name.
        options: the options that were found.
        trials: the number of candidates that were tried.
        value: the objective's value with the search's noise.
        classes: the names of the classes.
        cosine, accuracy: the mean cosine and the accuracy of each class, with fresh noise.
        mean_cosine, mean_accuracy: their means over classes, with standard errors.
        judge: the classifier of reconstructions, with its accuracy on reconstructed test images.
        learned: its accuracy on reconstructed training images.
        curve: for every candidate that was judged for all classes, the mean cosine, the mean
            accuracy and the least accuracy of a class, with the search's noise.
    """

    name: str
    options: dict[str, Any]
    trials: int
    value: float
    classes: tuple[str, ...]
    cosine: list[float]
    accuracy: list[float]
    mean_cosine: Figure
    mean_accuracy: Figure
    judge: Neutral
    learned: Figure
    curve: list[tuple[float, float, float]]

    def smallest(self, accuracy: float) -> float | None:
        """The smallest mean cosine among candidates with at least this mean accuracy, or None."""
        return min((c for c, a, _ in self.curve if a >= accuracy), default=None)


def tune(
    run: str | Path,
    name: str,
    *,
    trials: int = 1000,
    seed: int = 0,
    samples: int = 200,
    search: Search | None = None,
    min_accuracy: float | None = None,
    storage: str | None = None,
    data_dir: str | None = None,
    device: str = "auto",
    progress: Progress = SILENT,
) -> Tuned:
    """Search the theta (and n) of a classwise sampler for a run, and store the sampler there.

    The objective is the paper's Equation 4 (see `Objective`). A search that was interrupted is
    resumed by the same call, since its trials are kept in the run.

    Args:
        run: the run.
        name: the sampler: "simple", "medium1" or "medium2".
        trials: the number of candidates to try in all.
        seed: the seed of the candidates and of the noise.
        samples: the number of images of each class that a candidate generates.
        search: "descent", "random" or "grid"; None takes the grid if it has no more points than
            there are trials, else coordinate descent.
        min_accuracy: the least accuracy of every class, with which the smallest cosine is searched;
            None searches the smallest value of Equation 4.
        storage: an address that Optuna knows (sqlite:///FILE, postgresql://...), by which processes
            share the trials; None keeps them in a file of the run.
        data_dir: the folder in which the run's data are now.
        device: "auto", "cpu", "cuda" or "mps".
        progress: told the number of trials and the objective.

    Raises:
        InputError: an argument is out of range, the data have no labelled images, a class has no
            training images, or no candidate has the least accuracy.
    """
    check_seed(seed)
    if trials < 1 or not 2 <= samples <= MOST:
        raise InputError(f"--trials must be at least 1, --samples from 2 to {MOST:,}")
    if min_accuracy is not None and not 0 < min_accuracy <= 1:
        raise InputError(f"--min-accuracy must be above 0 and at most 1, not {min_accuracy:g}")
    if search is not None and search not in get_args(Search):
        raise unknown("search", search, get_args(Search))
    space_of(name, 1, 1)
    existing = Run(run)
    check_inside(existing.folder, "samplers", "tuning", "tuning/trials.log")
    model = api.load(run, device=device, progress=progress)
    where = next(model.parameters()).device
    images = api.run_images(existing, data_dir=data_dir).tell_range(progress)
    if images.train.y is None or not images.is_image:
        raise InputError(f"{images.name} has no labelled images: there are no classes to generate")
    z = codes(model, images.train.x).cpu()
    plain = Simple(model.latent_dim, classes=len(images.classes)).fit(z, images.train.y)
    plain.with_names(images.classes)
    for label in range(len(images.classes)):
        learned_label(plain, label)
    judge, learned = reconstruction_classifier(model, images, device=device, progress=progress)
    if (warning := below_bar(learned)) is not None:
        progress.say(warning)
    net = judge.net.to(where).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    space = space_of(name, model.latent_dim, len(images.classes))
    how: Search = search or ("grid" if space.size <= trials else "descent")
    if how == "grid":
        trials = min(trials, space.size)

    def objective(count: int, *numbers: int) -> Objective:
        shape = len(images.classes), count, max(AVERAGES) if space.averages else 1, z.shape[1]
        generator = torch.Generator().manual_seed(stream(seed, *numbers))
        noise = torch.randn(*shape, generator=generator).to(where)
        return Objective(model, plain.to(where), net, noise, min_accuracy)

    settings = {
        "sampler": name,
        "search": how,
        "seed": seed,
        "samples": samples,
        "least": min_accuracy,
        "model": weights_fingerprint(model),
        "judge": judge.identity,
    }
    lines: dict[Search, Callable[[int], Line]] = {
        "descent": partial(descent, space, seed),
        "random": partial(at_random, space, seed),
        "grid": partial(on_grid, space),
    }
    folder = existing.folder / "tuning"
    alone: AbstractContextManager[None] = nullcontext()
    if storage is None:
        folder.mkdir(exist_ok=True)
        alone = locked(folder, "share the trials (--storage)")
    with alone:
        named = f"{name}-{key(settings)}"
        held = Trials.open(storage, folder / "trials.log", named, space, progress.say)
        known = _search(objective(samples, 21), space, held, lines[how], trials, progress)
    best = [_best(known, g) for g in range(len(space.groups))]
    value = fmean(v for v, _ in best)
    short = [group for (v, _), group in zip(best, space.groups, strict=True) if v >= SHORT]
    if min_accuracy is not None and short:
        names = ", ".join(images.classes[y] for y in short[0])
        more = "" if trials == space.size else ", or try more --trials"
        raise ModelError(
            f"none of {len(known)} candidates has accuracy {min_accuracy:g} for every class "
            f"({names}): lower --min-accuracy{more}"
        )
    rows = [space.theta(row) for _, row in best]
    options: dict[str, Any] = (
        {"theta": rows[0][0][0], "average": rows[0][1]}
        if space.averages
        else {"theta": as_text(theta for theta, _ in rows)}
    )
    fitted = make(name, model.latent_dim, options).fit(z, images.train.y)
    keep_sampler(existing, name, options, model, images.train, fitted)
    cosine, right, mean_cosine = _generated(objective(FRESH, 22), space, [row for _, row in best])
    tuned = Tuned(
        name,
        options,
        len(known),
        value,
        images.classes,
        cosine,
        right.mean(1).tolist(),
        mean_cosine,
        mean_figure(right.flatten()),
        judge,
        learned,
        _curve(known),
    )
    stored = {**settings, **vars(tuned), "judge": list(judge.accuracy)}
    write_text(folder / f"{name}.json", json.dumps(stored, indent=1) + "\n")
    return tuned


def _search(
    objective: Objective,
    space: Space,
    held: Trials,
    start: Callable[[int], Line],
    trials: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Try candidates until there are enough; returns all, in the order in which they were begun."""
    places: dict[int, _Place] = {}
    while True:
        claimed = held.refresh()
        known = sorted(held.known.values(), key=lambda trial: trial["number"])
        if known:
            values = [_best(known, g)[0] for g in range(len(space.groups))]
            progress(min(len(known), trials), trials, {"objective": sum(values) / len(values)})
        if len(known) >= trials:
            return known[:trials]  # an earlier search may have tried more
        for line in range(trials):  # each line has at least one candidate
            if line not in places:
                places[line] = _Place(start(line))
            place = places[line]
            while (line, place.step) in held.known:
                place.advance(held.known[line, place.step])
            if place.ask is not None and (line, place.step) not in claimed:
                held.add((line, place.step), partial(_tried, objective, space, place.ask))
                break
        else:
            time.sleep(0.2)  # other processes are trying the remaining candidates


class _Place:
    """A line with its current step and candidate."""

    def __init__(self, line: Line) -> None:
        self.line, self.step = line, 0
        self.ask: Ask | None = next(line, None)

    def advance(self, trial: dict[str, Any]) -> None:
        values = [math.inf if v is None else v for v in trial["values"]]
        self.step += 1
        try:
            self.ask = self.line.send(values)
        except StopIteration:
            self.ask = None


def _tried(objective: Objective, space: Space, ask: Ask) -> dict[str, Any]:
    """A candidate's value for each group (None if unknown), and its cosines and accuracies."""
    found: dict[str, Any] = {"rows": ask.rows, "values": [], "cosine": [], "accuracy": []}
    for group, row, bound in zip(space.groups, ask.rows, ask.bounds, strict=True):
        if row is None:
            found["values"].append(None)
            continue
        theta, average = space.theta(row)
        scale = torch.tensor([theta], device=objective.noise.device)
        score = objective.score(scale.expand(len(objective.noise), -1), average, group, bound)
        judged = not bool(score.accuracy.isnan().any())
        found["values"].append(objective.value(score.cosine, score.accuracy) if judged else None)
        if judged:
            found["cosine"] += score.cosine.tolist()
            found["accuracy"] += score.accuracy.tolist()
    return found


def _best(known: Sequence[dict[str, Any]], group: int) -> tuple[float, Row]:
    """The least value of a group and its row, the first if there are several."""
    found = [
        (trial["values"][group], tuple(trial["rows"][group]))
        for trial in known
        if trial["values"][group] is not None
    ]
    return min(found, key=lambda pair: pair[0], default=(math.inf, ()))


def _curve(known: Sequence[dict[str, Any]]) -> list[tuple[float, float, float]]:
    """The curve of `Tuned`: cosine and accuracies of candidates judged for all classes."""
    return [
        (fmean(trial["cosine"]), fmean(trial["accuracy"]), min(trial["accuracy"]))
        for trial in known
        if None not in trial["values"]
    ]


def _generated(
    objective: Objective, space: Space, rows: Sequence[Row]
) -> tuple[list[float], Tensor, Figure]:
    """The measures of the images that rows generate from an objective's noise.

    Returns the cosine of each label, whether each image is right, (L, S), and the mean cosine.
    """
    cosine: dict[int, Figure] = {}
    right = torch.zeros(objective.noise.shape[:2])
    for group, row in zip(space.groups, rows, strict=True):
        theta, average = space.theta(row)
        scale = torch.tensor([theta], device=objective.noise.device)
        for label in group:
            x = objective.images(scale.expand(len(right), -1), average, label)
            cosine[label] = jackknife(pair_cosine, x)
            right[label] = objective.right(x, label)
    each = [cosine[label] for label in range(len(right))]
    error = math.sqrt(sum(c.error**2 for c in each)) / len(each)
    return [c.value for c in each], right, Figure(fmean(c.value for c in each), error)
