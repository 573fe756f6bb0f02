"""GEN's Table 2: how normal codes are, by their entropy; and what that costs in reconstruction."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from zspace import api
from zspace.core import codes
from zspace.data.images import choose_rows
from zspace.display import plots
from zspace.evaluation.novelty import error_variance
from zspace.functional import kernel_entropy, whitened
from zspace.metrics import Figure
from zspace.papers.cells import Cells
from zspace.papers.entries import Entry, mean_and_deviation, published
from zspace.papers.lab import Lab
from zspace.samplers.kde import likeliest_bandwidth
from zspace.storage.run import Run

METHODS = ("AAE", "VAE", "GEN")
"""The models, in the order of Tables 2 and 3."""

TABLE2 = (1000, 2000, 5000, 10000)
"""The numbers of samples in the columns of Table 2."""

PARTS = {"training": "mnist train", "test": "mnist test"}
"""The images whose codes are measured, with the name of their set and part."""

KDE = "leave-one-out KDE"
ENTROPY, ERROR = "entropy, nats", "mean squared error"


def entropy(z: Tensor) -> float:
    """The leave-one-out kernel entropy of codes (N, D) in nats, at their likeliest bandwidth."""
    return kernel_entropy(z, likeliest_bandwidth(z))


def _normal(n: int, published: float | None = None, published_error: float | None = None) -> Entry:
    """The entropy of n samples of N(0, I) in 8 dimensions, over 20 sets, or 5 of 5,000 or more.

    They are not whitened, since the paper's deviations are those of samples that are not.
    """
    sets = [
        torch.randn(n, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        for seed in range(20 if n < 5000 else 5)
    ]
    return Entry(
        f"Standard Normal, n = {n}",
        "entropy, nats",
        mean_and_deviation([entropy(z) for z in sets]),
        KDE,
        "samples of N(0, I)",
        n,
        published,
        published_error,
        KDE,
        "samples of N(0, I)",
        repeats=len(sets),
        repeated="set",
    )


Measured = dict[str, tuple[Figure, Figure]]
"""The entropy and the mean squared error of a model, over trainings, for each of `PARTS`."""


def _measured(lab: Lab, name: str, n: int, **options: Any) -> Measured:
    """Train a model with several seeds, and measure its codes and its reconstructions.

    Args:
        lab: the lab, whose settings give the numbers of seeds and of iterations.
        name: one of `METHODS`, or AE.
        n: the number of training images, half of which are the centres of GEN's kernels; as many
            test images are measured.
        options: further options of the training.
    """
    cells = Cells(lab)
    what = "".join(f", {option} = {value:g}" for option, value in options.items())
    each = [
        cells.of(f"{name}, n = {n}{what}, {seed}", partial(cell, lab, name, n, seed, **options))
        for seed in range(lab.settings["seeds"])
    ]
    h, e = (
        {of: mean_and_deviation([c[f"{of}: {measure}"].value for c in each]) for of in PARTS}
        for measure in (ENTROPY, ERROR)
    )
    return {of: (h[of], e[of]) for of in PARTS}


def _run(lab: Lab, name: str, n: int, seed: int, **options: Any) -> Run:
    """One training of a model."""
    return lab.trained(
        name.lower(),
        "mnist",
        train_size=n,
        seed=seed,
        latent_dim=8,
        arch="fc",
        iterations=lab.settings["iterations"],
        batch_size=100,
        **({"centres": n // 2} if name == "GEN" else {}),
        **options,
    )


def cell(lab: Lab, name: str, n: int, seed: int, **options: Any) -> dict[str, Figure]:
    """The entropy and the mean squared error of one training, for each of `PARTS`."""
    run = _run(lab, name, n, seed, **options)
    model, images = api.load(run.folder, device=lab.device), lab.images(run)
    found: dict[str, Figure] = {}
    for of, part in (("training", images.train), ("test", images.test)):
        x = part.x[choose_rows(len(part), n, 0)]  # the first of a file may be easier
        h = entropy(whitened(codes(model, x).cpu()))
        found[f"{of}: {ENTROPY}"] = Figure(h, math.nan)
        found[f"{of}: {ERROR}"] = Figure(error_variance(model, x), math.nan)
    return found


def _entries(
    lab: Lab, what: str, n: int, measured: Measured, **theirs: float | None
) -> list[Entry]:
    """The entries of a model; `theirs` is the paper's entropy, with its deviation."""
    loss = published()["gen/text"]["loss"] if theirs else None
    entries: list[Entry] = []
    for of, (h, e) in measured.items():
        name = what.format(codes=f"{of} codes")
        more: dict[str, Any] = {"published_data": PARTS[of], "repeats": lab.settings["seeds"]}
        entries += [
            Entry(name, "entropy, nats", h, KDE, PARTS[of], n, **theirs, published_by=KDE, **more),
            Entry(
                name,
                "mean squared error",
                e,
                "pixels",
                PARTS[of],
                n,
                loss,
                published_by="pixels",
                **more,
            ),
        ]
    return entries


