"""The experiments that make LSR-GAN's tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from zspace.display import plots
from zspace.evaluation.measurement import generated
from zspace.metrics import frechet_distance, jackknife
from zspace.papers.base import Lab
from zspace.papers.entries import Entry, published
from zspace.papers.lsrgan.trained import (
    DECODERS,
    UNIT,
    beside,
    measured_row,
    rendered,
    sharp,
    trained,
    untouched,
    variance_of,
    weighted,
)


def table1(lab: Lab) -> list[Entry]:
    """Table 1: measurements of VAEs with different beta, and of LSR-GANs with their encoders.

    One code is drawn from q(z | x) for each test image. The error is the sum over an image's pixels
    and channels of the squared difference, with pixels in [-1, 1]; the variance is the sum of the
    unbiased variances among 10 renderings of codes from one image's q(z | x). The paper does not
    name its unit; in this unit, no set of pixels can have a variance as large as some of the
    paper's.
    """
    entries: list[Entry] = []
    betas = lab.settings["betas"]
    for beta in betas:
        of = trained(lab, beta=beta)
        entries += [] if entries else [untouched(of)]
        for name in DECODERS:
            row = measured_row(lab, of, f"beta = {beta:g}", name)
            entries += beside(lab, row, "table1", beta, name)
    _curves(lab, "table1", "beta", betas, entries, DECODERS)
    return entries


def fig5(lab: Lab) -> list[Entry]:
    """Figure 5: error and absolute accuracy against beta, which are two columns of Table 1."""
    entries = [e for e in table1(lab) if e.measure in ("mean squared error", "absolute accuracy")]
    _curves(lab, "fig5", "beta", lab.settings["betas"], entries, DECODERS)
    return entries


def table2(lab: Lab) -> list[Entry]:
    """Table 2 and Figure 6: LSR-GANs with different lambda and the same encoder, with beta = 1."""
    entries: list[Entry] = []
    weights = lab.settings["weights"]
    for weight in weights:
        of = weighted(lab, weight)
        entries += [] if entries else [untouched(of)]
        row = measured_row(lab, of, f"lambda = {weight:g}", "LSR-GAN")
        entries += beside(lab, row, "table2", weight)
    _curves(lab, "fig6", "lambda", weights, entries, ("LSR-GAN",))
    return entries


def _curves(
    lab: Lab,
    picture: str,
    symbol: str,
    values: Sequence[float],
    entries: list[Entry],
    names: Sequence[str] | dict[str, str],
) -> None:
    """Draw each measure against beta or lambda, with bars of one standard error."""
    measures = list(dict.fromkeys(e.measure for e in entries if e.what != "test images"))
    fig, axes = plots.figure(len(measures), 1, (3.6, 3))
    for axis, measure in zip(axes.flat, measures, strict=True):
        for name in names:
            own = [e.ours for e in entries if e.measure == measure and e.what.endswith(name)]
            axis.errorbar(
                values, [f.value for f in own], [f.error for f in own], marker=".", label=name
            )
        axis.set_xscale("log")
        if measure in ("mean squared error", "variance"):
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
        entries.append(
            Entry(
                f"beta = {beta:g}", "variance", variance_of(of, "LSR-GAN", few), UNIT, of.data, few
            )
        )
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
        entries += beside(lab, row, "table1", beta, "LSR-GAN")
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
    """Section 2.2: Frechet distances from the test images, and sharpness.

    One distance is that of a rendering of each test image, from a code drawn from q(z | x); the
    other is that of renderings of as many codes drawn from N(0, I).
    """
    of = trained(lab)
    held = of.measurement
    reference = held.features(held.reference)
    numbers = published()["lsrgan/cifar10"]
    entries: list[Entry] = []
    for name in DECODERS:
        model = replace(held, model=of.by(name))
        for seeded, x in (
            ("seeded from test images", rendered(of, name)),
            ("seeded from N(0, I)", generated(model, "prior")),
        ):
            distance = jackknife(frechet_distance, reference, held.features(x), groups=8)
            theirs = numbers[f"FID {seeded.replace(', I', ',I')}"][name]
            entries.append(
                Entry(
                    name,
                    f"Frechet distance, {seeded}",
                    distance,
                    held.extractor.name,
                    of.data,
                    len(x.x),
                    theirs if held.images.name == "cifar10" else None,
                    None,
                    "inception",
                    "cifar10 test",
                )
            )
    return [*entries, *sharp(of)]
