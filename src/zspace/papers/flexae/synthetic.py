"""FlexAE's synthetic experiments: Figures 2 and 3 (Mondal et al., 2021, section 4.1).

The paper prints no numbers for these curves and scatter plots, and no number of iterations; 130,000
is the number of its other experiments.

FlexAE stands against two kinds of control: WAE-GAN at FlexAE's rates, whose discriminator is Table
6's critic, and FlexAE itself with a prior N(0, I) that nothing moves, so that only the learned
prior is different.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zspace import api
from zspace.core import LatentModel, codes
from zspace.data.synthetic import true_latents
from zspace.display import plots
from zspace.functional import blockwise
from zspace.methods.flexae import RATES
from zspace.metrics import Figure, frechet_distance, jackknife, wasserstein_distance
from zspace.papers.base import Experiment, Scale
from zspace.papers.entries import Entry
from zspace.papers.lab import Lab
from zspace.storage.run import Run

Systems = dict[str, tuple[str, dict[str, Any]]]
WAE: dict[str, Any] = {"learning_rate": RATES["ae"], "discriminator_rate": RATES["critic"]}
FLEXAE: Systems = {"FlexAE": ("flexae", {}), "FlexAE, fixed prior": ("flexae", {"prior": "normal"})}
CURVES: Systems = {**FLEXAE, "WAE": ("wae-gan", WAE)}
"""The systems of Figure 2, each with its recipe and options."""
SPACES: Systems = {
    "VAE": ("vae", {}),
    "WAE, normal prior": ("wae-gan", WAE),
    "WAE, mixture prior": ("wae-gan", {**WAE, "prior": "mixture", "components": 6}),
    **FLEXAE,
}
"""The systems of Figure 3."""

POINTS = 1000
"""The number of codes in each set whose Wasserstein distance is computed."""

W1, EXCESS = "W1 of prior and codes", "W1 above the floor of equal distributions"
RELATIVE = "W1 above the floor, by the codes' deviation"
SPREAD = "code deviation"
FRECHET = "Frechet distance, generated"

PAPER = 130_000
"""The number of iterations at scale paper, that of the paper's other experiments."""

PARTS = 5
"""The number of disjoint sets over which the distance's mean and standard error are taken."""


