"""What FlexAE's experiments on images share: trained systems, and figures of them."""

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
from zspace.papers.base import Entry, Lab, known_to, over_seeds
from zspace.storage.run import Run

DATA = ("mnist", "fashion-mnist", "cifar10", "celeba")
"""In the order of the published tables' columns."""
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
"""The rows of Table 1: recipe, and what codes are drawn from."""
ATTRIBUTES = ("Big_Nose", "Heavy_Makeup", "Black_Hair", "Smiling", "Male")
"""Of Figures 11 to 15, in their order; 5c shows all."""


def trained(lab: Lab, system: str, *, seed: int = 0, **more: Any) -> Run:
    """The run of a system with an experiment's settings, as far as its recipe knows them."""
    recipe = SYSTEMS[system][0]
    settings = known_to(recipe, lab.settings["options"])
    if lab.data in ("cifar10", "celeba"):
        settings |= lab.settings["colour"]
    settings |= lab.settings["own"].get(recipe, {})
    return lab.trained(recipe, str(lab.data), seed=seed, **{**settings, **more})


def figures(
    lab: Lab, run: Run, system: str, metrics: Sequence[str], checkpoint: str | int = "last"
) -> tuple[dict[str, dict[str, Figure]], Measurement]:
    """What a run's reconstructions, generations and codes come to: kind, metric, figure."""
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
    return DATA.index(str(lab.data)) if lab.data in DATA else None


def source_of(lab: Lab, held: Measurement, seeds: int) -> dict[str, Any]:
    """What an entry says of where its figures come from."""
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
    return {"published": value, "published_by": "inception", "published_data": "the test images"}


def frechet(
    lab: Lab, system: str, seeds: int, **more: Any
) -> tuple[dict[str, Figure], dict[str, Any]]:
    """Frechet distances of reconstructions and generations, of the last checkpoint and, where the
    settings ask for it, the least over checkpoints, each by itself, as the authors have it."""
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
        # of the last stage: a first one's checkpoints generate nothing yet
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
    return torch.Generator(next(model.parameters()).device).manual_seed(0)


def shown(lab: Lab, n: int) -> tuple[Run, Tensor, Any]:
    """FlexAE-SR's run, n test images, and the model."""
    run = trained(lab, "FlexAE-SR")
    model = api.load(run.folder, device=lab.device)
    images = api.run_images(run)
    device = next(model.parameters()).device
    return run, as_float(images.test.x[:n].to(device)), model


def error(lab: Lab, run: Run) -> list[Entry]:
    """The reconstruction error of the model that a figure is drawn from."""
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
