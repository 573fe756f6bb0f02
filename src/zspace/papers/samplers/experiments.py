"""The definitions of the comparisons of samplers, at their three scales."""

from __future__ import annotations

from typing import Any

from zspace.papers.base import Experiment, Scale
from zspace.papers.samplers.cells import KINDS, TUNED
from zspace.papers.samplers.densities import densities
from zspace.papers.samplers.tables import conditional, samplers, steps

_FC: dict[str, Any] = {"arch": "fc", "hidden": 256, "batch_size": 128, "precision": "bf16"}
_AE: dict[str, Any] = {
    "recipe": "ae",
    "iterations": 20_000,
    "learning_rate": 5e-4,
    "latent_dim": 20,
    **_FC,
    "hidden": 512,
    "batch_size": 256,
}
_DECODERS: dict[str, dict[str, Any]] = {
    "AE": _AE,
    "FlexAE-SR": {"recipe": "flexae-sr", "iterations": 6000, "latent_dim": 20, **_FC},
    "GEN": {"recipe": "gen", "iterations": 6000, "latent_dim": 8, **_FC},
}
_REGENE: dict[str, Any] = {
    "recipe": "regene",
    "iterations": 6000,
    "classifier_iterations": 2000,
    "width": 16,
    "decoder_width": 32,
    "batch_size": 128,
    "precision": "bf16",
    "perceptual": 0.0,
}
_TOY: dict[str, Any] = {
    "iterations": 10,
    "arch": "fc",
    "hidden": 16,
    "latent_dim": 3,
    "batch_size": 16,
}
_SMALLEST: dict[str, Any] = {"iterations": 10, "batch_size": 64}
_COMPARED = [name for name in KINDS if name not in ("pushforward", "convex combinations")]
EXPERIMENTS = (
    Experiment(
        "all/samplers",
        "Every sampler on the same decoders: fitting, drawing, Frechet distance, PRD, memorisation "
        "and the density of held-out codes.",
        {
            "smoke": Scale(
                {
                    "decoders": {
                        "AE": {"recipe": "ae", **_TOY},
                        "FlexAE-SR": {"recipe": "flexae-sr", "width": 4, **_TOY, "arch": "conv"},
                    },
                    "seeds": {"AE": 2, "FlexAE-SR": 1},
                    "samplers": [*_COMPARED, "pushforward"],
                    "n": 100,
                    "precision": "32",
                    "densities": 20,
                    "options": {
                        "mixture, 100": {"components": 12},
                        **dict.fromkeys(
                            ("two-stage", "spline flow", "pushforward", "flow matching"), _SMALLEST
                        ),
                    },
                },
                "ten iterations of everything, 100 samples",
                "a minute",
            ),
            "small": Scale(
                {
                    "decoders": _DECODERS,
                    "seeds": {"AE": 3, "FlexAE-SR": 3, "GEN": 3},
                    "samplers": _COMPARED,
                    "precision": "bf16",
                    "densities": 1000,
                    "options": {"two-stage": {"hidden": 256}, "spline flow": {"iterations": 3000}},
                },
                "one training of each decoder: fully connected networks of 512 units (AE, 20,000 "
                "iterations) and 256 (FlexAE-SR, GEN, 6,000 iterations); three fits of each "
                "sampler; bfloat16; densities of 1,000 test codes",
                "2 hours on a core",
            ),
            "paper": Scale(
                {
                    "decoders": {
                        "AE": {"recipe": "ae", "iterations": 130_000, "latent_dim": 20},
                        "FlexAE-SR": {"recipe": "flexae-sr", "latent_dim": 20},
                        "GEN": {"recipe": "gen", "iterations": 100_000, "latent_dim": 8},
                    },
                    "seeds": {"AE": 3, "FlexAE-SR": 3, "GEN": 3},
                    "samplers": [*_COMPARED, "pushforward"],
                    "precision": "32",
                    "densities": 10_000,
                    "options": {"flow matching": {"iterations": 50_000, "width": 512}},
                },
                "one training of each decoder at its recipe's defaults: 130,000 iterations of AE "
                "and FlexAE-SR, 100,000 of GEN, codes of 20 dimensions, of 8 for GEN; three fits "
                "of each sampler, flow matching with 50,000 iterations and 512 units; densities of "
                "10,000 test codes",
                "about 12 hours on a GPU, not measured",
            ),
        },
        samplers,
        ("mnist", "fashion-mnist", "digits"),
        "the data set's files",
    ),
    Experiment(
        "all/colour-samplers",
        "Every sampler on the same two decoders of colour images: the zoo's, whose codes are maps, "
        "and FlexAE-SR's, whose codes are flat.",
        {
            "smoke": Scale(
                {
                    "decoders": {
                        "FlexAE-SR": {
                            "recipe": "flexae-sr",
                            **_TOY,
                            "arch": "conv",
                            "width": 4,
                            "image_size": 16,
                            "train_size": 80,
                        }
                    },
                    "seeds": {"FlexAE-SR": 2},
                    "samplers": ["normal", "convex combinations", TUNED],
                    "tuning": {"trials": 2, "samples": 10},
                    "n": 40,
                    "features": "pixels",
                    "precision": "32",
                    "densities": 20,
                    "options": {},
                },
                "FlexAE-SR alone, ten iterations with 80 images of 16 pixels; three samplers, 40 "
                "samples",
                "a minute",
            ),
            "small": Scale(
                {
                    "decoders": {
                        "latent-flow": {"zoo": {"celeba": "faces", "cifar10": "cifar"}},
                        "FlexAE-SR": {
                            "recipe": "flexae-sr",
                            "image_size": 32,
                            "iterations": 600,
                            "latent_dim": 64,
                            "width": 32,
                            "hidden": 512,
                            "generator_rate": 1e-3,
                            "batch_size": 64,
                            "precision": "bf16",
                        },
                    },
                    "seeds": {"latent-flow": 3, "FlexAE-SR": 3},
                    "samplers": [*_COMPARED, "convex combinations", TUNED],
                    "tuning": {"trials": 60, "samples": 50},
                    "n": 2000,
                    "precision": "bf16",
                    "densities": 200,
                    "options": {"two-stage": {"hidden": 256}, "spline flow": {"iterations": 3000}},
                },
                "32 pixels; the zoo's model as it is, and 20 minutes of FlexAE-SR on a core; three "
                "fits of each sampler, 60 trials for Medium2; flow matching takes maps for "
                "vectors, since of maps it is the own prior of latent-flow; 2,000 test images; "
                "densities of 200 test codes",
                "3 hours on a core",
            ),
        },
        samplers,
        ("celeba", "cifar10"),
        "the data set's files",
    ),
    Experiment(
        "all/conditional",
        "Codes of a class by flow matching, Medium2 and convex combinations, on an autoencoder's "
        "codes and on ReGene's.",
        {
            "smoke": Scale(
                {
                    "decoders": {
                        "AE": {"recipe": "ae", **_TOY},
                        "ReGene": {
                            "recipe": "ae",
                            "arch": "regene",
                            "iterations": 10,
                            "width": 4,
                            "decoder_width": 4,
                            "batch_size": 16,
                        },
                    },
                    "options": _SMALLEST,
                    "trials": 2,
                    "samples": 10,
                    "accuracy": None,
                    "precision": "32",
                    "n": 200,
                },
                "ten iterations of everything, 200 samples; in place of ReGene an autoencoder of "
                "its networks, which has no judges",
                "a minute",
            ),
            "small": Scale(
                {
                    "decoders": {"AE": _AE, "ReGene": _REGENE},
                    "options": {},
                    "trials": 60,
                    "samples": 200,
                    "accuracy": 0.99,
                    "precision": "bf16",
                },
                "one training of each, as in all/samplers and all/systems; 60 trials for Medium2",
                "half an hour on 2 cores",
            ),
        },
        conditional,
        ("mnist", "fashion-mnist", "digits"),
        "the data set's files",
    ),
    Experiment(
        "all/steps",
        "Flow matching's Frechet distance and time by the steps of Heun's method.",
        {
            "smoke": Scale(
                {
                    "decoders": {"AE": {"recipe": "ae", **_TOY}},
                    "options": _SMALLEST,
                    "n": 100,
                    "steps": (1, 2),
                    "times": 1,
                    "precision": "32",
                },
                "ten iterations of everything, 100 samples",
                "a minute",
            ),
            "small": Scale(
                {
                    "decoders": {"AE": _AE},
                    "options": {},
                    "times": 3,
                    "steps": (1, 2, 4, 6, 8, 12, 16, 32),
                    "precision": "bf16",
                },
                "as in all/conditional",
                "10 minutes on 2 cores",
            ),
        },
        steps,
        ("mnist", "fashion-mnist", "digits"),
        "the data set's files",
    ),
    Experiment(
        "all/densities",
        "Flow matching's log p(z) against known mixtures, and novelty scores by it.",
        {
            "smoke": Scale(
                {
                    "codes": 300,
                    "grid": 21,
                    "toy": {**_SMALLEST, "width": 16},
                    "novelty": {"VAE": {"recipe": "vae", **_TOY}},
                    "options": _SMALLEST,
                },
                "ten iterations of everything",
                "a minute",
            ),
            "small": Scale(
                {
                    "codes": 50_000,
                    "grid": 321,
                    "toy": {"iterations": 5000, "width": 128},
                    "novelty": {
                        "VAE": {"recipe": "vae", "iterations": 3000, "latent_dim": 10, **_FC},
                        "GEN": {"recipe": "gen", "iterations": 3000, "latent_dim": 8, **_FC},
                    },
                    "options": {"iterations": 4000, "width": 128},
                },
                "3,000 iterations of each model",
                "half an hour on 2 cores",
            ),
        },
        densities,
        ("mnist", "fashion-mnist", "digits"),
        "the data set's files",
    ),
)
