"""The three scales of ReGene's experiments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from zspace.papers.base import Experiment, Scale
from zspace.papers.entries import Entry
from zspace.papers.lab import Lab

SMOKE: dict[str, Any] = {
    "width": 16,
    "decoder_width": 32,
    "batch_size": 32,
    "iterations": 500,
    "learning_rate": 4e-3,
    "classifier_iterations": 100,
    "train_size": 1000,
    "perceptual": 0.0,
}
SMALL: dict[str, Any] = {
    "width": 32,
    "decoder_width": 64,
    "batch_size": 128,
    "iterations": 8000,
    "classifier_iterations": 2000,
    "precision": "bf16",
    "perceptual": 0.0,
}


def _on_faces(decoder: int, blocks: int) -> dict[str, Any]:
    """The options of the scale small on faces: the decoder's iterations, the encoder's blocks."""
    return {
        "blocks": blocks,
        "decoder_width": 32,
        "batch_size": 32,
        "classifier_iterations": 1000,
        "iterations": 1000 + decoder,
    }


IN_COLOUR: dict[str, tuple[dict[str, Any], str]] = {
    "cifar10": (
        {"blocks": 3, "batch_size": 64, "iterations": 8000},
        "CIFAR-10: 3 blocks in place of 4, so that the latent has the paper's 2,048 numbers, and "
        "2,000 + 6,000 iterations of 64",
    ),
    "celeba": (
        _on_faces(4000, 4),
        "CelebA: 4 blocks in place of 5, so that the latent has the paper's 2,048 numbers, a "
        "decoder of 32 and 16 channels, and 1,000 + 4,000 iterations of 32",
    ),
}
"""How the scale small differs from `SMALL` on a data set in colour, and how that is said."""
SHALLOW: dict[str, tuple[dict[str, Any], str]] = {
    "cifar10": ({"blocks": 3}, "CIFAR-10: 3 blocks in place of 4, so that the latent stays large")
}
"""How it differs where an experiment has settings of its own."""
TOY = "1,000 images, 16 and 32 channels, 100 + 400 iterations of 32 images"
LESS = (
    "encoder of 32 channels and decoder of 64 and 32 in place of 128, 512 and 256, 2,000 + 6,000 "
    "iterations of 128 images in bfloat16 in place of 350 epochs of 512 images (CIFAR-10 400, "
    "CelebA 750 of 256 and 128)"
)
HELD_OUT = "the validation images, a tenth or CelebA's own, are not trained on"
NO_PERCEPTUAL = "no perceptual loss for colour images"
MALE = (
    "for CelebA, its attribute Male in place of anime as the other class, and its training images "
    "in place of 15,000 of each class for the classifier and of all 200,000 for the decoder"
)
VGG = "the perceptual loss is of VGG16's first convolution"
SHORT = "20 minutes on a core"
DAY = "for each training 2 (grey) or 3 hours on a GPU, by the paper's seconds per epoch"
COLOUR = {"cifar10", "celeba"}
CONDITIONAL_SMOKE = {"iterations": 10, "width": 4, "hidden": 16}
CONDITIONAL = {
    "iterations": 4000,
    "width": 16,
    "hidden": 256,
    "batch_size": 64,
    "precision": "bf16",
}
"""The options of the models that are compared with ReGene in Figure 6 and Tables 3 and 4."""
FLEXAE = (
    "other models have FlexAE's networks and their recipes' defaults, with 100,000 iterations at "
    "scale paper and 4,000 of 64 images, 16 channels and 256 units at small, one training of each"
)


def _settings(scale: Scale, option: str) -> dict[str, Any]:
    """The settings of a scale with an option of the recipe set to 0."""
    return {**scale.settings, "options": {**scale.settings["options"], option: 0}}


def _but(said: str, part: str) -> list[str]:
    """The parts of what a scale says, without one of them."""
    return [other for other in said.split("; ") if other not in (part, "")]


def without_validation(scale: Scale) -> Scale:
    """The scale without validation images: all are trained on, and test images give thresholds."""
    less = "; ".join(_but(scale.reductions, HELD_OUT))
    return replace(scale, settings=_settings(scale, "validation"), reductions=less)


def without_perceptual(scale: Scale) -> Scale:
    """The scale without the perceptual loss, which needs VGG16's weights."""
    return replace(
        scale,
        settings=_settings(scale, "perceptual"),
        reductions="; ".join([*_but(scale.reductions, NO_PERCEPTUAL), NO_PERCEPTUAL]),
        choices="; ".join(_but(scale.choices, VGG)),
    )


