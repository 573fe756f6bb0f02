"""The trained systems that FlexAE's experiments on images share, and measurements of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zspace import api
from zspace.evaluation.evaluate import measure
from zspace.evaluation.measurement import GENERATION, RECONSTRUCTION, Measurement, measure_run
from zspace.functional import as_float
from zspace.metrics import Figure
from zspace.papers.base import Lab, known_to
from zspace.papers.entries import Entry, over_seeds
from zspace.storage.run import Run

DATA = ("mnist", "fashion-mnist", "cifar10", "celeba")
"""The data sets, in the order of the published tables' columns."""
SYSTEMS = {
    "VAE": ("vae", "prior"),
    "VAE+Flow": ("vae-flow", "prior"),
    "VAE-VampPrior": ("vampprior", "prior"),
    "VAE-IOP": ("vae-iop", "prior"),
    "VQ-VAE": ("vq-vae", "prior"),
    "WAE-GAN": ("wae-gan", "prior"),
    "2-Stage VAE": ("two-stage-vae", "prior"),
    "AE+GMM": ("ae", "mixture"),
    "RAE+GMM": ("rae", "mixture"),
    "MaskAAE": ("mask-aae", "prior"),
    "Pioneer": ("pioneer", "prior"),
    "ALAE": ("alae", "prior"),
    "FlexAE": ("flexae", "prior"),
    "FlexAE-SR": ("flexae-sr", "prior"),
}
"""The systems in the rows of Table 1, each with its recipe and the sampler of its codes."""
ATTRIBUTES = ("Big_Nose", "Heavy_Makeup", "Black_Hair", "Smiling", "Male")
"""The attributes of Figures 11 to 15, in their order; Figure 5c shows all."""


def trained(lab: Lab, system: str, *, seed: int = 0, **more: Any) -> Run:
    """The run of a system, with those of an experiment's settings that its recipe has options for.

    Args:
        lab: the experiment's surroundings.
        system: a key of `SYSTEMS`.
        seed: the seed of the training.
        more: further options.
    """
    recipe = SYSTEMS[system][0]
    settings = known_to(recipe, lab.settings["options"])
    if lab.data in ("cifar10", "celeba"):
        settings |= lab.settings["colour"]
    settings |= lab.settings["own"].get(recipe, {})
    return lab.trained(recipe, str(lab.data), seed=seed, **{**settings, **more})


def figures(
    lab: Lab, run: Run, system: str, metrics: Sequence[str], checkpoint: str | int = "last"
) -> tuple[dict[str, dict[str, Figure]], Measurement]:
    """The figures of a run's reconstructed and generated images and of its codes.

    Args:
        lab: the experiment's surroundings.
        run: the run.
        system: a key of `SYSTEMS`, which says how codes are drawn.
        metrics: the names of the metrics.
        checkpoint: the iteration of a checkpoint, or "last".

    Returns the figures by kind of subject and by metric, and the measurement.
    """
    held = measure_run(
        run.folder,
        features=lab.settings["features"],
        n=lab.settings.get("n"),
        checkpoint=checkpoint,
        device=lab.device,
    )
    measured = measure(held, metrics=metrics, samplers=[SYSTEMS[system][1]])
    lab.more.setdefault("notes", []).extend(measured["notes"])
    found: dict[str, dict[str, Figure]] = {}
    for row in measured["rows"]:
        values = {k: Figure(f["value"], f["error"]) for k, f in row["figures"].items()}
        found[row["kind"]] = values
    return found, held


def column_of(lab: Lab) -> int | None:
    """The column of the experiment's data set in the published tables; None if it has none."""
    return DATA.index(str(lab.data)) if lab.data in DATA else None


def source_of(lab: Lab, held: Measurement, seeds: int) -> dict[str, Any]:
    """The fields of an `Entry` that say where its figures come from."""
    lab.more["notes"] = list(
        dict.fromkeys(
            [
                "± is the deviation over trainings; of one training, the error of the measurement.",
                *lab.more.get("notes", []),
            ]
        )
    )
    plural = "s" if seeds > 1 else ""
    return {
        "by": held.extractor.name,
        "n": len(held.test),
        "data": f"{held.images.name} test, {seeds} training{plural}",
    }


def as_published(value: float | None) -> dict[str, Any]:
    """The fields of an `Entry` for a published value, which FlexAE measures by Inception."""
    return {"published": value, "published_by": "inception", "published_data": "the test images"}


def frechet(
    lab: Lab, system: str, seeds: int, **more: Any
) -> tuple[dict[str, Figure], dict[str, Any]]:
    """The Frechet distances of a system's reconstructed and generated images.

    They are those of the finished model and, if the settings have `best_from`, also the least over
    checkpoints from that iteration on, each distance for itself, as the authors report it.

    Args:
        lab: the experiment's surroundings.
        system: a key of `SYSTEMS`.
        seeds: the number of trainings.
        more: further options of the recipe.

    Returns the distances by name, and the fields of an `Entry` that say where they come from.
    """
    found: dict[str, list[Figure]] = {}
    kinds = {RECONSTRUCTION: "reconstructed", GENERATION: "generated"}
    about: dict[str, Any] = {}
    for seed in range(seeds):
        first = lab.settings.get("best_from")
        keep = {} if first is None else {"checkpoint_every": 1000, "keep": 0}
        run = trained(lab, system, seed=seed, **more, **keep)
        values, held = figures(lab, run, system, ["fid"])
        about = source_of(lab, held, seeds)
        for kind, name in kinds.items():
            found.setdefault(f"Frechet distance, {name}", []).append(values[kind]["fid"])
        if first is None:
            continue
        best: dict[str, Figure] = {}
        # only the last stage's checkpoints: those of a first stage can't generate yet
        start = first + run.config.get("first_iterations", 0)
        for iteration in run.checkpoints():
            if iteration >= start:
                values, _ = figures(lab, run, system, ["fid"], iteration)
                for kind in kinds:
                    now = values[kind]["fid"]
                    best[kind] = min(best.get(kind, now), now, key=lambda f: f.value)
        for kind, name in kinds.items():
            what = f"Frechet distance, {name}, the best checkpoint"
            found.setdefault(what, []).append(best[kind])
    return {what: over_seeds(each) for what, each in found.items()}, about


def seeded(model: torch.nn.Module) -> torch.Generator:
    """A random generator with seed 0 on the model's device."""
    return torch.Generator(next(model.parameters()).device).manual_seed(0)


def shown(lab: Lab, n: int) -> tuple[Run, Tensor, Any]:
    """The run of FlexAE-SR, the first n test images, and the model."""
    run = trained(lab, "FlexAE-SR")
    model = api.load(run.folder, device=lab.device)
    images = api.run_images(run)
    device = next(model.parameters()).device
    return run, as_float(images.test.x[:n].to(device)), model


def error(lab: Lab, run: Run) -> list[Entry]:
    """The entry with the reconstruction error of the FlexAE-SR that a figure shows."""
    values, held = figures(lab, run, "FlexAE-SR", ["mse"])
    return [
        Entry(
            "FlexAE-SR",
            "mean squared error, reconstructed",
            values[RECONSTRUCTION]["mse"],
            "pixels",
            held.images.name,
            len(held.test),
        )
    ]
