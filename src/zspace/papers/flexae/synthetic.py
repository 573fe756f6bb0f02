"""FlexAE's synthetic experiments: Figures 2 and 3 (Mondal et al., 2021, section 4.1).

The paper prints no numbers for these curves and scatter plots, and no number of iterations; 130,000
is the number of its other experiments.
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
from zspace.metrics import Figure, frechet_distance, jackknife, wasserstein_distance
from zspace.papers.base import Experiment, Lab, Scale
from zspace.papers.entries import Entry
from zspace.storage.run import Run

POINTS = 1000
"""The number of codes in each set whose Wasserstein distance is computed."""

PARTS = 5
"""The number of disjoint sets over which the distance's mean and standard error are taken."""


def generated(model: LatentModel, n: int) -> tuple[Tensor, Tensor]:
    """n codes drawn from the prior, and the vectors that they decode to, on the CPU."""
    assert model.prior is not None
    device = next(model.parameters()).device
    with torch.no_grad():
        z = model.prior.sample(n, generator=torch.Generator(device).manual_seed(0))
        return z.cpu(), blockwise(model.decode, z).cpu()


def fig2(lab: Lab) -> list[Entry]:
    """Figure 2: the Wasserstein distance of P_z from Q_z, and the Frechet distance, in training.

    The data are `mog5`, m = 50, and the networks those of Table 6; WAE is WAE-GAN, whose
    discriminator is Table 6's critic. W_1 is computed between 1,000 codes from the prior and 1,000
    codes of test vectors (the mean over 5 disjoint sets), the Frechet distance between 10,000
    generated and all 10,000 test vectors.
    """
    total = lab.settings["iterations"]
    entries: list[Entry] = []
    curves: dict[str, list[dict[str, float]]] = {}
    for name, recipe in (("FlexAE", "flexae"), ("WAE", "wae-gan")):
        run = lab.trained(
            recipe,
            "mog5",
            iterations=total,
            latent_dim=50,
            checkpoint_every=max(1, total // lab.settings["checkpoints"]),
            keep=0,
        )
        curves[name], last = _curve(run, total // lab.settings["checkpoints"])
        first = curves[name][0]
        at = f"{name}, iteration {first['iteration']}"
        end = f"{name}, iteration {total}"
        measure = "W1 of prior and codes"
        entries += [
            Entry(at, measure, Figure(first["wasserstein"], float("nan")), "codes", "mog5", POINTS),
            Entry(end, measure, last["wasserstein"], "codes", "mog5", POINTS),
            Entry(end, "Frechet distance, generated", last["frechet"], "vectors", "mog5", 10_000),
        ]
    fig, axes = plots.figure(2, 1, (4.5, 3.2))
    for axis, key, title in zip(
        axes.flat,
        ("wasserstein", "frechet"),
        ("W1 between P_z and Q_z", "Frechet distance of generated vectors"),
        strict=True,
    ):
        for name, curve in curves.items():
            axis.plot(
                [r["iteration"] for r in curve], [r[key] for r in curve], marker=".", label=name
            )
        axis.set_ylim(bottom=0)
        axis.locator_params(axis="x", nbins=5)
        axis.set_title(f"m = 50: {title}", fontsize=9)
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
        each = [
            wasserstein_distance(z[start : start + POINTS], z_test[start : start + POINTS])
            for start in range(0, PARTS * POINTS, POINTS)
        ]
        parts = torch.tensor(each, dtype=torch.float64)
        last = {
            "wasserstein": Figure(float(parts.mean()), float(parts.std()) / PARTS**0.5),
            "frechet": jackknife(frechet_distance, test, x),
        }
        curve.append(
            {
                "iteration": iteration,
                # the spread of the codes, without which a distance means little
                "code deviation": float(z_test.std(0).norm()),
                **{name: figure.value for name, figure in last.items()},
            }
        )
    return curve, last


def fig3(lab: Lab) -> list[Entry]:
    """Figure 3: the latent spaces of VAE, WAE and FlexAE beside the true one, with distances.

    The data are `mog2`, m = 2, and the networks those of Table 6; WAE is WAE-GAN, with two priors:
    N(0, I) and a ring of six unit Gaussians, as many as the data have. The codes of the test
    vectors are drawn in the colour of their component, over codes of the prior in black. The
    Frechet distance is that between 10,000 generated and all 10,000 test vectors.
    """
    z_true, components = true_latents(2)
    spaces: list[tuple[str, Tensor, Tensor | None]] = [("true latents", z_true["test"], None)]
    entries: list[Entry] = []
    systems: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("VAE", "vae", {}),
        ("WAE, normal prior", "wae-gan", {}),
        ("WAE, mixture prior", "wae-gan", {"prior": "mixture", "components": 6}),
        ("FlexAE", "flexae", {}),
    )
    for name, recipe, options in systems:
        run = lab.trained(recipe, "mog2", iterations=lab.settings["iterations"], **options)
        test = api.run_images(run).test.x
        model = api.load(run.folder)
        z, x = generated(model, len(test))
        distance = jackknife(frechet_distance, test, x)
        errors = (model.reconstruct(test) - test).square().sum(1).double()
        error = Figure(float(errors.mean()), float(errors.std()) / len(errors) ** 0.5)
        by: dict[str, Any] = {"by": "vectors", "data": "mog2", "n": len(test)}
        entries.append(Entry(name, "Frechet distance, generated", distance, **by))
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


def _scales(small: int, cost: str) -> dict[str, Scale]:
    fewer = "{} iterations in place of 130,000"
    return {
        "smoke": Scale({"iterations": 100, "checkpoints": 2}, fewer.format("100"), "a minute"),
        "small": Scale(
            {"iterations": small, "checkpoints": 20},
            fewer.format(f"{small:,}"),
            f"{cost} on 2 cores",
        ),
        "paper": Scale({"iterations": 130_000, "checkpoints": 20}, "", "about an hour on 2 cores"),
    }


EXPERIMENTS = (
    Experiment(
        "flexae/fig2",
        "FlexAE, Figure 2: distance between prior and codes over training, at m = 50.",
        _scales(20_000, "8 minutes"),
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
