"""The search for how far a class's codes may spread: theta of the classwise samplers.

A candidate is judged by what it generates: the mean cosine similarity of two images of a label (low
where they are diverse) and the accuracy of a classifier that was trained on reconstructions. Every
candidate sees the same noise (common random numbers), so that two of them differ by theta alone.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import torch
from torch import Tensor

from zspace import api
from zspace.api import Say
from zspace.cache import key
from zspace.catalogue import make
from zspace.core import LatentModel, codes, decoded, of_stored, reconstructions, stream
from zspace.data import Images
from zspace.data.images import Part
from zspace.errors import InputError, unknown
from zspace.fitting import keep_sampler, weights_fingerprint
from zspace.metrics import Figure, class_cosine, jackknife, mean_figure
from zspace.neutral import Neutral, neutral_classifier
from zspace.options import check_seed
from zspace.run import Run
from zspace.samplers import Classwise, Simple, as_text
from zspace.samplers.normal import learned_label
from zspace.storage import write_text
from zspace.training import Report

STEPS = 10
"""theta is searched over 0, 1/10 .. 1."""

AVERAGES = (1, 2, 3, 5)
"""Draws that Simple may average."""

BAR = 0.97
"""Accuracy on reconstructions that the classifier should have."""

FRESH = 1000
"""Codes of each class by whose images, of noise that no candidate saw, the winner is judged."""

TRIED = {"rows", "values", "cosine", "accuracy"}
"""What is kept of a candidate."""

STALE = 5.0
"""Seconds after which the lock of a file, held for one line, was left by a process that is gone."""

SHORT = 2.0
"""The least value of a candidate that is short of a least accuracy: above any other."""

CLAIM = 600.0
"""Seconds after which a trial that another process began is taken to be lost."""

Search = Literal["descent", "random", "grid"]
Row = tuple[int, ...]
Values = list[float]


@dataclass(frozen=True)
class Score:
    """What a candidate generates, by label: (L,) each.

    Attributes:
        cosine: mean cosine similarity of distinct pairs of images.
        accuracy: NaN where it made no difference.
    """

    cosine: Tensor
    accuracy: Tensor


@dataclass(frozen=True)
class Objective:
    """The paper's Equation 4 for a group of labels, or its constrained form.

        mean over labels of cosine + 1 - accuracy
        with a least accuracy A: the mean cosine where every label has it, else 2 + sum of what is
        missing to A, which is more than any cosine

    Attributes:
        model: decodes.
        sampler: fitted; its mu_y and sigma_y.
        judge: images to logits.
        noise: (L, S, n, D), the same for every candidate.
        least: A, or None.
    """

    model: LatentModel
    sampler: Classwise
    judge: Callable[[Tensor], Tensor]
    noise: Tensor
    least: float | None = None

    def value(self, cosine: Tensor, accuracy: Tensor) -> float:
        """Of cosines and accuracies (L,) of a group's labels."""
        if self.least is None:
            return float((cosine + 1 - accuracy).mean())
        short = float((self.least - accuracy).clamp(min=0).sum())
        return float(cosine.mean()) if short == 0 else SHORT + short

    def images(self, theta: Tensor, average: int, label: int) -> Tensor:
        """Stored images (S, C, H, W) of a label, theta (L, 1 or D)."""
        y = torch.full((self.noise.shape[1],), label, device=self.noise.device)
        z = self.sampler.codes(y, self.noise[label, :, :average], theta)
        return decoded(self.model, z)

    def right(self, x: Tensor, label: int) -> Tensor:
        """Whether the judge takes images for the label's: (S,) of 0 and 1."""
        found = of_stored(self.judge, x, self.noise.device).argmax(1)
        return (found == label).double().cpu()

    def score(
        self, theta: Tensor, average: int, group: Sequence[int], bound: float = math.inf
    ) -> Score:
        """Cosine and accuracy of a group's labels.

        Labels are no longer judged once the value can't fall below `bound`, were all others right.

        Args:
            theta: (L, 1 or D).
        """
        images = [self.images(theta, average, label) for label in group]
        cosine = torch.tensor([_cosine(x) for x in images], dtype=torch.float64)
        accuracy = torch.full_like(cosine, math.nan)
        for i, label in enumerate(group):
            if self.value(cosine, accuracy.nan_to_num(1.0)) >= bound:
                break
            accuracy[i] = self.right(images[i], label).mean()
        return Score(cosine, accuracy)


