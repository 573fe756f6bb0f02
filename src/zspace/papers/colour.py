"""What makes the best images in colour: systems at equal time, on CIFAR-10 or on faces.

No paper has this table: it is how the recipe `latent-flow` came to be as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zspace.evaluation.measurement import GENERATION, RECONSTRUCTION
from zspace.papers.base import Experiment, Scale
from zspace.papers.entries import Entry
from zspace.papers.lab import Lab
from zspace.papers.protocol import System
from zspace.papers.samplers.cells import told_by
from zspace.papers.systems import Columns, side_by_side

_PLAIN: Mapping[str, Any] = {"width": 32, "hidden": 512, "latent_dim": 64}
_FLOW: Mapping[str, Any] = {"first_iterations": 10_000, "iterations": 50_000, "mirror": True}

SYSTEMS = {
    "FlexAE-SR": System(
        "flexae-sr", options={**_PLAIN, "iterations": 10_000, "generator_rate": 1e-3}
    ),
    "LSR-GAN": System(
        "lsrgan", options={"width": 32, "vae_iterations": 10_000, "iterations": 30_000}
    ),
    "RAE + mixture": System("rae", "mixture", {**_PLAIN, "iterations": 10_000}),
    "AE + flow matching": System(
        "ae", "flow-matching", {**_PLAIN, "iterations": 10_000, "learning_rate": 1e-3}
    ),
    "ReGene": System(
        "regene",
        "convex",
        {
            "perceptual": 0.0,
            "blocks": 3,  # the latent has the paper's 2,048 numbers
            "width": 32,
            "decoder_width": 64,
            "batch_size": 64,
            "classifier_iterations": 10_000,
            "iterations": 40_000,
        },
    ),
    "latent-flow": System("latent-flow", options=_FLOW),
    "latent-flow, pixels alone": System(
        "latent-flow", options={**_FLOW, "adversarial": 0.0, "perceptual": 0.0}
    ),
    "latent-flow, 16 channels": System("latent-flow", options={**_FLOW, "width": 16}),
    "latent-flow, 2 by 2": System(
        "latent-flow", options={**_FLOW, "factor": 16, "code_channels": 64}
    ),
}
"""The compared systems, whose iterations are scaled to the time of all.

That of 16 channels in place of 32 has a third of the work in each iteration of its autoencoder. The
last has codes that are nearly flat: as many numbers as the others' maps, on 2 by 2 places.
"""

COLUMNS: Columns = {
    "Frechet, generated": (GENERATION, "fid"),
    "Frechet, reconstructed": (RECONSTRUCTION, "fid"),
    "F8 (recall)": (GENERATION, "f8"),
    "F1/8 (precision)": (GENERATION, "f1/8"),
    "sharpness": (GENERATION, "sharpness"),
    "PMS": (GENERATION, "pms"),
}


def colour(lab: Lab) -> list[Entry]:
    """Train and measure every system in the same time, and draw a picture with a row for each."""
    shared = {**lab.settings["options"], **told_by(lab)}
    names = lab.settings["systems"]
    own = {name: (SYSTEMS[name], {**SYSTEMS[name].options, **shared}) for name in names}
    return side_by_side(lab, "colour", own, COLUMNS)


_SHARED: Mapping[str, Any] = {"image_size": 32, "batch_size": 64, "precision": "bf16"}

EXPERIMENTS = (
    Experiment(
        "all/colour",
        "Systems in colour at equal time, with and without what makes latent-flow, and a row of "
        "samples of each.",
        {
            "smoke": Scale(
                {
                    "systems": ("RAE + mixture", "latent-flow"),
                    "options": {"image_size": 16, "width": 4, "train_size": 80, "batch_size": 16},
                    "seeds": 1,
                    "n": 20,
                    "features": "pixels",
                    "seconds": 1,
                },
                "two systems, a second of training, 80 images of 16 pixels",
                "a minute",
                protocols=("budget",),
            ),
            "small": Scale(
                {
                    "systems": tuple(SYSTEMS),
                    "options": _SHARED,
                    "seeds": 1,
                    "n": None,
                    "features": "classifier",
                    "seconds": 1200,
                },
                "32 pixels, as many iterations of each system as 20 minutes of a core allow",
                "4 hours on a core",
                protocols=("budget",),
            ),
        },
        colour,
        ("celeba", "cifar10"),
        "the data set's files",
    ),
)
