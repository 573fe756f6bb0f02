"""How a comparison chooses its systems' settings, so that it compares systems and not settings.

A protocol (see `zspace.papers.base.PROTOCOLS`) is the defaults of the recipes, or the best point of
a small grid on validation data, at equal iterations or at equal time. Test data choose nothing.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any, NotRequired

from typing_extensions import TypedDict

from zspace import api
from zspace.errors import InputError, ModelError
from zspace.evaluation.evaluate import measure
from zspace.evaluation.measurement import GENERATION, RECONSTRUCTION
from zspace.papers.lab import Lab, check_fit
from zspace.storage.files import Plain, read_json, write_text
from zspace.storage.run import Run
from zspace.training import find_device

Point = Mapping[str, Any]
ITERATIONS = ("iterations", "first_iterations", "vae_iterations", "classifier_iterations")
"""The options that say how long the stages of a system are trained."""
LAID = 100_000
"""The iterations of the plan by which an iteration is timed."""


@dataclass(frozen=True)
class System:
    """A generative model to compare.

    Attributes:
        recipe: the recipe's name.
        sampler: the name of the sampler that codes are drawn from, or "prior".
        options: the recipe's options that define the system.
        grid: the settings among which a tuned comparison chooses.
    """

    recipe: str
    sampler: str = "prior"
    options: Point = field(default_factory=dict[str, Any])
    grid: Sequence[Point] = ({},)


class Tried(TypedDict):
    """A point of a grid, with its distances or the reason why it could not be measured."""

    point: dict[str, Plain]
    failed: NotRequired[str]
    reconstructed: NotRequired[float]
    generated: NotRequired[float]


Kept = TypedDict(
    "Kept",
    {
        "tried": NotRequired[list[Tried]],
        "chosen": NotRequired[dict[str, Plain]],
        "device": NotRequired[str],
        "seconds per iteration": NotRequired[float],
    },
)
"""What protocol.json keeps of a system."""


def grid(**values: Sequence[Any]) -> tuple[Point, ...]:
    """All combinations of the values of some options."""
    return tuple(dict(zip(values, point, strict=True)) for point in product(*values.values()))


RATES = (2e-4, 1e-3)
"""The learning rates of a tuned comparison."""
RATE = grid(learning_rate=RATES)
LIKELIHOOD = grid(learning_rate=RATES, likelihood=("squared-error", "bernoulli"))
FLEXAE = grid(ae_rate=RATES, generator_rate=(1e-4, 1e-3))
"""FlexAE's grid is that of the autoencoder's rate and the generator's."""


def settled(
    lab: Lab,
    name: str,
    system: System,
    options: Point,
    prepare: Callable[[Run], object] = lambda _: None,
) -> dict[str, Any]:
    """The options of a system under the experiment's protocol.

    What was tried and chosen is kept in protocol.json, so that a run that is resumed chooses and
    times nothing anew, and is stored with the results.

    Args:
        lab: the experiment's surroundings.
        name: the system's name.
        system: the system.
        options: the options that it has under every protocol, its iterations among them.
        prepare: called with a trained run before its samplers are measured.
    """
    if lab.protocol in ("", "defaults"):
        return dict(options)
    path = lab.out / "protocol.json"
    kept = read_json(path, dict[str, Kept]) if path.exists() else {}
    own = kept.setdefault(name, {})
    if lab.protocol == "budget":
        seconds = timed(lab, own, partial(seconds_per_iteration, lab, system, options, options))
        write_text(path, json.dumps(kept, indent=1) + "\n")
        lab.more.setdefault("protocol of each system", {})[name] = own
        return {**options, **lasting(options, lab.settings["seconds"] / seconds)}
    if "chosen" not in own:
        own["tried"] = [
            tried(lab, system, {**options, **point}, point, prepare) for point in system.grid
        ]
        own["chosen"] = best(name, own["tried"])
        write_text(path, json.dumps(kept, indent=1) + "\n")
    chosen = {**options, **own["chosen"]}
    if lab.protocol == "equal-time":
        # the finished training knows the iterations of its stages that options leave open
        config = lab.trained(system.recipe, str(lab.data), seed=0, **chosen).config
        seconds = timed(lab, own, partial(seconds_per_iteration, lab, system, chosen, config))
        write_text(path, json.dumps(kept, indent=1) + "\n")
        chosen |= lasting(config, lab.settings["seconds"] / seconds)
    lab.more.setdefault("protocol of each system", {})[name] = own
    return chosen


