"""The definitions of ReGene's experiments, at their three scales."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from zspace.papers.base import Experiment, Lab, Scale
from zspace.papers.entries import Entry
from zspace.papers.regene.figures import fig3, fig5, fig6, fig15b
from zspace.papers.regene.losses import fig16, fig17
from zspace.papers.regene.pictures import closest, fig7, fig11, one, sheet_of
from zspace.papers.regene.tables import fig15a, table1, table2, table3, table4

_SMOKE: dict[str, Any] = {
    "width": 16,
    "decoder_width": 32,
    "batch_size": 32,
    "iterations": 500,
    "learning_rate": 4e-3,
    "classifier_iterations": 100,
    "train_size": 1000,
    "perceptual": 0.0,
}
_SMALL: dict[str, Any] = {
    "width": 32,
    "decoder_width": 64,
    "batch_size": 128,
    "iterations": 8000,
    "classifier_iterations": 2000,
    "precision": "bf16",
    "perceptual": 0.0,
}
_TOY = "1,000 images, 16 and 32 channels, 100 + 400 iterations of 32 images"
_LESS = (
    "encoder of 32 channels and decoder of 64 and 32 in place of 128, 512 and 256, 2,000 + 6,000 "
    "iterations of 128 images in bfloat16 in place of 50 + 300 epochs of 512 images; no perceptual "
    "loss"
)
_DAY = "for each training 2 (grey) or 3 hours on a GPU, by the paper's seconds per epoch"
_CONDITIONAL_SMOKE = {"iterations": 10, "width": 4, "hidden": 16, "train_size": 300}
_CONDITIONAL = {
    "iterations": 4000,
    "width": 16,
    "hidden": 256,
    "batch_size": 64,
    "precision": "bf16",
}
"""The options of the conditional models that are compared with ReGene in Figure 6 and Table 4."""
_GREY = ("mnist", "fashion-mnist", "digits")
_ALL = ("mnist", "fashion-mnist", "cifar10", "digits")
_COLOUR = ("cifar10", "mnist", "fashion-mnist", "digits")


def _experiment(
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
    cost: str = "20 minutes on a core",
    image_size: int | None = None,
    paper_cost: str = _DAY,
) -> Experiment:
    """An experiment on one or several models of ReGene, at the three scales.

    Args:
        settings: further settings of each scale.
        less: the reductions of the scale small, if not the usual ones.
        choices: what is chosen where the paper leaves a setting open, at all scales.
        small: options of the recipe at the scale small that differ from the usual ones.
        image_size: the size that the images are scaled to (16 at the scale smoke); None keeps it.
    """
    smoke, middle, paper = settings or ({}, {}, {})
    sized = {} if image_size is None else {"image_size": image_size}
    options = (
        {**_SMOKE, **({} if image_size is None else {"image_size": 16})},
        {**_SMALL, **sized, **(small or {})},
        {"iterations": None, **sized},
    )
    toy = _TOY + ("" if image_size is None else ", 16 pixels")
    return Experiment(
        f"regene/{name}",
        about,
        {
            "smoke": Scale(
                {
                    "options": options[0],
                    "most_trials": 50,
                    "conditional": _CONDITIONAL_SMOKE,
                    **smoke,
                },
                toy,
                "a minute",
                choices,
            ),
            "small": Scale(
                {"options": options[1], "conditional": _CONDITIONAL, **middle},
                less or _LESS,
                cost,
                choices,
            ),
            "paper": Scale(
                {"options": options[2], "conditional": {"iterations": 100_000}, **paper},
                "",
                paper_cost,
                choices,
            ),
        },
        run,
        data,
        needs,
    )


_GRID = "encoder of 32 channels and decoder of 64 and 32, 1,500 + 2,500 iterations of 128 images"
_QUICK = {"iterations": 4000, "classifier_iterations": 1500}
_FACES = (
    "the data set's files; the paper's complementary class, anime, is no named set: here the "
    "classes are CelebA's attribute Male"
)


def _faces(decoder: int) -> dict[str, Any]:
    """The arguments of an experiment on faces: the scale small, and the cost of the scale paper."""
    return {
        "small": {
            "width": 16,
            "decoder_width": 32,
            "batch_size": 32,
            "classifier_iterations": 500,
            "iterations": 500 + decoder,
        },
        "less": f"encoder of 16 channels and decoder of 32 and 16 in place of 128, 512 and 256, "
        f"500 + {decoder:,} iterations of 32 images in bfloat16 in place of 50 epochs of "
        "256 and 700 of 128; no perceptual loss",
        "cost": "half an hour on a core",
        "paper_cost": "58 hours on a GPU at 64 pixels, by the paper's seconds per epoch",
    }


EXPERIMENTS = (
    _experiment(
        "table1",
        "ReGene, Table 1 and Figure 4: depth of the classifier against what can be decoded.",
        table1,
        _COLOUR,
        (
            {"blocks": (2, 3), "convolutions": (1,)},
            {"blocks": (4, 5, 6), "convolutions": (1, 3)},
            {"blocks": (4, 5, 6), "convolutions": (1, 3)},
        ),
        less=f"{_GRID} in place of 128, 512 and 256 channels, 100 + 300 epochs of 512; bfloat16; "
        "no perceptual loss",
        small=_QUICK,
        cost="2 hours on a core",
    ),
    _experiment(
        "fig3",
        "ReGene, Figure 3: against an autoencoder with a linear probe.",
        fig3,
        _GREY,
        cost="40 minutes on a core",
    ),
    _experiment(
        "fig5",
        "ReGene, Figure 5: the latents of a DenseNet can't be decoded.",
        fig5,
        _COLOUR,
        ({"depth": 10}, {"depth": 40}, {"depth": 100}),
        less=f"DenseNet-40 in place of 100; {_GRID}; no perceptual loss",
        small=_QUICK,
        cost="2 hours on a core",
    ),
    _experiment(
        "table2",
        "ReGene, Table 2: trials for 500 generations of each class.",
        table2,
        _ALL,
        ({"per_class": 10}, {"per_class": 500}, {"per_class": 500}),
    ),
    _experiment(
        "fig6",
        "ReGene, Figure 6: a neutral classifier's accuracy on generations.",
        fig6,
        _ALL,
        (
            {"combine": (2, 3, 5), "neutral": "cnn", "neutral_iterations": 100},
            {"combine": (2, 3, 5), "neutral": "cnn"},
            {"combine": (2, 3, 5), "neutral": "resnet56"},
        ),
        less=f"{_LESS}; a small neutral network in place of ResNet-56",
    ),
    _experiment(
        "table3",
        "ReGene, Table 3: Frechet distances between originals, reconstructions and generations.",
        table3,
        (*_ALL, "celeba"),
        ({"features": ("pixels",)}, {"features": ("classifier",)}, {"features": ("inception",)}),
        needs="the data set's files; at scale paper the Inception weights (zspace weights)",
    ),
    _experiment("table4", "ReGene, Table 4: Inception Scores.", table4, _GREY),
    _experiment(
        "fig7", "ReGene, Figure 7: generations over their sources, and interpolations.", fig7, _ALL
    ),
    _experiment(
        "fig8", "ReGene, Figure 8: pairs of cars.", sheet_of("matrix", one("automobile")), _COLOUR
    ),
    _experiment(
        "fig9",
        "ReGene, Figure 9: pairs of faces at 64 pixels.",
        sheet_of("matrix", one("Male")),
        ("celeba",),
        needs=_FACES,
        image_size=64,
        **_faces(2000),
    ),
    _experiment(
        "fig10",
        "ReGene, Figure 10: pairs of faces at 128 pixels.",
        sheet_of("matrix", one("Male")),
        ("celeba",),
        needs=_FACES,
        image_size=128,
        **_faces(1000),
    ),
    _experiment(
        "fig11",
        "ReGene, Figure 11: pairs of anime faces at 128 pixels.",
        fig11,
        (),
        needs="--data-dir, a folder of a folder of faces for each class",
        image_size=128,
        **_faces(1000),
    ),
    _experiment(
        "fig12",
        "ReGene, Figure 12: the nearest training images of generations.",
        sheet_of("closest"),
        _ALL,
    ),
    _experiment(
        "fig13",
        "ReGene, Figure 13: the nearest other generations.",
        sheet_of("closest-generations"),
        _ALL,
    ),
    _experiment(
        "fig14", "ReGene, Figure 14: generations of generations.", sheet_of("family"), _ALL
    ),
    _experiment(
        "fig15a",
        "ReGene, Figure 15a: Table 3's distances on CIFAR-10 and the GANs'.",
        fig15a,
        _COLOUR,
        ({"features": ("pixels",)}, {"features": ("classifier",)}, {"features": ("inception",)}),
        needs="the data set's files; at scale paper the Inception weights (zspace weights)",
    ),
    _experiment(
        "fig15b",
        "ReGene, Figure 15b: between originals and reconstructions.",
        fig15b,
        _COLOUR,
        (
            {"ratios": (0.0, 0.5, 1.0)},
            {"ratios": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)},
            {"ratios": tuple(np.linspace(0, 1, 11).round(1).tolist())},
        ),
    ),
    _experiment(
        "fig16",
        "ReGene, Figure 16 and B.18 to B.20: four losses of the classifier.",
        fig16,
        _COLOUR,
        (
            {"per_class": 5, "seeds": 1},
            {"per_class": 500, "seeds": 3},
            {"per_class": 500, "seeds": 3},
        ),
        less="encoder of 16 channels and decoder of 32 and 16, 1,500 + 2,500 iterations of 64 "
        "images in place of 128, 512 and 256 channels, 100 + 300 epochs of 512; bfloat16; no "
        "perceptual loss",
        small={**_QUICK, "width": 16, "decoder_width": 32, "batch_size": 64},
        choices="hinge, cosine and mean squared error both of logits and of the softmax; 3 seeds",
        cost="an hour and a half on a core",
    ),
    _experiment(
        "fig17",
        "ReGene, Figure 17: classifiers trained with generations.",
        fig17,
        _COLOUR,
        (
            {
                "per_class": (30,),
                "seeds": 1,
                "replaced": (0.5,),
                "added": (1.0,),
                "judge_iterations": 50,
            },
            {
                "per_class": (100, 300, 1000),
                "seeds": 3,
                "replaced": (1.0,),
                "added": (1.0, 3.0),
                "judge_iterations": 1000,
                "most_trials": 1000,
            },
            {
                "per_class": (None,),
                "seeds": 3,
                "replaced": (0.25, 0.5, 0.75, 1.0),
                "added": (0.25, 0.5, 0.75, 1.0),
                "judge_iterations": None,
            },
        ),
        less="100, 300 and 1,000 originals of each class in place of 5,000; 16 channels in "
        "place of 128, decoder of 32 and 16; 800 + 2,000 iterations of 64 images, "
        "classifiers 1,000",
        small={
            "width": 16,
            "decoder_width": 32,
            "batch_size": 64,
            "iterations": 2800,
            "classifier_iterations": 800,
            "precision": "32",
        },
        cost="an hour on a core",
    ),
    _experiment(
        "collage",
        "ReGene, Figures D.22 to D.27: generations of each class.",
        sheet_of("collage"),
        (*_ALL, "celeba"),
    ),
    _experiment(
        "closest",
        "ReGene, Figures E.28 to E.45: closest matches, for each class.",
        closest,
        (*_ALL, "celeba"),
        ({"generations": 20}, {"generations": 500}, {"generations": 500}),
    ),
)
