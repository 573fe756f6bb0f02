"""The experiments that make LSR-GAN's tables and figures."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zspace.display import plots
from zspace.errors import InputError
from zspace.evaluation.measurement import generated, reconstructed
from zspace.functional import stream
from zspace.metrics import Figure, mean_figure, memorisation_score
from zspace.papers.entries import Entry, mean_and_deviation, over_trainings
from zspace.papers.lab import Lab
from zspace.papers.lsrgan.trained import (
    DECODERS,
    RENDERING,
    UNIT,
    Trained,
    beside,
    distances,
    measured_row,
    printed,
    rerendered,
    root,
    sharp,
    squared,
    trained,
    untouched,
    variance_of,
    with_published,
)

UNITS = (
    "The paper says no unit. Its errors fit sums over pixels in [-1, 1] alone: in [0, 1] they "
    "would be several times those of 128 principal components. Its variance is likely squared: a "
    "VAE's is about beta x error / pixels for each active dimension, and the dimensions that "
    "follow from the printed variances rise with beta to 91, while those from their roots fall "
    "from 31 to 10, as active dimensions do. So our variance stands beside the root, and its "
    "square beside the printed number."
)


def table1(lab: Lab) -> list[Entry]:
    """Table 1: measurements of VAEs with different beta, and of LSR-GANs with their encoders.

    One code is drawn from q(z | x) for each test image. The error is the sum over an image's pixels
    and channels of the squared difference, with pixels in [-1, 1]; the variance is the sum of the
    unbiased variances among 10 renderings of codes from one image's q(z | x).
    """
    lab.note(UNITS)
    entries = [untouched(trained(lab, beta=lab.settings["betas"][0]))]
    for beta in lab.settings["betas"]:
        of = _trainings(lab, {"beta": beta})
        for name in DECODERS:
            row = over_trainings([measured_row(lab, each, f"beta = {beta:g}", name) for each in of])
            entries += with_published(row, "table1", beta, name)
            if name == "VAE":
                entries.append(told(row, beta, of[0].measurement.test[0].numel()))
    _curves(lab, "table1", "beta", lab.settings["betas"], entries, DECODERS)
    return entries


def told(row: Sequence[Entry], beta: float, pixels: int) -> Entry:
    """The dimensions that a VAE's variance tells of: V / (beta E / pixels).

    With a linear decoder and a Gaussian likelihood of the likeliest variance, E / pixels, each
    active dimension adds about beta E / pixels to the variance V of decoded codes of one image.
    """

    def of(variance: Figure, error: Figure) -> Figure:
        scale = pixels / (beta * error.value)
        value = variance.value * scale
        return Figure(value, math.hypot(variance.error * scale, value * error.error / error.value))

    by = {e.measure: e for e in row}
    variance, error = by["variance"], by["mean squared error"]
    each = tuple(
        of(Figure(v, math.nan), Figure(e, math.nan)).value
        for v, e in zip(variance.each, error.each, strict=True)
    )
    entry = replace(
        variance,
        measure="variance x pixels / (beta x error)",
        ours=mean_and_deviation([*each]) if len(each) > 1 else of(variance.ours, error.ours),
        by="the two numbers",
        each=each,
    )
    squared, theirs = (printed("table1", f"{key} VAE", beta) for key in ("variance", "mse"))
    return beside(entry, squared and theirs and of(root(squared), theirs))


def _trainings(lab: Lab, options: dict[str, Any]) -> list[Trained]:
    """LSR-GANs with some options, one for each seed; of `RENDERING`'s options, with one VAE."""
    train = rerendered if options.keys() <= RENDERING else trained
    return [train(lab, seed=seed, **options) for seed in range(lab.settings.get("seeds", 1))]


def fig5(lab: Lab) -> list[Entry]:
    """Figure 5: error and absolute accuracy against beta, which are two columns of Table 1."""
    entries = [e for e in table1(lab) if e.measure in ("mean squared error", "absolute accuracy")]
    _curves(lab, "fig5", "beta", lab.settings["betas"], entries, DECODERS)
    return entries