def generated(model: LatentModel, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """n codes drawn from the prior, and the vectors that they decode to, on the CPU."""
    assert model.prior is not None
    device = next(model.parameters()).device
    with torch.no_grad():
        z = model.prior.draw(n, generator=torch.Generator(device).manual_seed(seed))
        return z.cpu(), blockwise(model.decode, z).cpu()


def fig2(lab: Lab) -> list[Entry]:
    """Figure 2: the Wasserstein distance of P_z from Q_z, and the Frechet distance, in training.

    The data are `mog5`, m = 50, and the networks those of Table 6. W_1 is computed between 1,000
    codes from the prior and 1,000 codes of test vectors (the mean over 5 disjoint sets). So few
    points are far apart even if they are of one distribution; what is above that floor,

        W_1(P, Q) - (W_1(P, P') + W_1(Q, Q')) / 2

    with P', Q' further sets of the same distributions, is reported beside it. Either is in the
    model's own unit: systems are compared by what is above the floor divided by the codes' standard
    deviation, the root of their variances' sum. The Frechet distance is that between 10,000
    generated and all 10,000 test vectors.
    """
    total = lab.settings["iterations"]
    entries: list[Entry] = []
    curves: dict[str, list[dict[str, float]]] = {}
    for name, (recipe, options) in CURVES.items():
        run = lab.trained(
            recipe,
            "mog5",
            iterations=total,
            latent_dim=50,
            checkpoint_every=max(1, total // lab.settings["checkpoints"]),
            keep=0,
            **options,
        )
        curves[name], last = _curve(run, total // lab.settings["checkpoints"])
        first = curves[name][0]
        at, end = f"{name}, first checkpoint", f"{name}, end"
        entries += [
            Entry(at, W1, Figure(first[W1], float("nan")), "codes", "mog5", POINTS),
            Entry(
                at,
                RELATIVE,
                Figure(first[EXCESS] / first[SPREAD], float("nan")),
                "codes",
                "mog5",
                POINTS,
            ),
            Entry(end, W1, last[W1], "codes", "mog5", POINTS),
            Entry(end, EXCESS, last[EXCESS], "codes", "mog5", POINTS),
            Entry(end, RELATIVE, last[RELATIVE], "codes", "mog5", POINTS),
            Entry(end, FRECHET, last[FRECHET], "vectors", "mog5", 10_000),
        ]
    fig, axes = plots.figure(3, 1, (4.5, 3.2))
    for axis, key in zip(axes.flat, (W1, EXCESS, FRECHET), strict=True):
        for name, curve in curves.items():
            axis.plot(
                [r["iteration"] for r in curve], [r[key] for r in curve], marker=".", label=name
            )
        axis.set_ylim(bottom=0)
        axis.locator_params(axis="x", nbins=5)
        axis.set_title(f"m = 50: {key}", fontsize=9)
        axis.set_xlabel("iteration")
        axis.legend(fontsize=8)
    plots.save_figure(lab.picture("fig2"), fig)
    lab.more["curves"] = curves
    return entries


def _curve(run: Run, every: int) -> tuple[list[dict[str, float]], dict[str, Figure]]:
    """The distances at the checkpoints of every so many iterations, and the last with errors."""
    test = api.run_images(run).test.x
    curve: list[dict[str, float]] = []
    last: dict[str, Figure] = {}
    for iteration in (i for i in run.checkpoints() if i % every == 0):
        model = api.load(run.folder, checkpoint=iteration)
        z, x = generated(model, len(test))
        z_test = codes(model, test)
        more, _ = generated(model, len(test), seed=1)
        near, above = w1(z, more, z_test)
        excess, spread = _mean(above), float(z_test.std(0).norm())
        last = {
            W1: _mean(near),
            EXCESS: excess,
            RELATIVE: Figure(excess.value / spread, excess.error / spread),
            FRECHET: jackknife(frechet_distance, test, x),
        }
        curve.append(
            {
                "iteration": iteration,
                # the spread of the codes, without which a distance means little
                SPREAD: spread,
                **{name: figure.value for name, figure in last.items()},
            }
        )
    return curve, last


def w1(drawn: Tensor, more: Tensor, of_test: Tensor) -> tuple[Tensor, Tensor]:
    """W_1 between codes of the prior and of test vectors, and what is above the floor.

    Args:
        drawn, more: two draws of the prior, each of at least `PARTS` sets (N, D).
        of_test: codes of the test vectors, at least twice as many.

    Returns both for each set, (PARTS,).
    """
    near = _distances(drawn, of_test)
    floor = (_distances(drawn, more) + _distances(of_test[PARTS * POINTS :], of_test)) / 2
    return near, near - floor


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """W_1 between each of the first `PARTS` sets of x and that of y, (PARTS,)."""
    starts = range(0, PARTS * POINTS, POINTS)
    each = [wasserstein_distance(x[i : i + POINTS], y[i : i + POINTS]) for i in starts]
    return torch.tensor(each, dtype=torch.float64)


def _mean(each: Tensor) -> Figure:
    return Figure(float(each.mean()), float(each.std()) / len(each) ** 0.5)


def fig3(lab: Lab) -> list[Entry]:
    """Figure 3: the latent spaces of VAE, WAE and FlexAE beside the true one, with distances.

    The data are `mog2`, m = 2, and the networks those of Table 6; WAE has two priors: N(0, I) and a
    ring of six unit Gaussians, as many as the data have. The codes of the test
    vectors are drawn in the colour of their component, over codes of the prior in black. The
    Frechet distance is that between 10,000 generated and all 10,000 test vectors.
    """
    z_true, components = true_latents(2)
    spaces: list[tuple[str, Tensor, Tensor | None]] = [("true latents", z_true["test"], None)]
    entries: list[Entry] = []
    for name, (recipe, options) in SPACES.items():
        run = lab.trained(recipe, "mog2", iterations=lab.settings["iterations"], **options)
        test = lab.images(run).test.x
        model = api.load(run.folder)
        z, x = generated(model, len(test))
        distance = jackknife(frechet_distance, test, x)
        errors = (model.reconstruct(test) - test).square().sum(1).double()
        error = Figure(float(errors.mean()), float(errors.std()) / len(errors) ** 0.5)
        by: dict[str, Any] = {"by": "vectors", "data": "mog2", "n": len(test)}
        entries.append(Entry(name, FRECHET, distance, **by))
        entries.append(Entry(name, "squared error, reconstructed", error, **by))
        spaces.append((f"{name}: FD {distance.value:.3g}", codes(model, test), z))
    fig, axes = plots.figure(len(spaces), 1, (4, 4))
    for axis, (title, z_test, prior) in zip(axes.flat, spaces, strict=True):
        if prior is not None:
            axis.scatter(*prior[:POINTS].T, s=4, c="black", linewidths=0, label="prior")
            axis.legend(loc="lower right", fontsize=8, markerscale=2)
        axis.scatter(*z_test[::3].T, s=2, c=components["test"][::3], cmap="tab10", linewidths=0)
        axis.set_title(title, fontsize=10)
    plots.save_figure(lab.picture("fig3"), fig)
    return entries


def _scales(small: int, cost: str, choices: str = "") -> dict[str, Scale]:
    costs = "a minute", f"{cost} on 2 cores", "two hours on a core"
    sizes = (100, 2), (small, 20), (PAPER, 20)
    return {
        scale: Scale(
            {"iterations": iterations, "checkpoints": checkpoints},
            ""
            if iterations == PAPER
            else f"{iterations:,} iterations in place of {PAPER:,}, those of the paper's other "
            "experiments",
            takes,
            f"{iterations:,} iterations of 128, {checkpoints} checkpoints, WAE-GAN at FlexAE's "
            f"rates; the paper names none of these{choices}",
        )
        for scale, takes, (iterations, checkpoints) in zip(
            ("smoke", "small", "paper"), costs, sizes, strict=True
        )
    }


EXPERIMENTS = (
    Experiment(
        "flexae/fig2",
        "FlexAE, Figure 2: distance between prior and codes over training, at m = 50.",
        _scales(
            20_000,
            "8 minutes",
            "; the generator has 50 inputs, as many as the code, where Table 6 prints n in R^2",
        ),
        fig2,
    ),
    Experiment(
        "flexae/fig3",
        "FlexAE, Figure 3: latent spaces of a 2-D mixture, and Frechet distances of what is "
        "generated.",
        _scales(60_000, "25 minutes"),
        fig3,
    ),
)