def table2(lab: Lab) -> list[Entry]:
    """Table 2: the entropy of the whitened codes of n images, for models trained on n images.

    The columns are "varying training sample sizes" in the paper's words, so that every column has
    its own trainings. The paper does not say whether the n codes are those of the training images
    or of others: both are measured, and compared with the same number. Its learning rate is 2e-4.
    The number after ± is the standard deviation over models, as in the paper. The true entropy of
    N(0, I) is 11.3515.
    """
    where = lab.settings
    theirs, spread = published()["gen/table2"], published()["gen/table2-sd"]

    def published_of(name: str, n: int) -> dict[str, float]:
        column = TABLE2.index(n)
        return {"published": theirs[name][column], "published_error": spread[name][column]}

    entries = [_normal(n, **published_of("Standard Normal", n)) for n in where["drawn"]]
    for n in where["samples"]:
        for rate in where["rates"]:
            for name in METHODS:
                what = f"{name}, n = {n}, {{codes}}, rate {rate:g}"
                found = _measured(lab, name, n, learning_rate=rate)
                entries += _entries(lab, what, n, found, **published_of(name, n))
    lab.note(
        "The paper does not say whether its codes are of training or of other images: both are "
        "compared with its number. At n = 1,000 its GEN equals samples of N(0, I)."
    )
    return entries


def weights(lab: Lab) -> list[Entry]:
    """Entropy against reconstruction error, as lambda weighs one against the other.

    Lambda is the weight of GEN's divergence, and that of AAE's update towards the prior. The paper
    has no such figure: it compares entropies at reconstruction errors of about 0.02, which it calls
    close to those of an unconstrained autoencoder (section 5.2); that is AE here. Since it says
    that GEN has fewer parameters than alternatives (section 6), they are counted, those of a
    discriminator too.
    """
    where = lab.settings
    n = where["train_size"]
    free = _measured(lab, "AE", n, learning_rate=where["rate"])
    entries = [_normal(n), *_entries(lab, "AE, {codes}", n, free)]
    fig, axes = plots.figure(1, 1, (6, 4.5))
    axis = axes[0, 0]
    for of, marker in (("training", "o"), ("test", "s")):
        h, e = free[of]
        axis.errorbar(
            e.value, h.value, h.error, e.error, marker, label=f"AE, {of} codes", capsize=2
        )
    for name, each in where["weights"].items():
        found = {w: _measured(lab, name, n, learning_rate=where["rate"], weight=w) for w in each}
        for weight, measured in found.items():
            what = f"{name}, lambda = {weight:g}, {{codes}}"
            entries += _entries(lab, what, n, measured)
        run = _run(lab, name, n, 0, learning_rate=where["rate"], weight=each[0])
        model = api.load(run.folder, device=lab.device)
        count = Figure(float(sum(p.numel() for p in model.parameters())), math.nan)
        entries.append(Entry(name, "parameters", count, "weights", PARTS["training"], n))
        for of, marker in (("training", "o"), ("test", "s")):
            h, e = zip(*(measured[of] for measured in found.values()), strict=True)
            x, y = [f.value for f in e], [f.value for f in h]
            spread = {"xerr": [f.error for f in e], "yerr": [f.error for f in h]}
            axis.errorbar(x, y, **spread, marker=marker, label=f"{name}, {of} codes", capsize=2)
            for place, weight in zip(zip(x, y, strict=True), each, strict=True):
                axis.annotate(f"{weight:g}", place, (4, 4), textcoords="offset points", fontsize=7)
    normal = entries[0].ours.value
    axis.axhline(normal, color="grey", linewidth=0.8, label=f"{n:,} samples of N(0, I)")
    axis.set_xlabel("mean squared error of a pixel")
    axis.set_ylabel("entropy of whitened codes, nats")
    axis.legend(fontsize=8)
    plots.save_figure(lab.picture("lambda"), fig)
    return entries