def table2(lab: Lab) -> list[Entry]:
    """Table 2 and Figure 6: LSR-GANs with different lambda and the same encoder.

    Its beta is 1 at scale paper. With lambda = 0, which the paper does not have, the renderer is a
    GAN without an encoder.
    """
    lab.note(UNITS)
    entries = [untouched(trained(lab))]
    for weight in lab.settings["weights"]:
        what, of = f"lambda = {weight:g}", _trainings(lab, {"weight": weight})
        row = over_trainings([measured_row(lab, each, what, "LSR-GAN") for each in of])
        entries += with_published(row, "table2", weight)
    _curves(lab, "fig6", "lambda", lab.settings["weights"], entries, ("LSR-GAN",))
    return entries


def _curves(
    lab: Lab,
    picture: str,
    symbol: str,
    values: Sequence[float],
    entries: list[Entry],
    names: Collection[str],
) -> None:
    """Draw each measure against beta or lambda, with bars of one standard error."""
    measures = list(dict.fromkeys(e.measure for e in entries if e.what != "test images"))
    fig, axes = plots.figure(len(measures), 1, (3.6, 3))
    for axis, measure in zip(axes.flat, measures, strict=True):
        for name in names:
            own = [e for e in entries if e.measure == measure and e.what.endswith(f": {name}")]
            if own:
                heights, errors = [e.ours.value for e in own], [e.error for e in own]
                axis.errorbar(values, heights, errors, marker=".", label=name)
        # lambda may be 0
        axis.set_xscale("symlog", linthresh=min(v for v in values if v > 0))
        if measure.startswith("mean squared error") or measure.endswith("variance"):
            axis.set_yscale("log")
        axis.set_xlabel(symbol)
        axis.set_title(measure, fontsize=9)
        axis.legend(fontsize=7)
    plots.save_figure(lab.picture(picture), fig)


def fig1(lab: Lab) -> list[Entry]:
    """Figure 1: eight renderings of each of five test images, on a sheet for each beta.

    The codes are drawn from q(z | x).
    """
    entries: list[Entry] = []
    for beta in lab.settings["betas"]:
        of = trained(lab, beta=beta)
        x = of.test(5)
        rows = torch.cat([x[:, None], of.model.imagine(x, 8)], 1)
        plots.save_sheet(lab.picture(f"fig1-beta-{beta:g}"), rows.flatten(0, 1), 9)
        few = min(lab.settings["variance_images"], len(of.measurement.test))
        variance = variance_of(of, "LSR-GAN", few)
        entries.append(of.entry(f"beta = {beta:g}", "variance", variance, UNIT, few))
    return entries


def fig2(lab: Lab) -> list[Entry]:
    """Figure 2: pairs of a test image and a rendering of a code drawn from its q(z | x)."""
    of = trained(lab)
    x = of.test(24)
    pairs = torch.stack([x, of.model.imagine(x, 1)[:, 0]], 1)
    plots.save_sheet(lab.picture("fig2"), pairs.flatten(0, 1), 8)
    return sharp(of)


def fig3(lab: Lab) -> list[Entry]:
    """Figure 3: rows of test images and of the VAE's and the LSR-GAN's images of the same codes."""
    of = trained(lab)
    x = of.test(10)
    rows = [x, *(of.by(name).imagine(x, 1)[:, 0] for name in DECODERS)]
    plots.save_sheet(lab.picture("fig3"), torch.cat(rows), 10)
    return sharp(of)


def fig4(lab: Lab) -> list[Entry]:
    """Figure 4: test images above their renderings by LSR-GANs with different beta."""
    entries: list[Entry] = []
    rows: list[Tensor] = []
    for beta in lab.settings["betas"]:
        of = trained(lab, beta=beta)
        x = of.test(10)
        rows += [] if rows else [x]
        rows.append(of.model.imagine(x, 1)[:, 0])
        row = measured_row(lab, of, f"beta = {beta:g}", "LSR-GAN")
        entries += with_published(row, "table1", beta, "LSR-GAN")
    plots.save_sheet(lab.picture("fig4"), torch.cat(rows), 10)
    return entries