def tried(
    lab: Lab, system: System, options: Point, point: Point, prepare: Callable[[Run], object]
) -> Tried:
    """A point of the grid with its Frechet distances from the validation images, of one training.

    A point whose training diverged has the reason instead, and one from which nothing can be drawn
    beside the distance of its reconstructions.
    """
    found: Tried = {"point": dict(point)}
    try:
        run = lab.trained(system.recipe, str(lab.data), seed=0, **options)
    except ModelError as error:
        return {**found, "failed": str(error)}
    check_fit(run, system.sampler)
    held = lab.measured(run, lab.settings.get("features"), part="validation")

    def distances(samplers: list[str]) -> dict[str, float]:
        rows = measure(held, metrics=["fid"], samplers=samplers)["rows"]
        return {row["kind"]: row["figures"]["fid"]["value"] for row in rows}

    try:
        prepare(run)
        drawn = distances([system.sampler])
        found["reconstructed"], found["generated"] = drawn[RECONSTRUCTION], drawn[GENERATION]
    except ModelError as error:
        found["failed"] = str(error)
        with suppress(ModelError):
            found["reconstructed"] = distances([])[RECONSTRUCTION]
    return found


def best(name: str, each: Sequence[Tried]) -> dict[str, Plain]:
    """The point whose reconstructed and generated images have the least sum of distances.

    Where nothing can be drawn at any point, it is the one with the least distance of its
    reconstructions.

    Raises:
        ModelError: no point could be measured.
    """
    measured = [t for t in each if "reconstructed" in t]
    if not measured:
        why = each[0].get("failed")
        raise ModelError(f"{name} could be measured with none of its settings: {why}")

    def total(point: Tried) -> tuple[bool, float]:
        drawn = point.get("generated")
        return drawn is None, point.get("reconstructed", math.inf) + (drawn or 0)

    return min(measured, key=total)["point"]


def timed(lab: Lab, own: Kept, measure: Callable[[], float]) -> float:
    """The seconds of an iteration that protocol.json keeps, measured unless it has them.

    Raises:
        InputError: they were measured on another kind of device, with which no time is equal.
    """
    device = find_device(lab.device).type
    if own.setdefault("device", device) != device:
        raise InputError(
            f"{lab.out} has times of {own.get('device')}, and this call computes on {device}: "
            f"take --device {own.get('device')}, or choose another --out"
        )
    if "seconds per iteration" not in own:
        own["seconds per iteration"] = measure()
    return own["seconds per iteration"]


def lasting(config: Point, iterations: float) -> dict[str, Any]:
    """The options of `ITERATIONS`, scaled in proportion so that the total is a given number."""
    factor = iterations / config["iterations"]
    return {n: max(1, round(factor * config[n])) for n in ITERATIONS if config.get(n)}


def seconds_per_iteration(lab: Lab, system: System, options: Point, config: Point) -> float:
    """The time of an iteration, of all stages in their proportion.

    On the CPU it is the process's computing time with one thread, which other processes on the
    machine hardly change; on a GPU it is the time that passes.
    """
    on_cpu = find_device(lab.device).type == "cpu"
    return api.time_of_iteration(
        system.recipe,
        str(lab.data),
        time.process_time if on_cpu else time.perf_counter,
        device=lab.device,
        data_dir=lab.data_dir,
        **{**options, "threads": 1, **lasting(config, LAID)},
    )
