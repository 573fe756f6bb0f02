"""The definitions of FlexAE's experiments on images, at their three scales."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zspace.papers.base import Experiment, Scale
from zspace.papers.entries import Entry
from zspace.papers.flexae.pictures import (
    attribute_grid,
    fig4,
    fig5,
    interpolations,
    nearest,
    samples,
)
from zspace.papers.flexae.tables import table1, table2, table3, table4
from zspace.papers.flexae.trained import ATTRIBUTES, DATA, SYSTEMS
from zspace.papers.lab import Lab

_SMOKE: dict[str, Any] = {
    "options": {
        "iterations": 20,
        "arch": "fc",
        "hidden": 16,
        "latent_dim": 3,
        "batch_size": 16,
        "train_size": 300,
    },
    "colour": {"image_size": 16},
    "own": {
        "two-stage-vae": {"second_hidden": 16},
        "vampprior": {"pseudo_inputs": 10},
        "vq-vae": {"width": 8, "embedding": 2, "codebook": 16, "prior_width": 8},
    },
    "features": "pixels",
    "n": 100,
    "seconds": 0.1,
}
_SMALL: dict[str, Any] = {
    "options": {
        "iterations": 6000,
        "arch": "fc",
        "hidden": 256,
        "latent_dim": 32,
        "batch_size": 128,
        "precision": "bf16",
    },
    "colour": {
        "iterations": 2000,
        "arch": "conv",
        "image_size": 32,
        "width": 16,
        "latent_dim": 64,
        "batch_size": 64,
    },
    "own": {
        "two-stage-vae": {"second_hidden": 256},
        "vq-vae": {"width": 32, "embedding": 8, "codebook": 128, "prior_width": 32},
    },
    "features": "classifier",
    "seconds": 120,
}
_PAPER: dict[str, Any] = {
    "options": {"iterations": 130_000, "batch_size": 128, "validation": 0.0},
    "colour": {},
    "own": {},
    "features": "inception",
    "best_from": 80_000,
}
_TOY = "300 images, fully connected networks of 16 units, 20 iterations"
_LESS = (
    "fully connected networks of 256 units in place of convolutions of 64 and 128 channels and "
    "1,024 units, m = 32 (Table 3's m_b) in place of 20, 6,000 iterations in place of 130,000, "
    "bfloat16; colour: convolutions of 16 and 32 channels at 32 pixels, 2,000 iterations of 64"
)
_CHOICES = (
    "{trainings} of each (the paper gives no number), {theirs} as in their own papers; batches are "
    "drawn with replacement; CelebA's crop is that of the authors' code, 128 pixels wide"
)
_RATES = "the baselines' rates and weights"
_TUNED = "the baselines' weights, and their rates where the protocol chooses none,"
_OWN_NETWORKS = (
    "Pioneer's networks do not grow, VQ-VAE has networks of its own, and MaskAAE's mask is our "
    "reading of its paper, where all have the same networks"
)
_LAST = "precision and recall are of the last checkpoint alone"
_HOURS = "at the speed of the paper's GTX 1080 Ti"
_NEEDS = "the data set's files; at scale paper the Inception weights (zspace weights)"
_FEW = ("VAE", "2-Stage VAE", "RAE+GMM", "MaskAAE", "ALAE", "FlexAE", "FlexAE-SR")
"""The systems in the rows of Table 2."""


def _experiment(
    name: str,
    about: str,
    run: Callable[[Lab], list[Entry]],
    data: Sequence[str],
    settings: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] = ({}, {}, {}),
    *,
    less: str = "",
    cost: str = "10 minutes on a core",
    paper_cost: str = f"15 hours {_HOURS}",
    compares: bool = False,
    reduced: str = "",
    choices: str = "",
) -> Experiment:
    """An experiment on images, at the three scales.

    Args:
        compares: whether it compares systems, whose settings are then tuned at scale small. At
            scale paper they are the defaults, since no image is left for validation.
        reduced, choices: how every scale falls short of the paper's, and what is chosen besides
            what all experiments choose.
    """
    smoke, small, paper = settings
    several = small.get("seeds") or max(small.get("systems", {"": 1}).values())

    def chosen(theirs: str, seeds: int = 1) -> str:
        trainings = "one training" if seeds == 1 else f"{seeds} trainings"
        said = _CHOICES.format(trainings=trainings, theirs=theirs)
        return "; ".join([said, *([choices] if choices else [])])

    also = f"; {reduced}" if reduced else ""
    protocols = ("tuned", "equal-time", "defaults") if compares else ("defaults", "tuned")
    return Experiment(
        f"flexae/{name}",
        f"FlexAE, {about}",
        {
            "smoke": Scale(
                {**_SMOKE, **smoke},
                _TOY + also,
                "a minute",
                chosen(_TUNED),
                protocols=("defaults", "tuned", "equal-time"),
            ),
            "small": Scale(
                {**_SMALL, **small},
                _LESS + less + also,
                cost,
                chosen(_TUNED, several),
                protocols=protocols,
            ),
            "paper": Scale(
                {**_PAPER, **paper}, reduced, paper_cost, chosen(_RATES), protocols=("defaults",)
            ),
        },
        run,
        tuple(data),
        _NEEDS,
    )


_IN_COLOUR = ("WAE-GAN", "RAE+GMM", "Pioneer", "ALAE", "FlexAE", "FlexAE-SR")
"""The systems of Table 1 in colour.