def fig9(lab: Lab) -> list[Entry]:
    """Figures 8 and 9: renderings of codes drawn from N(0, I)."""
    of = trained(lab)
    for name in DECODERS:
        drawn = generated(replace(of.measurement, model=of.by(name)), "prior", 64)
        plots.save_sheet(lab.picture(f"fig9-{DECODERS[name]}"), drawn.x)
    return sharp(of)


def cifar10(lab: Lab) -> list[Entry]:
    """Section 2.2: Frechet distances from the test images, sharpness, and what is remembered."""
    of = trained(lab)
    apart = [entry for name in DECODERS for entry in distances(of, name)]
    return [*apart, *sharp(of), *remembered(of)]


def remembered(of: Trained) -> list[Entry]:
    """The entries for what the VAE does with training images, beside test images.

    They are the squared errors of reconstructions from the posterior's mean, in the unit of Table
    1, and the distances in the latent space to the nearest code of a training image. All codes of
    images are drawn from q(z | x), so that dimensions of which the decoder makes nothing count
    alike for these and for the prior's. Codes of all images may have another spread than the
    prior's; codes of a normal distribution with their mean and covariance tell how much that is.
    """
    model = of.by("VAE")
    held = replace(of.measurement, model=model)
    training = model.draw(held.images.train.x, seed=1)[:, 0].cpu()
    seeded = torch.Generator(training.device).manual_seed(stream(held.seed, 12))
    drawn = torch.randn(len(held.test), training.shape[1], generator=seeded)
    values, vectors = torch.linalg.eigh(training.T.cov())
    noise = torch.randn(drawn.shape, generator=seeded) * values.clamp(min=0).sqrt()
    spread = training.mean(0) + noise @ vectors.T
    entries: list[Entry] = []
    for what, x in (("test images", held.test), ("training images", held.training)):
        error = squared(reconstructed(held, x).x, x)
        entry = of.entry(what, "mean squared error of the VAE", error, UNIT, len(x))
        entries.append(replace(entry, data=of.data if x is held.test else of.training_data))
    for what, z in (
        ("test images", model.draw(held.test)[:, 0].cpu()),
        ("a normal distribution of the codes", spread),
        ("the prior", drawn),
    ):
        apart = mean_figure(memorisation_score(z, training))
        measure = "distance of codes to the nearest of training images"
        entries.append(of.entry(what, measure, apart, "draws of q(z | x)", len(z)))
    return entries


def varied(lab: Lab) -> list[Entry]:
    """Measurements of LSR-GANs that differ in one option, `option`, which takes `values`.

    Options that decide how a VAE is rendered are compared with one VAE, of which there is no row.
    """
    option, names = lab.settings["option"], list(DECODERS)
    entries = [untouched(trained(lab))]
    for value in lab.settings["values"]:
        of = _trainings(lab, {option: value})
        for name in names if option not in RENDERING else names[1:]:
            what = f"{option} = {value}"
            rows = [
                [*measured_row(lab, each, what, name), *distances(each, name, f"{what}: {name}")]
                for each in of
            ]
            entries += over_trainings(rows)
    return entries


def imagenet(lab: Lab) -> list[Entry]:
    """Figures 1, 2 and 8 on ImageNet, from the folder of images in --data-dir.

    The paper's set is none of the named ones.
    """
    if lab.data_dir is None:
        raise InputError(
            "lsrgan/imagenet needs --data-dir, a folder of ImageNet's images; lsrgan/fig1, fig2 "
            "and fig9 draw the same of named sets, --data digits among them"
        )
    of = replace(lab, data=lab.data_dir, data_dir=None)
    fig9(of)  # its entries are those of Figure 2
    return [*fig1(of), *fig2(of)]