@dataclass
class Space:
    """What is searched: rows of whole numbers, one row for each group of labels.

    Attributes:
        levels: how many values each coordinate of a row has.
        groups: labels that share a row.
        averages: whether a row is (theta, which of AVERAGES) or thetas alone.
    """

    levels: tuple[int, ...]
    groups: list[list[int]]
    averages: bool = False

    @property
    def size(self) -> int:
        """Points of the full grid."""
        return math.prod(self.levels)

    def theta(self, row: Row) -> tuple[list[float], int]:
        if self.averages:
            return [row[0] / STEPS], AVERAGES[row[1]]
        return [k / STEPS for k in row], 1


def space_of(name: str, dim: int, classes: int) -> Space:
    """The space of a sampler's parameters."""
    everyone = list(range(classes))
    match name:
        case "simple":
            return Space((STEPS + 1, len(AVERAGES)), [everyone], True)
        case "medium1":
            return Space((STEPS + 1,) * dim, [everyone])
        case "medium2":
            return Space((STEPS + 1,) * dim, [[label] for label in everyone])
        case _:
            raise unknown("sampler to tune", name, ["simple", "medium1", "medium2"])


@dataclass(frozen=True)
class Ask:
    """A candidate: a row for each group (None: that group has nothing to try), and the values that
    they have to fall below to be of interest."""

    rows: list[Row | None]
    bounds: Values


Line = Generator[Ask, Values, None]
"""Candidates one after the other, each chosen by the values of those before it."""


def descent(space: Space, seed: int, start: int) -> Line:
    """Coordinate descent, every group's at the same time: start 0 from the best of the rows whose
    numbers are all alike, others from random rows. Coordinates are gone through in random orders
    until none of them has changed any row."""
    draw = torch.Generator().manual_seed(stream(seed, 31, start))
    groups = len(space.groups)
    best: list[Row] = [()] * groups
    values = [math.inf] * groups

    def line(candidates: list[Row | None]) -> Generator[Ask, Values, bool]:
        if all(row is None for row in candidates):
            return False
        found = yield Ask(candidates, list(values))
        changed = False
        for g, row in enumerate(candidates):
            if row is not None and found[g] < values[g]:
                best[g], values[g], changed = row, found[g], True
        return changed

    if start == 0:
        for k in range(max(space.levels)):
            yield from line([tuple(min(k, n - 1) for n in space.levels)] * groups)
    else:
        yield from line([tuple(int(torch.randint(n, (), generator=draw)) for n in space.levels)
                         for _ in range(groups)])  # fmt: skip
    changed = True
    while changed:
        changed = False
        for d in torch.randperm(len(space.levels), generator=draw).tolist():
            tried = [row[d] for row in best]
            for k in range(space.levels[d]):
                rows = [
                    None if k == tried[g] else (*best[g][:d], k, *best[g][d + 1 :])
                    for g in range(groups)
                ]
                changed |= yield from line(rows)


def at_random(space: Space, seed: int, start: int) -> Line:
    """One candidate, of rows drawn evenly."""
    draw = torch.Generator().manual_seed(stream(seed, 32, start))
    rows: list[Row | None] = [
        tuple(int(torch.randint(n, (), generator=draw)) for n in space.levels) for _ in space.groups
    ]
    yield Ask(rows, [math.inf] * len(rows))


