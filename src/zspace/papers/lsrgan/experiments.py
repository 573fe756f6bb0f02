"""The definitions of LSR-GAN's experiments, at their three scales."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zspace.papers.base import Experiment, Scale
from zspace.papers.entries import Entry
from zspace.papers.lab import Lab
from zspace.papers.lsrgan.figures import (
    cifar10,
    fig1,
    fig2,
    fig3,
    fig4,
    fig5,
    fig9,
    imagenet,
    table1,
    table2,
    varied,
)
from zspace.papers.lsrgan.trained import BETAS

_SMOKE: dict[str, Any] = {
    "width": 8,
    "latent_dim": 8,
    "iterations": 90,
    "vae_iterations": 60,
    "train_size": 500,
}
_SMALL: dict[str, Any] = {
    "width": 32,
    "iterations": 6000,
    "vae_iterations": 2000,
    "precision": "bf16",
}
_ACTIVE: dict[str, Any] = {
    "width": 16,
    "latent_dim": 16,
    "beta": 20.0,
    "iterations": 10_000,
    "vae_iterations": 6000,
    "precision": "bf16",
}
"""The settings of Table 2 and of the comparisons at scale small.

All 16 dimensions are active. With beta = 1 the codes of images are still far from N(0, I), on which
the renderer learns, after so few iterations.
"""
_OF_DIGITS: dict[str, dict[str, Any]] = {"digits": {"beta": 1.0}}
"""The digits' own options where the others' beta is 20.

