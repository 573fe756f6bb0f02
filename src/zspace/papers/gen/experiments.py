"""The definitions of GEN's experiments, at their three scales."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zspace.papers.base import Experiment, Scale
from zspace.papers.gen.densities import FRESH, SAMPLES, dimensions, fig1, table1
from zspace.papers.gen.entropy import TABLE2, table2, weights
from zspace.papers.gen.images import fig3, fig4, interpolations, sheets, table3


def _scales(
    smoke: dict[str, Any],
    small: dict[str, Any],
    paper: dict[str, Any],
    reductions: tuple[str, str, str],
    costs: tuple[str, str, str],
    choices: str,
) -> dict[str, Scale]:
    """The three scales; a setting {name} of the choices, which all share, is given its value."""
    each = zip((smoke, small, paper), reductions, costs, strict=True)
    return {
        scale: Scale(settings, short, cost, choices.format_map(settings))
        for scale, (settings, short, cost) in zip(("smoke", "small", "paper"), each, strict=True)
    }


_GRID = {"dims": (2, 5, 10, 20, 40), "samples": SAMPLES}
_MNIST = ("mnist",)
_FEWER = "44,000 images beside the 10,000 centres in place of 50,000 (6,000 are kept to validate)"
_TABLE2 = {"drawn": TABLE2, "samples": TABLE2, "rates": (2e-4, 1e-3)}
_WEIGHTS = {"weights": {"GEN": (0.001, 0.003, 0.01, 0.03, 0.1), "AAE": (0.03, 0.1, 0.3, 1.0, 3.0)}}
_FC = "{iterations:,} iterations of 100 images; two hidden layers of 512 units with batch norm"
_AAE = "AAE's discriminator, its three Adams and its generator's loss, which does not saturate"
_ENTROPY = (
    f"{_FC}; half of GEN's images are the centres of its kernels; codes of as many training and "
    f"test images; {_AAE}"
)
_IMAGES = _scales(
    {
        "iterations": 5,
        "latent_dim": 5,
        "gen": {"centres": 100},
        "features": ("pixels",),
        "seeds": 1,
        "size": " at 16 pixels",
        "networks": "convolutions of 4 and 8 channels, 16 units",
        "options": {"image_size": 16, "width": 4, "hidden": 16, "train_size": 400},
    },
    {
        "iterations": 2000,
        "latent_dim": 25,
        "gen": {"centres": 2000},
        "features": ("classifier", "pixels"),
        "seeds": 3,
        "size": " at 32 pixels",
        "networks": "convolutions of 16 and 32 channels, 128 units",
        "options": {"image_size": 32, "width": 16, "hidden": 128},
    },
    {
        "iterations": 100_000,
        "latent_dim": None,
        "gen": {},
        "features": ("inception",),
        "seeds": 1,
        "size": "",
        "networks": "convolutions of 64 and 128 channels, 1,024 units",
        "options": {},
    },
    (
        "16 pixels, 5 dimensions, 100 centres, 400 images",
        "32 pixels, 25 dimensions, 2,000 centres",
        "",
    ),
    ("a minute", "an hour on a core", "some hours on a GPU"),
    "{iterations:,} iterations of 100 images; {networks}; lambda = 0.01, of the paper's 0.005 to "
    "0.01; the VAE's squared error is summed over pixels; a tenth of the training images is kept "
    "for validation; CelebA's crop of 128 pixels, and its training images without its validation "
    f"images; {_AAE}; trainings of each model in Table 3: {{seeds}}",
)
_PICTURES = {
    name: replace(scale, settings={k: v for k, v in scale.settings.items() if k != "features"})
    for name, scale in _IMAGES.items()
}
"""The scales of experiments that draw and measure no distance."""
_MEASURED = table3, interpolations
_INCEPTION = "; at scale paper the Inception weights (zspace weights)"
EXPERIMENTS = (
    Experiment(
        "gen/table1",
        "GEN, Table 1: the bandwidth that tells two normal samples apart best, by dimension and "
        "samples.",
        _scales(
            {"dims": (2, 5), "samples": (250, 500), "trials": 3},
            {"dims": (2, 5, 10, 20, 40), "samples": (250, 500, 1000, 2000), "trials": 10},
            {**_GRID, "trials": 10},
            ("4 of 30 cells, 3 trials in place of 10", "20 of 30 cells: m up to 2,000", ""),
            ("seconds", "3 minutes on a core", "40 minutes on a core"),
            "as many samples in z' and z'' as centres",
        ),
        table1,
    ),
    Experiment(
        "gen/dimensions",
        "GEN, section 6: the bandwidth of Table 1 in 50 dimensions and more.",
        _scales(
            {"dims": (50,), "samples": (250,), "trials": 2},
            {"dims": (50, 60, 80), "samples": (2000, 8000, 32_000), "trials": 3},
            {"dims": (50, 60, 80), "samples": (2000, 8000, 32_000, 128_000), "trials": 10},
            (
                "1 cell of the grid, 2 trials in place of 10",
                "m up to 32,000, 3 trials in place of 10",
                "",
            ),
            ("seconds", "an hour on a core", "9 hours on a core"),
            "the paper measures nothing above 40 dimensions; as many samples in z' and z'' as "
            "centres, but at most 10,000",
        ),
        dimensions,
    ),
    Experiment(
        "gen/fig1",
        "GEN, Figure 1: how the JSD of two known densities follows their distance, by kernels and "
        "by a discriminator.",
        _scales(
            {"dims": (2,), "samples": (250,), "trials": 2},
            {**_GRID, "samples": (250, 1000, 4000), "trials": 4},
            {**_GRID, "trials": 20},
            (
                "1 cell of the grid, 2 trials in place of 20",
                "15 of 30 cells, 4 trials in place of 20",
                "",
            ),
            ("seconds", "15 minutes on a core", "5 hours on a core"),
            f"seven distances s; {FRESH:,} fresh samples of either distribution for an estimate; a "
            "discriminator with layers of 10 l, 5 l and 2 l units (the paper gives the first)",
        ),
        fig1,
    ),
    Experiment(
        "gen/table2",
        "GEN, Table 2: how normal the codes of AAE, VAE and GEN are, by their entropy.",
        _scales(
            {**_TABLE2, "drawn": (1000,), "samples": (1000,), "seeds": 1, "iterations": 20},
            {**_TABLE2, "seeds": 3, "iterations": 3000},
            {**_TABLE2, "seeds": 5, "iterations": 20_000},
            ("1 of 4 columns, 1 model in place of 5", "3 models in place of 5", ""),
            ("2 minutes", "90 minutes on a core", "a day on a core"),
            f"{_ENTROPY}; the VAE's squared error is summed over pixels; lambda = 0.01, of the "
            "paper's 0.005 to 0.01; a learning rate of 1e-3 beside the paper's 2e-4",
        ),
        table2,
        _MNIST,
    ),
    Experiment(
        "gen/lambda",
        "GEN, AAE and a plain autoencoder: the entropy of Table 2 against the reconstruction "
        "error, over the weight lambda.",
        _scales(
            {**_WEIGHTS, "train_size": 1000, "seeds": 1, "iterations": 20, "rate": 1e-3},
            {**_WEIGHTS, "train_size": 5000, "seeds": 3, "iterations": 3000, "rate": 1e-3},
            {**_WEIGHTS, "train_size": 10_000, "seeds": 5, "iterations": 20_000, "rate": 2e-4},
            (
                "1 model in place of 5, a learning rate of 1e-3 in place of 2e-4",
                "3 models in place of 5, a learning rate of 1e-3 in place of 2e-4",
                "",
            ),
            ("2 minutes", "an hour on a core", "10 hours on a core"),
            f"{_ENTROPY}; {{train_size:,}} training images; the lambdas, most of them beyond the "
            "paper's 0.005 to 0.01; AAE's is the rate of its third update, relative to the others",
        ),
        weights,
        _MNIST,
    ),
    Experiment(
        "gen/fig3",
        "GEN, Figure 3 and the supplement's 3: MNIST mapped to ten 2-D Gaussians, without labels "
        "and with 10,000, and samples of its modes.",
        _scales(
            {"labelled": 1000, "iterations": 30, "options": {"train_size": 4000}},
            {"labelled": 10_000, "iterations": 6000, "options": {}},
            {"labelled": 10_000, "iterations": 50_000, "options": {}},
            ("4,000 images, 1,000 of them with labels", _FEWER, _FEWER),
            ("a minute", "30 minutes on 2 cores", "3 hours on 2 cores"),
            f"{_FC}; Gaussians of variance 1 on a circle, "
            "neighbours 6 apart; the term of the labels, and the form of the divergence, which "
            "attracts distant codes, too; lambda = 0.01; the supplement's lines reach two "
            "deviations to either side",
        ),
        fig3,
        _MNIST,
    ),
    Experiment(
        "gen/fig4",
        "GEN, Figure 4 and the supplement's 4: the most and least probable images of a digit, and "
        "its AUROC against the others; by a model of each digit, and by one of all.",
        _scales(
            {"digits": (1,), "iterations": 50},
            {"digits": tuple(range(10)), "iterations": 4000},
            {"digits": tuple(range(10)), "iterations": 20_000},
            ("digit 1 alone", "", ""),
            ("a minute", "40 minutes on a core", "3 hours on a core"),
            f"{_FC}; 8 dimensions; lambda = 0.01; half of the "
            "images, at most 10,000, are the centres of the kernels; sigma^2 is the error of the "
            "validation images, a tenth of the training images",
        ),
        fig4,
        _MNIST,
    ),
    *(
        Experiment(
            f"gen/{name}",
            f"GEN, {about}",
            _IMAGES if run in _MEASURED else _PICTURES,
            run,
            data,
            "the data set's files" + (_INCEPTION if run in _MEASURED else ""),
        )
        for name, about, run, data in (
            (
                "table3",
                "Table 3: Frechet distances of AAE, VAE and GEN on SVHN or CelebA.",
                table3,
                ("celeba", "svhn"),
            ),
            (
                "fig2",
                "Figure 2 and the supplement's 1: samples and reconstructions of AAE, VAE and "
                "GEN on CelebA.",
                sheets,
                ("celeba", "svhn"),
            ),
            (
                "supplement-fig2",
                "supplement, Figures 1 and 2: samples and reconstructions on SVHN.",
                sheets,
                ("svhn", "celeba"),
            ),
            (
                "supplement-fig5",
                "supplement, Figures 5 and 6: interpolations between random codes "
                "and between test images.",
                interpolations,
                ("celeba", "svhn"),
            ),
        )
    ),
)
