"""The five papers' systems and their strongest baselines, on one data set and with one budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from zspace.core import decoded
from zspace.display import plots
from zspace.display.tables import Table
from zspace.evaluation.evaluate import measure
from zspace.evaluation.measurement import (
    GENERATION,
    RECONSTRUCTION,
    Measurement,
    generated,
    measure_run,
)
from zspace.generation.tuning.search import tune
from zspace.metrics import Figure
from zspace.papers.base import Experiment, Lab, Scale
from zspace.papers.entries import Entry, over_seeds
from zspace.storage.files import write_text
from zspace.storage.run import Run


@dataclass(frozen=True)
class System:
    """A generative model to compare.

    Attributes:
        recipe: the recipe's name.
        sampler: the name of the sampler that codes are drawn from, or "prior".
        options: the recipe's options that define the system.
    """

    recipe: str
    sampler: str = "prior"
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


SYSTEMS = {
    "FlexAE": System("flexae"),
    "FlexAE-SR": System("flexae-sr"),
    "GEN": System("gen"),
    "ReGene": System("regene", "convex", {"perceptual": 0.0}),
    "categorical generation": System("vae-mlp", "medium2", {"prior_loss": "mmd"}),
    "LSR-GAN": System("lsrgan"),
    "VAE": System("vae"),
    "WAE-GAN": System("wae-gan"),
    "two-stage VAE": System("two-stage-vae"),
    "AE + mixture": System("ae", "mixture"),
    "RAE + mixture": System("rae", "mixture"),
}

COLUMNS = {
    "Frechet, generated": (GENERATION, "fid"),
    "F8 (recall)": (GENERATION, "f8"),
    "F1/8 (precision)": (GENERATION, "f1/8"),
    "accuracy": (GENERATION, "accuracy"),
    "PMS": (GENERATION, "pms"),
    "Frechet, reconstructed": (RECONSTRUCTION, "fid"),
}
"""The table's columns, each with the kind of subject and the metric it shows."""

SHOWN = 20
"""The number of samples that the picture shows of each system."""


def trained(lab: Lab, name: str, seed: int) -> Run:
    """The run of a system, trained with a seed; a sampler by class is tuned, too."""
    system = SYSTEMS[name]
    options = {**system.options, **lab.settings["systems"][name]}
    run = lab.trained(system.recipe, str(lab.data), seed=seed, **options)
    if system.sampler.startswith("medium"):
        trials = lab.settings["trials"]
        tune(
            run.folder,
            system.sampler,
            trials=trials,
            min_accuracy=lab.settings["accuracy"],
            device=lab.device,
        )
    return run


def systems(lab: Lab) -> list[Entry]:
    """Train and measure every system in the same way, and draw a picture with a row for each.

    The printed table has a line for each number; systems.md has them side by side.
    """
    entries: list[Entry] = []
    rows: list[list[str]] = []
    strips: dict[str, Tensor] = {}
    by, data, n = "", "", 0
    for name in lab.settings["systems"]:
        found: dict[str, list[Figure]] = {}
        for seed in range(lab.settings["seeds"].get(name, 1)):
            run = trained(lab, name, seed)
            held = measure_run(run.folder, n=lab.settings.get("n"), device=lab.device)
            sampler = SYSTEMS[name].sampler
            measured = measure(held, metrics=["fid", "prd", "accuracy", "pms"], samplers=[sampler])
            by, data, n = held.extractor.name, held.images.name, len(held.test)
            for row in measured["rows"]:
                for column, (kind, metric) in COLUMNS.items():
                    value = row["figures"].get(metric)
                    if row["kind"] == kind and value is not None:
                        figure = Figure(value["value"], value["error"])
                        found.setdefault(column, []).append(figure)
            if seed == 0:
                strips[name] = _strip(held, sampler)
        figures = {c: over_seeds(each) for c, each in found.items()}
        rows.append([name, *(str(figures.get(c, "")) for c in COLUMNS)])
        entries += [
            Entry(name, c, f, "pixels" if c == "PMS" else by, data, n) for c, f in figures.items()
        ]
    plots.save_strips(lab.picture("systems"), strips)
    several = [f"{name} ({k})" for name, k in lab.settings["seeds"].items()]
    notes = [
        f"{data}, features {by}, n = {n}. ± is the error of the measurement; where there were "
        f"several trainings, their deviation: {', '.join(several) or 'none'}."
    ]
    table = Table(["", *COLUMNS], rows, notes=notes)
    write_text(lab.out / "systems.md", table.markdown())
    return entries


def _strip(held: Measurement, name: str) -> Tensor:
    """Samples (SHOWN, C, H, W), from each class in turn if the sampler knows classes."""
    sampler = held.sampler(name)
    if not sampler.labels:
        return generated(held, name, SHOWN).x
    device = next(held.model.parameters()).device
    seeded = torch.Generator(device).manual_seed(held.seed)
    labels = [i % sampler.labels for i in range(SHOWN)]
    with torch.no_grad():
        z = torch.cat([sampler.sample(1, label, generator=seeded) for label in labels])
    return decoded(held.model, z)