def experiment(
    name: str,
    about: str,
    run: Callable[[Lab], list[Entry]],
    data: tuple[str, ...],
    settings: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | None = None,
    *,
    less: str = "",
    choices: str = "",
    small: dict[str, Any] | None = None,
    needs: str = "the data set's files",
    cost: str | None = None,
    image_size: int | None = None,
    paper_cost: str = DAY,
) -> Experiment:
    """An experiment on one or several models of ReGene, at the three scales.

    Args:
        settings: further settings of each scale.
        less: the reductions of the scale small, if not the usual ones.
        choices: what is chosen where the paper leaves a setting open, at all scales.
        small: options of the recipe at the scale small that differ from the usual ones.
        cost: the cost of the scale small, if not the usual one.
        image_size: the size that the images are scaled to (16 at the scale smoke); None keeps it.
    """
    smoke, middle, paper = settings or ({}, {}, {})
    sized = {} if image_size is None else {"image_size": image_size}
    options = (
        {**SMOKE, **({} if image_size is None else {"image_size": 16})},
        {**SMALL, **sized, **(small or {})},
        {"iterations": None, **sized},
    )
    if cost is None:
        cost = SHORT + (", on CIFAR-10 an hour" if "cifar10" in data else "")
    colour = not data or bool(COLOUR & set(data))
    changes = SHALLOW if small else IN_COLOUR
    own = {} if "blocks" in middle else {name: changes[name] for name in data if name in changes}
    always = [HELD_OUT, *([MALE] if "celeba" in data else [])]
    reduced = [*always, *([NO_PERCEPTUAL] if colour else [])]
    toy = TOY + ("" if image_size is None else ", 16 pixels")
    if colour:
        needs += (
            "; for colour images at scale paper VGG16's weights (zspace weights), or --perceptual 0"
        )
    return Experiment(
        f"regene/{name}",
        about,
        {
            "smoke": Scale(
                {
                    "options": options[0],
                    "most_trials": 50,
                    "conditional": CONDITIONAL_SMOKE,
                    **smoke,
                },
                "; ".join([toy, *reduced]),
                "a minute",
                choices,
            ),
            "small": Scale(
                {
                    "options": options[1],
                    "conditional": CONDITIONAL,
                    "own": {name: changed for name, (changed, _) in own.items()},
                    **middle,
                },
                "; ".join([less or LESS, *(said for _, said in own.values()), *reduced]),
                cost,
                choices,
            ),
            "paper": Scale(
                {"options": options[2], "conditional": {"iterations": 100_000}, **paper},
                "; ".join(always),
                paper_cost,
                "; ".join([part for part in (choices, VGG if colour else "") if part]),
            ),
        },
        run,
        data,
        needs,
        without={
            "validation": without_validation,
            **({"perceptual": without_perceptual} if colour else {}),
        },
    )


def faces(
    decoder: int, blocks: int = 4, less: str = "", cost: str = "half an hour on a core"
) -> dict[str, Any]:
    """The arguments of an experiment on faces: the scale small, and the cost of the scale paper.

    Args:
        decoder: the decoder's iterations at the scale small.
        blocks: the encoder's blocks at that scale, of which the latent has 2,048 numbers.
        less: further reductions of that scale.
        cost: the cost of that scale.
    """
    return {
        "small": _on_faces(decoder, blocks),
        "less": f"{blocks} blocks in place of {blocks + 1}, so that the latent has the paper's "
        "2,048 numbers, encoder of 32 channels and decoder of 32 and 16 in place of 128, 512 and "
        f"256, 1,000 + {decoder:,} iterations of 32 images in bfloat16 in place of 50 epochs of "
        f"256 and 700 of 128{less}",
        "cost": cost,
        "paper_cost": "for each training 59 hours on a GPU at 64 pixels, by the paper's seconds "
        "per epoch",
    }
