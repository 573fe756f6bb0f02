"""How a plan is carried out: its stages are trained one after the other, in a run or without."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zspace.core import SILENT, Batches, LatentModel, Progress
from zspace.core.batches import Transform
from zspace.core.progress import NO_FIGURES, Staged
from zspace.data import Images
from zspace.data.given import keep
from zspace.display import pictures
from zspace.errors import InputError, shown
from zspace.functional.augmentation import Augmentation
from zspace.functional.tensors import own_random
from zspace.options import check_used, options_of
from zspace.recipes import Facts, Plan, Stage, find, plan_of
from zspace.storage.cache import fingerprint
from zspace.storage.files import check_numbers, load_state, write_tensors
from zspace.storage.run import Run
from zspace.training import fit, leave, make_fabric, settled

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LAID, LEAST, MEASURED = 200_000, 10, 3.0
"""The iterations of the plan by which a budget is measured, the least of a stage, and seconds."""

LONGEST = 366 * 24 * 3600
"""The longest budget in seconds."""

ON_DEVICE = 0.25
"""The share of an accelerator's memory up to which a training set is kept there."""


def carry_out(
    config: dict[str, Any],
    images: Images,
    out: Path | Run | None,
    overwrite: bool,
    progress: Progress,
    *,
    transform: Transform | None = None,
) -> LatentModel:
    """Train a model by a configuration, and return it in eval mode.

    Args:
        config: the configuration, with all options; what is found for unset ones is added to it.
        images: the data.
        out: the folder of a new run, a run that is to be continued, or None for neither.
        overwrite: whether a new run may take another's place.
        progress: told the iteration and the losses.
        transform: a function of a training image, if the configuration says that there is one.

    Raises:
        InputError: the data or the folder can't be used, or a loss is not finite.
    """
    fabric = make_fabric(config["device"], config["threads"])
    augmentation = Augmentation.of(config["augment"])
    _check_augmentation(augmentation, transform, images)
    messages = list(images.notes)
    config["precision"] = settled(
        config["precision"], fabric, messages.append, begun=isinstance(out, Run)
    )
    with own_random(config["seed"], fabric.device), ExitStack() as alone:
        if isinstance(out, Run) and fabric.is_global_zero:
            alone.enter_context(out.alone())
        facts = facts_of(images)
        plan = plan_of(config, facts)
        sets_aside = any(stage.reserve for stage in plan.stages)
        if sets_aside and augmentation != Augmentation() and not isinstance(out, Run):
            raise InputError(
                f"{config['recipe']} matches codes to those of images that an epoch sets aside and "
                "does not change: leave --augment out"
            )
        config |= plan.found
        if not isinstance(out, Run):  # what is found may leave a given option without an effect
            check_used(options_of(find(config["recipe"])), config)
        if isinstance(out, Path):
            _check_stays(out, plan, config["init_from"])
        done = max(out.checkpoints(), default=0) if isinstance(out, Run) else 0
        if plan.begin is not None and not done:
            plan.begin()
        model = plan.model.to(fabric.device)
        model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        if config["init_from"] is not None and not done:
            messages += _initialise(model, config["init_from"])
        left = plan.left(done)
        if isinstance(out, Run) and left[0][0]:  # a later stage prepares its data by earlier ones
            path = out.checkpoints()[done]
            load_state(model, out.weights(path, model), path)

        here = config, fabric, transform
        # before the folder is made, since it may refuse the data
        batches = _batches(left[0][1], images, *here)
        run: Run | None = None
        if isinstance(out, Path):
            if fabric.is_global_zero:
                alone.enter_context(Run.create(out, config, overwrite=overwrite))
                if config["data"] is None:
                    keep(images, out, progress)
            fabric.barrier()
        if out is not None:
            folder = out.folder if isinstance(out, Run) else out
            run = Run(folder, config=config, facts=identified(facts, images))
        follow = Staged(progress, messages, plan.iterations) if fabric.is_global_zero else SILENT
        for before, stage in left:
            if stage is not left[0][1]:
                batches = _batches(stage, images, *here)
            fit(
                stage.method,
                batches,
                stage.iterations,
                rate=stage.rate,
                stored=model,
                before=before,
                run=run,
                fabric=fabric,
                precision=config["precision"],
                progress=follow,
                log_every=config["log_every"],
                checkpoint_every=min(config["checkpoint_every"], max(1, plan.iterations // 10)),
                keep=config["keep"],
            )
            fabric.barrier()  # the next stage begins from the checkpoint that one process writes
        model.eval().requires_grad_(False)
        if run is not None and fabric.is_global_zero:
            write_tensors(run.model_file, model.state_dict(), run.header(plan.iterations))
            pictures.draw(run, model, images)
    leave(fabric)
    return model


def _batches(
    stage: Stage,
    images: Images,
    config: Mapping[str, Any],
    fabric: Fabric,
    transform: Transform | None,
) -> Batches:
    """The batches of a stage, on the device of a training."""
    data = stage.data(images)
    seen = data.x.dtype == torch.uint8  # images, and not their codes
    return Batches(
        data.x if transform is not None else _near(data.x, fabric.device),
        None if data.y is None else _near(data.y, fabric.device),
        size=stage.batch_size,
        seed=config["seed"],
        replacement=stage.replacement,
        reserve=stage.reserve,
        device=fabric.device,
        augmentation=Augmentation.of(config["augment"]) if seen and config["augment"] else None,
        transform=transform if seen else None,
        rank=fabric.global_rank,
        world=fabric.world_size,
    )


def seconds_of(budget: str) -> float:
    """The seconds in a text such as "90s", "30m", "2h" or "1h30m".

    Raises:
        InputError: it is no such time, or none at all.
    """
    found = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", budget)
    parts = [float(part or 0) for part in found.groups()] if found else [0.0]
    seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not 0 < seconds <= LONGEST:
        raise InputError(f"--budget must be a time such as 90s, 30m or 1h30m, not {shown(budget)}")
    return seconds


def affordable(
    config: Mapping[str, Any],
    images: Images,
    seconds: float,
    *,
    transform: Transform | None = None,
    progress: Progress = SILENT,
) -> int:
    """The number of iterations that a training can make in some time on this machine.

    The time of an iteration is measured (`_costs`). The time of all is that of the iterations:
    reading the data before and drawing pictures after them come on top.

    Args:
        config: the configuration, with all options; its number of iterations does not matter.
        images: the data.
        seconds: the time.
        transform: a function of a training image, if the configuration says that there is one.
        progress: told the result.

    Raises:
        InputError: the recipe has no number of iterations, several processes train, or the time is
            too short for `LEAST` iterations of each stage (the message says what is not).
    """
    fabric = make_fabric(config["device"], config["threads"])
    if fabric.world_size > 1 or "iterations" not in config:
        raise InputError("--budget is for one process, and a recipe with --iterations")
    facts = facts_of(images)
    # a plan that leaves a second stage LAID iterations, however long the first is asked to be
    laid = LAID + (config.get("first_iterations") or 0)
    with own_random(config["seed"], fabric.device):
        plans = [plan_of({**config, "iterations": n}, facts) for n in (laid, 2 * laid)]
    costs = _costs(plans[0], config, images, fabric, time.perf_counter, transform)
    # the iterations of each stage are linear in those of all: first + growth * (share of laid)
    counts = [(s.iterations, t.iterations) for s, t in zip(*(p.stages for p in plans), strict=True)]
    growth = [then - first for first, then in counts]

    def needed(iterations: float) -> float:
        """The seconds that a training of so many iterations takes."""
        more = iterations / laid - 1
        return sum(
            cost * (first + more * g)
            for cost, g, (first, _) in zip(costs, growth, counts, strict=True)
        )

    least = max(
        laid * (1 + (LEAST - first) / g) for g, (first, _) in zip(growth, counts, strict=True) if g
    )
    each = (needed(2 * laid) - needed(laid)) / laid
    iterations = int(laid + (seconds - needed(laid)) / each)
    if iterations < least:
        raise InputError(
            f"--budget: {seconds:.3g} s are too short to train anything here: expected are "
            f"{math.ceil(needed(least) + 0.5)} s or more"
        )
    progress.say(
        f"{iterations} iterations fit into {seconds:.0f} s here, at {1000 * each:.0f} ms each"
    )
    return iterations


def seconds_per_iteration(
    config: Mapping[str, Any], images: Images, clock: Callable[[], float] = time.perf_counter
) -> float:
    """The time of an iteration, the mean over all stages, measured as for `affordable`.

    Args:
        config: the configuration, with all options.
        images: the data.
        clock: the clock, such as that of the process's computing time.

    Raises:
        InputError: the options or the data can't be used.
    """
    fabric = make_fabric(config["device"], config["threads"])
    with own_random(config["seed"], fabric.device):
        plan = plan_of(config, facts_of(images))
    counts = [stage.iterations for stage in plan.stages]
    costs = _costs(plan, config, images, fabric, clock, None)
    return sum(n * cost for n, cost in zip(counts, costs, strict=True)) / sum(counts)


def _costs(
    plan: Plan,
    config: Mapping[str, Any],
    images: Images,
    fabric: Fabric,
    clock: Callable[[], float],
    transform: Transform | None,
) -> list[float]:
    """The seconds of an iteration of each stage of a plan, whose model is thrown away.

    Each stage is trained for about `MEASURED` seconds, from its middle.
    """
    config = {**config, "precision": settled(config["precision"], fabric, lambda _: None)}
    costs: list[float] = []
    with own_random(config["seed"], fabric.device):
        plan.model.to(fabric.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        for stage in plan.stages:
            laps = _Clock(clock)
            batches = _batches(stage, images, config, fabric, transform)
            if stage.iterations < 3:
                raise InputError(f"{stage.iterations} iterations can't be timed: 3 at least")
            batches.step = min(stage.iterations // 2, stage.iterations - 3)
            with suppress(StopIteration):
                fit(
                    stage.method,
                    batches,
                    stage.iterations,
                    rate=stage.rate,
                    fabric=fabric,
                    precision=config["precision"],
                    progress=laps,
                    log_every=1,
                )
            costs.append(laps.cost())
    return costs


@dataclass
class _Clock(Progress):
    """What is told of a training whose time is measured, and ends it after `MEASURED` seconds."""

    clock: Callable[[], float]
    times: list[float] = field(default_factory=list[float])

    def __call__(
        self, done: int, total: int | None = None, figures: Mapping[str, float] = NO_FIGURES
    ) -> None:
        self.times.append(self.clock())
        if len(self.times) > 4 and self.times[-1] - self.times[1] > MEASURED:
            raise StopIteration

    def cost(self) -> float:
        """The mean time of an iteration in seconds, without the first, which is slower.

        It is no median, which would leave out what a method does every few iterations, such as
        GEN's encoding of its centres, by which an iteration takes half as long again.
        """
        first, last = self.times[1], self.times[-1]
        return (last - first) / (len(self.times) - 2)


def _check_augmentation(
    augmentation: Augmentation, transform: Transform | None, images: Images
) -> None:
    """Refuse changes of images that can't be made."""
    if augmentation.transform and transform is None:
        raise InputError(
            "this training has a transform, which Python gives: zspace.train(..., transform=) and "
            "zspace.resume(RUN, transform=)"
        )
    if transform is not None and not augmentation.transform:
        raise InputError("this run was trained without a transform: leave transform out")
    if augmentation != Augmentation() and not images.is_image:
        raise InputError(f"{images.name} holds vectors: leave out --augment, which changes images")
    if augmentation.crop and augmentation.crop >= min(images.shape[1:]):
        height, width = images.shape[1:]
        raise InputError(
            f"--augment crop{augmentation.crop} shifts images of {width}x{height} pixels out of "
            "sight: take fewer pixels"
        )


def _check_stays(out: Path, plan: Plan, init_from: str | None) -> None:
    """Refuse to replace a run from which the training starts."""
    for source in (*plan.sources, *([] if init_from is None else [Path(init_from)])):
        if source.resolve() == out.resolve():
            raise InputError(f"--out {out} is the run that this one begins with: choose another")


def facts_of(images: Images) -> Facts:
    """The facts about a data set from which networks are built."""
    x = images.train.x
    bounded = images.is_image or max(float(x.max()), -float(x.min())) <= 1
    return Facts(images.shape, images.classes, bounded, len(images.train))


def identified(facts: Facts, images: Images) -> Facts:
    """The facts about a data set with the checksum of its training samples and their labels."""
    return replace(facts, checksum=fingerprint(images.train.x, images.train.y))


def _near(x: Tensor, device: torch.device) -> Tensor:
    """The training set, or what belongs to it, moved to the device if it is small enough."""
    if device.type == "cuda":
        room = torch.cuda.get_device_properties(device).total_memory
        return x.to(device) if x.nbytes <= ON_DEVICE * room else x
    return x


def _initialise(model: LatentModel, run: str) -> list[str]:
    """Load another run's weights where name, shape and type agree; returns messages about them."""
    other = Run(run)
    path = other.weights_file()
    ours = model.state_dict()
    alike = {
        k: v
        for k, v in other.weights(path, model).items()
        if k in ours and (ours[k].shape, ours[k].dtype) == (v.shape, v.dtype)
    }
    check_numbers(alike, path)
    # weights of zeros were left out of a packed model, and nothing could be learned from them
    taken = {k: v for k, v in alike.items() if v.ndim < 2 or bool(v.any())}
    if not taken:
        raise InputError(f"--init-from {run}: no weight agrees in name, shape and type")
    model.load_state_dict({**ours, **taken})
    left = [k for k in ours if k not in taken]
    said = [f"init-from {run}: {len(taken)} of {len(ours)} tensors taken"]
    return [*said, "not taken: " + ", ".join(left)] if left else said