def _fc(iterations: int, latent_dim: int = 32, **more: Any) -> dict[str, Any]:
    return {
        "iterations": iterations,
        "arch": "fc",
        "hidden": 256,
        "latent_dim": latent_dim,
        "batch_size": 128,
        "precision": "bf16",
        **more,
    }


_EQUAL: dict[str, dict[str, Any]] = {
    "FlexAE": _fc(6000),
    "FlexAE-SR": _fc(6000),
    "GEN": _fc(6000, 8),
    "ReGene": {
        "iterations": 6000,
        "classifier_iterations": 2000,
        "width": 16,
        "decoder_width": 32,
        "batch_size": 128,
        "precision": "bf16",
    },
    "categorical generation": {
        "iterations": 6000,
        "batch_size": 128,
        "hidden": 256,
        "latent_dim": 20,
        "precision": "bf16",
    },
    "LSR-GAN": {"iterations": 6000, "vae_iterations": 2000, "width": 16, "precision": "bf16"},
    "VAE": _fc(6000),
    "WAE-GAN": _fc(6000),
    "two-stage VAE": {**_fc(12_000), "first_iterations": 6000, "second_hidden": 256},
    "AE + mixture": _fc(6000),
    "RAE + mixture": _fc(6000),
}
_DEMO: dict[str, dict[str, Any]] = {
    "FlexAE": {"iterations": 1500, "batch_size": 64, "latent_dim": 16, "width": 32, "hidden": 256},
    "GEN": {"iterations": 1500, "hidden": 256, "latent_dim": 8},
    "ReGene": {
        "iterations": 1600,
        "classifier_iterations": 300,
        "width": 16,
        "decoder_width": 32,
        "batch_size": 64,
    },
    "categorical generation": {"iterations": 2000, "hidden": 256, "latent_dim": 10},
    "LSR-GAN": {"iterations": 2500, "vae_iterations": 1000, "width": 32, "latent_dim": 32},
    "VAE": {
        "iterations": 1500,
        "batch_size": 64,
        "latent_dim": 16,
        "width": 32,
        "hidden": 256,
        "likelihood": "bernoulli",
    },
}
_PAPER: dict[str, dict[str, Any]] = {
    "FlexAE": {},
    "FlexAE-SR": {},
    "GEN": {"iterations": 100_000},
    "ReGene": {"iterations": None},
    "categorical generation": {"iterations": 100_000},
    "LSR-GAN": {"iterations": None},
    **{
        name: {"iterations": 130_000}
        for name in ("VAE", "WAE-GAN", "AE + mixture", "RAE + mixture")
    },
    "two-stage VAE": {"iterations": 260_000, "first_iterations": 130_000},
}
_ONCE = ("ReGene", "categorical generation", "LSR-GAN")
_THRICE = {name: 3 for name in _EQUAL if name not in _ONCE}
"""The number of trainings at scale small, of the systems that have several."""

_TOY: dict[str, dict[str, Any]] = {
    "FlexAE": _fc(20, 3, train_size=300),
    "categorical generation": {"iterations": 20, "hidden": 16, "latent_dim": 3, "train_size": 300},
    "AE + mixture": _fc(20, 3, train_size=300),
}

EXPERIMENTS = (
    Experiment(
        "all/systems",
        "The five systems and their strongest baselines on one data set, with a row of samples of "
        "each.",
        {
            "smoke": Scale(
                {"systems": _TOY, "seeds": {}, "trials": 4, "accuracy": None, "n": 100},
                "three systems, 20 iterations, 300 images",
                "a minute",
            ),
            "demo": Scale(
                {"systems": _DEMO, "seeds": {}, "trials": 60, "accuracy": 0.95},
                "made for the digits: a minute of training at most for each system",
                "8 minutes on 2 cores",
            ),
            "small": Scale(
                {"systems": _EQUAL, "seeds": _THRICE, "trials": 60, "accuracy": 0.99},
                "6,000 iterations of each (the two-stage VAE: in each stage), fully "
                "connected networks of 256 units; ReGene and LSR-GAN: convolutions of "
                "16 channels; one training of ReGene, categorical generation and LSR-GAN; bfloat16",
                "3 hours on a core",
            ),
            "paper": Scale(
                {
                    "systems": _PAPER,
                    "seeds": dict.fromkeys(_PAPER, 3),
                    "trials": 1000,
                    "accuracy": 0.995,
                },
                "",
                "about 150 hours on a GPU, by the papers' own figures, not measured",
            ),
        },
        systems,
        ("mnist", "fashion-mnist", "digits"),
        "the data set's files",
    ),
)