On their 64 pixels that beta leaves no dimension active, so that lambda acts on nothing; with 1 all
16 are active after 6,000 iterations, and the codes' variances between 0.1 and 1.2.
"""
_EPOCHS = "of 32 images in bfloat16 in place of 100 + 500 epochs"
_LESS = (
    "residual networks of 32, 64 and 16 channels in place of 64, 128 and 32; 2,000 + 4,000 "
    f"iterations {_EPOCHS}"
)
_LESS_ACTIVE = (
    "residual networks of 16, 32 and 8 channels in place of 64, 128 and 32, and codes of 16 "
    f"dimensions in place of 128; 6,000 + 4,000 iterations {_EPOCHS}"
)
_BETA_20 = f"{_LESS_ACTIVE}; beta = 20 in place of 1, but for the digits"
_DIGITS = (
    "; the digits' 8 x 8 pixels have beta = 1 at every scale, since beta = 20 leaves no dimension "
    "of their codes active"
)
_NETWORKS = (
    "codes of 128 dimensions, linear heads of the encoder, a clamped log sigma^2, and at 64 pixels "
    "a block more"
)
"""What the paper leaves open of its networks, said at its scale."""
_TOY = "500 images, networks of 8 channels, 60 + 30 iterations"
_OURS = (
    "of the authors' code, since the paper does not say: 100 + 500 epochs of batches of 32 images, "
    "Adam's second decay rate 0.999, a renderer that begins as the decoder, log q as a mean over "
    "dimensions; a tenth of the training images is held out; trainings of each model: {seeds}; the "
    "variance is of 10 renderings of each of {n} test images"
)


def _experiment(
    name: str,
    about: str,
    run: Callable[[Lab], list[Entry]],
    settings: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | None = None,
    *,
    less: str = _LESS,
    options: dict[str, Any] = _SMALL,
    cost: str = "8 minutes on a core",
    paper_cost: str = "",
    data: tuple[str, ...] = ("cifar10", "fashion-mnist", "mnist", "digits"),
    needs: str = "the data set's files",
    image_size: int | None = None,
    of_data: dict[str, dict[str, Any]] | None = None,
) -> Experiment:
    """An experiment on one or several LSR-GANs, at the three scales.

    Args:
        of_data: the options of the scale small that some data sets have in place of `options`.
    """
    smoke, middle, paper = settings or ({}, {}, {})
    ours = _OURS + (_DIGITS if of_data else "")
    middle = {**middle, "of_data": of_data} if of_data else middle
    sized: dict[str, Any] = {} if image_size is None else {"image_size": image_size}
    return Experiment(
        f"lsrgan/{name}",
        about,
        {
            "smoke": Scale(
                {"options": _SMOKE, "variance_images": 50, **smoke},
                _TOY,
                "a minute",
                ours.format(n="50", seeds=smoke.get("seeds", 1)),
            ),
            "small": Scale(
                {"options": {**options, **sized}, "variance_images": 500, **middle},
                less,
                cost,
                ours.format(n="500", seeds=middle.get("seeds", 1)),
            ),
            "paper": Scale(
                {"options": {"iterations": None, **sized}, "variance_images": 10_000, **paper},
                "",
                paper_cost or "3 hours on a GPU, not measured",
                f"{ours.format(n='10,000', seeds=paper.get('seeds', 1))}; {_NETWORKS}",
            ),
        },
        run,
        data,
        needs,
    )


def _comparison(
    name: str,
    about: str,
    option: str,
    values: tuple[Any, ...],
    *,
    cost: str,
    seeds: int = 1,
    less: str = _BETA_20,
    options: dict[str, Any] = _ACTIVE,
) -> Experiment:
    """An experiment on LSR-GANs that differ in one option, with so many trainings of each."""
    compared = {"option": option, "values": values}
    several = {**compared, "seeds": seeds}
    return _experiment(
        name,
        about,
        varied,
        (compared, several, several),
        less=less,
        options=options,
        cost=cost,
        paper_cost="3 hours on a GPU for each training, not measured",
        of_data=_OF_DIGITS if options is _ACTIVE else None,
    )


_BETAS = {"betas": (1.0, 20.0)}
_PIXELS = {**_BETAS, "features": "pixels"}
_SWEEP = ({"betas": (1.0, 20.0)}, {"betas": (0.01, 0.1, 1.0, 5.0, 20.0)}, {"betas": BETAS})
_EACH: dict[str, Any] = {
    "less": f"{_LESS}; five of the eight values of beta",
    "cost": "45 minutes on a core",
    "paper_cost": "a GPU-day, not measured",
}
EXPERIMENTS = (
    _experiment(
        "fig1",
        "LSR-GAN, Figure 1: several renderings of a test image, from q(z | x).",
        fig1,
        (_BETAS, _BETAS, _BETAS),
        cost="16 minutes on a core",
    ),
    _experiment("fig2", "LSR-GAN, Figure 2: pairs of a test image and its rendering.", fig2),
    _experiment("fig3", "LSR-GAN, Figure 3: reconstructions of the VAE and of the LSR-GAN.", fig3),
    _experiment("fig4", "LSR-GAN, Figure 4: renderings for different beta.", fig4, _SWEEP, **_EACH),
    _experiment(
        "fig5", "LSR-GAN, Figure 5: error and accuracy against beta.", fig5, _SWEEP, **_EACH
    ),
    _experiment(
        "fig9",
        "LSR-GAN, Figures 8 and 9: renderings of codes from N(0, I).",
        fig9,
        data=("mnist", "celeba", "cifar10", "fashion-mnist", "digits"),
    ),
    _experiment("table1", "LSR-GAN, Table 1: measurements against beta.", table1, _SWEEP, **_EACH),
    _experiment(
        "table2",
        "LSR-GAN, Table 2 and Figure 6: measurements against lambda.",
        table2,
        (
            {"weights": (0.0, 1.0)},
            {"weights": (0.0, 0.01, 0.1, 1.0, 5.0, 20.0), "seeds": 3},
            {"weights": (0.0, *BETAS)},
        ),
        less=f"{_BETA_20}; five of the eight values of lambda",
        options=_ACTIVE,
        cost="an hour on a core",
        paper_cost="a GPU-day, not measured",
        of_data=_OF_DIGITS,
    ),
    _experiment(
        "cifar10",
        "LSR-GAN, section 2.2: Frechet distances and sharpness.",
        cifar10,
        ({"features": "pixels"}, {}, {"features": "inception"}),
    ),
    _comparison(
        "likelihood",
        "LSR-GAN, section 2.1 and appendix A: log-MSE against MSE of pixels in [0, 1].",
        "likelihood",
        ("log-mse", "squared-error"),
        less=_LESS_ACTIVE,
        options={**_ACTIVE, "beta": 1.0},
        cost="15 minutes on a core",
    ),
    _comparison(
        "networks",
        "LSR-GAN, section 2.2: a ResNet against the same CNN without shortcuts.",
        "blocks",
        ("residual", "plain"),
        cost="15 minutes on a core",
    ),
    _comparison(
        "reduction",
        "LSR-GAN, Equation 4: log q as the formula's sum over dimensions, or as the code's mean.",
        "reduction",
        ("mean", "sum"),
        cost="10 minutes on a core",
    ),
    _comparison(
        "stability",
        "LSR-GAN, section 1: the encoder stabilises the GAN, lambda = 1 against 0.",
        "weight",
        (1.0, 0.0),
        seeds=3,
        cost="45 minutes on a core",
    ),
    _experiment(
        "imagenet",
        "LSR-GAN, Figures 1, 2 and 8: ImageNet at 64 pixels, from a folder of images.",
        imagenet,
        (_PIXELS, _PIXELS, _PIXELS),
        cost="about an hour on a core, not measured",
        paper_cost="days on a GPU, not measured",
        data=(),
        needs="--data-dir, a folder of ImageNet's images",
        image_size=64,
    ),
)