def on_grid(space: Space, start: int) -> Line:
    """One candidate: the point of that number, the same row for every group."""
    point = next(itertools.islice(itertools.product(*map(range, space.levels)), start, None), None)
    if point is not None:
        yield Ask([point] * len(space.groups), [math.inf] * len(space.groups))


@dataclass
class Trials:
    """The trials of one search, kept by Optuna: in a file of the run, or where processes share.

    A trial is a step of a line, and is known by their numbers: whoever goes on with the search goes
    the same way, and finds what has been tried.

    Attributes:
        known: rows, values and scores by line and step.
    """

    study: Any
    shared: bool
    known: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    @classmethod
    def open(cls, storage: str | None, file: Path, name: str) -> Trials:
        """The search of that name: a file's unless a storage's address is given."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            if storage is None:
                from optuna.storages.journal import JournalFileBackend

                file.parent.mkdir(parents=True, exist_ok=True)
                _remove_stale(file.with_name(f"{file.name}.lock"))
                # its lock is a link to the file: a relative one would lead nowhere
                where: Any = optuna.storages.JournalStorage(JournalFileBackend(str(file.resolve())))
            else:
                where = storage
            study = optuna.create_study(storage=where, study_name=name, load_if_exists=True)
        except OSError:
            raise
        except Exception as error:  # each kind of storage raises its own
            why = " ".join(str(error).split())[:200]
            if storage is not None:
                raise InputError(f"--storage '{storage}' can't be used ({why})") from error
            raise InputError(f"{file} can't be used ({why}): remove it") from error
        trials = cls(study, storage is not None)
        if not trials.shared:
            for trial in study.get_trials(deepcopy=False):
                if not trial.state.is_finished():  # a process that was killed left it
                    study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        return trials

    def refresh(self, but: int | None = None) -> set[tuple[int, int]]:
        """Learn what has been tried; returns what others are trying.

        Args:
            but: a trial of one's own.
        """
        claimed: set[tuple[int, int]] = set()
        for trial in self.study.get_trials(deepcopy=False):
            if trial.number in self.seen or trial.number == but:
                continue
            where = tuple(trial.user_attrs.get("where", ()))
            found = trial.user_attrs.get("found")
            if trial.state.is_finished():
                self.seen.add(trial.number)
                if found is not None:
                    if not isinstance(found, dict) or found.keys() != TRIED:
                        raise InputError(
                            f"trial {trial.number} of this search is damaged: remove the run's "
                            "tuning/trials.log, or choose another --storage"
                        )
                    self.known.setdefault(where, {**found, "number": trial.number})
            elif (datetime.now() - trial.datetime_start).total_seconds() < CLAIM:
                claimed.add(where)
        return claimed

    def add(self, where: tuple[int, int], evaluate: Callable[[], dict[str, Any]]) -> None:
        """Claim a step, and try it, unless another process has claimed it at the same time."""
        import optuna

        states = optuna.trial.TrialState
        trial = self.study.ask()
        trial.set_user_attr("where", where)
        if self.shared and (where in self.refresh(but=trial.number) or where in self.known):
            self.study.tell(trial, state=states.FAIL, skip_if_finished=True)
            time.sleep(random.random() / 10)
            return
        found = evaluate()
        trial.set_user_attr("found", found)
        judged = None not in found["values"]
        self.study.tell(
            trial,
            sum(found["values"]) / len(found["values"]) if judged else None,
            state=states.COMPLETE if judged else states.PRUNED,
            skip_if_finished=True,
        )


def _remove_stale(lock: Path) -> None:
    with suppress(FileNotFoundError):
        if time.time() - lock.lstat().st_mtime > STALE:
            lock.unlink()


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        name, options: the sampler's.
        trials: candidates tried.
        value: of the objective, on the search's noise.
        classes: their names.
        cosine, accuracy: by class, of fresh noise.
        mean_cosine, mean_accuracy: over classes, with standard errors.
        judge: the classifier.
        curve: (cosine, accuracy, least accuracy of a class) of every candidate that was judged for
            all classes, means over classes, on the search's noise.
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
    curve: list[tuple[float, float, float]]

    def smallest(self, accuracy: float) -> float | None:
        """The smallest mean cosine among candidates whose mean accuracy is so high."""
        return min((c for c, a, _ in self.curve if a >= accuracy), default=None)


def reconstruction_classifier(
    model: LatentModel, images: Images, *, device: str = "auto", say: Say = api.silent,
    report: Report | None = None,
) -> Neutral:  # fmt: skip
    """The paper's classifier (its Table 3) of a model's reconstructions: trained on those of the
    training images, its accuracy is that on those of the test images."""
    rebuilt = replace(
        images,
        name=f"the reconstructions of {images.name}",
        train=Part(reconstructions(model, images.train.x), images.train.y),
        test=Part(reconstructions(model, images.test.x), images.test.y),
    )
    return neutral_classifier(rebuilt, arch="dropout-cnn", device=device, say=say, report=report)


def below_bar(judge: Neutral) -> str | None:
    """What is to be said of a classifier that is not as good as it should be."""
    if judge.accuracy.value >= BAR:
        return None
    return (
        f"the classifier's accuracy on reconstructed test images, {judge.accuracy}, is below "
        f"{BAR:g}: what it says of generated images is as uncertain"
    )


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
    device: str = "auto",
    say: Say = api.silent,
    report: Report | None = None,
) -> Tuned:
    """Search the theta (and n) of a classwise sampler for a run, and store the sampler there.

    The objective is the paper's Equation 4 (see `Objective`), of `samples` images of each class.
    The search can be stopped and gone on with by the same call: its trials are kept in the run.

    Args:
        name: "simple", "medium1" or "medium2".
        trials: candidates to try in all.
        search: "descent", "random" or "grid"; unset: the grid where it has no more points than
            there are trials, else coordinate descent.
        min_accuracy: the least accuracy of every class: the smallest cosine that has it.
        storage: an address that Optuna knows (sqlite:///FILE, postgresql://...), by which processes
            share the trials; unset: a file of the run.

    Raises:
        InputError: no labels, no images, a class without training images; no candidate has the
            least accuracy.
    """
    check_seed(seed)
    if trials < 1 or samples < 2:
        raise InputError("--trials must be at least 1, --samples at least 2")
    if min_accuracy is not None and not 0 < min_accuracy <= 1:
        raise InputError(f"--min-accuracy must be above 0 and at most 1, not {min_accuracy:g}")
    if search not in (None, "descent", "random", "grid"):
        raise unknown("search", search, ["descent", "random", "grid"])
    space_of(name, 1, 1)
    existing = Run(run)
    model = api.load(run, device=device)
    where = next(model.parameters()).device
    images = api.run_images(existing)
    if images.train.y is None or not images.is_image:
        raise InputError(f"{images.name} has no labelled images: there are no classes to generate")
    z = codes(model, images.train.x).cpu()
    plain = Simple(model.latent_dim, classes=len(images.classes)).fit(z, images.train.y)
    plain.names = images.classes
    for label in range(len(images.classes)):
        learned_label(plain, label)
    judge = reconstruction_classifier(model, images, device=device, say=say, report=report)
    if (warning := below_bar(judge)) is not None:
        say(warning)
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
        "sampler": name, "search": how, "seed": seed, "samples": samples, "least": min_accuracy,
        "model": weights_fingerprint(model), "judge": judge.identity,
    }  # fmt: skip
    held = Trials.open(storage, existing.folder / "tuning" / "trials.log",
                       f"{name}-{key(settings)}")  # fmt: skip
    lines: dict[Search, Callable[[int], Line]] = {
        "descent": partial(descent, space, seed),
        "random": partial(at_random, space, seed),
        "grid": partial(on_grid, space),
    }
    known = _search(objective(samples, 21), space, held, lines[how], trials, report)
    best = [_best(known, g) for g in range(len(space.groups))]
    value = fmean(v for v, _ in best)
    short = [group for (v, _), group in zip(best, space.groups, strict=True) if v >= SHORT]
    if min_accuracy is not None and short:
        names = ", ".join(images.classes[y] for y in short[0])
        more = "" if trials == space.size else ", or try more --trials"
        raise InputError(
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
    keep_sampler(existing, name, options, model, fitted)
    cosine, right, mean_cosine = _generated(objective(FRESH, 22), space, [row for _, row in best])
    tuned = Tuned(
        name, options, len(known), value, images.classes, cosine, right.mean(1).tolist(),
        mean_cosine, mean_figure(right.flatten()), judge, _curve(known),
    )  # fmt: skip
    stored = {**settings, **vars(tuned), "judge": list(judge.accuracy)}
    write_text(existing.folder / "tuning" / f"{name}.json", json.dumps(stored, indent=1) + "\n")
    return tuned


def _search(
    objective: Objective,
    space: Space,
    held: Trials,
    start: Callable[[int], Line],
    trials: int,
    report: Report | None,
) -> list[dict[str, Any]]:
    """Try candidates until there are so many; returns them all, in the order of their beginning."""
    places: dict[int, _Place] = {}
    while True:
        claimed = held.refresh()
        known = sorted(held.known.values(), key=lambda trial: trial["number"])
        if report is not None and known:
            values = [_best(known, g)[0] for g in range(len(space.groups))]
            report(min(len(known), trials), trials, {"objective": sum(values) / len(values)})
        if len(known) >= trials:
            return known
        for line in range(trials):  # each takes one at least
            place = places.setdefault(line, _Place(start(line)))
            while (line, place.step) in held.known:
                place.advance(held.known[line, place.step])
            if place.ask is not None and (line, place.step) not in claimed:
                held.add((line, place.step), partial(_tried, objective, space, place.ask))
                break
        else:
            time.sleep(0.2)  # others are trying what is left


class _Place:
    """How far a line has come."""

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
    """A candidate's values by group, and cosines and accuracies by label: None where unknown."""
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
    """The least value of a group, and its row; the first where several have it."""
    found = [
        (trial["values"][group], tuple(trial["rows"][group]))
        for trial in known
        if trial["values"][group] is not None
    ]
    return min(found, key=lambda pair: pair[0], default=(math.inf, ()))


def _curve(known: Sequence[dict[str, Any]]) -> list[tuple[float, float, float]]:
    """Mean cosine, mean accuracy and least accuracy of candidates that were judged everywhere."""
    return [
        (fmean(trial["cosine"]), fmean(trial["accuracy"]), min(trial["accuracy"]))
        for trial in known
        if None not in trial["values"]
    ]


def _generated(
    objective: Objective, space: Space, rows: Sequence[Row]
) -> tuple[list[float], Tensor, Figure]:
    """What rows generate from an objective's noise: the cosine of each label, whether each image is
    right (L, S), and the mean cosine."""
    cosine: dict[int, Figure] = {}
    right = torch.zeros(objective.noise.shape[:2])
    for group, row in zip(space.groups, rows, strict=True):
        theta, average = space.theta(row)
        scale = torch.tensor([theta], device=objective.noise.device)
        for label in group:
            x = objective.images(scale.expand(len(right), -1), average, label)
            cosine[label] = jackknife(_cosine, x)
            right[label] = objective.right(x, label)
    each = [cosine[label] for label in range(len(right))]
    error = math.sqrt(sum(c.error**2 for c in each)) / len(each)
    return [c.value for c in each], right, Figure(fmean(c.value for c in each), error)


def _cosine(x: Tensor) -> float:
    """The mean cosine similarity of distinct pairs of images; of equal ones 1, not a bit more."""
    return min(1.0, class_cosine(x, torch.zeros(len(x)))[0])