These are the four that the paper has ahead, RAE with a mixture, and WAE, whose runs Table 3 needs.
"""

_ALL = (*DATA, "digits")
_FACES = ("celeba",)
_COLOUR = ("cifar10", "celeba", "mnist", "fashion-mnist", "digits")
_FACE_COST = "half an hour on a core"
EXPERIMENTS = (
    _experiment(
        "table1",
        "Table 1: Frechet distances of fourteen systems.",
        table1,
        _ALL,
        (
            {"systems": dict.fromkeys(SYSTEMS, 1)},
            {"systems": dict.fromkeys(SYSTEMS, 3), "in_colour": _IN_COLOUR, "stretched": True},
            {"systems": dict.fromkeys(SYSTEMS, 1), "stretched": True},
        ),
        less="; colour: six of the fourteen systems",
        cost="10 hours on a core",
        paper_cost=f"about 45 hours for all fourteen {_HOURS}; a training can be stopped "
        "and goes on",
        compares=True,
        reduced=_OWN_NETWORKS,
    ),
    _experiment(
        "table2",
        "Table 2: precision and recall.",
        table2,
        _ALL,
        (
            {"systems": dict.fromkeys(_FEW, 1)},
            {"systems": dict.fromkeys(_FEW, 3)},
            {"systems": dict.fromkeys(_FEW, 1)},
        ),
        cost="6 hours on a core (Table 1's runs are reused with --runs)",
        paper_cost=f"about 30 hours {_HOURS}",
        compares=True,
        choices=f"MaskAAE's mask is our reading of its paper; {_LAST}",
    ),
    _experiment(
        "table3",
        "Table 3: Frechet distances over the size of the code.",
        table3,
        _ALL,
        (
            {"base": 3, "factors": (1, 2), "seeds": 1},
            {"base": None, "factors": (1, 4), "seeds": 3},
            {"base": None, "factors": (1, 2, 4), "seeds": 1},
        ),
        less="; m_b and 4 m_b alone, three trainings",
        cost="2 hours on a core",
        paper_cost=f"about 60 hours {_HOURS}",
        compares=True,
    ),
    _experiment("table4", "Table 4: PMS and IMS, and a memoriser's.", table4, _ALL, compares=True),
    _experiment("fig4", "Figure 4: reconstructions and samples of FlexAE-SR.", fig4, _ALL),
    _experiment(
        "fig5",
        "Figure 5: interpolations, attributes and neighbours.",
        fig5,
        ("celeba", "mnist", "fashion-mnist", "cifar10", "digits"),
        cost=_FACE_COST,
    ),
    *(
        _experiment(
            f"fig{6 + i}",
            f"Figure {6 + i}: 225 samples of FlexAE-SR on {data}.",
            samples,
            (data, *(d for d in _ALL if d != data)),
        )
        for i, data in enumerate(DATA)
    ),
    _experiment("fig10", "Figure 10: interpolations of FlexAE-SR.", interpolations, _ALL),
    *(
        _experiment(
            f"fig{11 + i}",
            f"Figure {11 + i}: faces along {name.replace('_', ' ')}.",
            attribute_grid(name, "abcd"),
            _FACES,
            cost=_FACE_COST,
        )
        for i, name in enumerate(ATTRIBUTES)
    ),
    *(
        _experiment(
            f"fig{16 + i}",
            f"Figure {16 + i}: the nearest training images of {data} by {which}.",
            nearest(which),
            (data, *(d for d in _COLOUR if d != data)),
            cost=_FACE_COST,
        )
        for i, (data, which) in enumerate(
            (
                ("cifar10", "pixels"),
                ("cifar10", "features"),
                ("celeba", "pixels"),
                ("celeba", "features"),
            )
        )
    ),
)
