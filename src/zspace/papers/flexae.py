"""FlexAE's synthetic experiments: Figures 2 and 3 (Mondal et al., 2021, section 4.1).

The baselines of these figures that are not built yet (WAE with a fixed and with a mixture prior)
are left out. The paper prints no numbers beside these curves and scatters, and no number of
iterations; 130,000 is that of its other experiments.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zspace import api, plots
from zspace.core import LatentModel, blockwise, codes
from zspace.data.synthetic import true_latents
from zspace.metrics import Figure, frechet_distance, jackknife, wasserstein_distance
from zspace.papers.base import Entry, Experiment, Scale, Workbench

POINTS = 1000
"""Codes of each kind between which the Wasserstein distance is taken."""

PARTS = 5
"""Disjoint sets of as many codes, over which its mean and standard error are taken."""


def generated(model: LatentModel, n: int) -> tuple[Tensor, Tensor]:
    """n codes of the prior and the vectors that they are decoded to, on the CPU."""
    assert model.prior is not None
    device = next(model.parameters()).device
    with torch.no_grad():
        z = model.prior.sample(n, generator=torch.Generator(device).manual_seed(0))
        return z.cpu(), blockwise(model.decode, z).cpu()


def fig2(bench: Workbench) -> list[Entry]:
    """Wasserstein distance between P_z and Q_z over training, and the Frechet distance.

    `mog5`, m = 50, Table 6's networks. W_1 is taken between 1,000 codes of the prior and of test
    vectors (the mean over 5 disjoint thousands); the Frechet distance between 10,000 generated
    and all 10,000 test vectors.
    """
    total = bench.settings["iterations"]
    run = bench.trained(
        "flexae", "mog5", iterations=total, latent_dim=50,
        checkpoint_every=max(1, total // bench.settings["checkpoints"]), keep=0,
    )  # fmt: skip
    test = api.run_images(run).test.x
    curve: list[dict[str, float]] = []
    distance = frechet = Figure(0, 0)
    for iteration in run.checkpoints():
        model = api.load(run.folder, checkpoint=iteration)
        z, x = generated(model, len(test))
        z_test = codes(model, test)
        each = [
            wasserstein_distance(z[start : start + POINTS], z_test[start : start + POINTS])
            for start in range(0, PARTS * POINTS, POINTS)
        ]
        parts = torch.tensor(each, dtype=torch.float64)
        distance = Figure(float(parts.mean()), float(parts.std()) / PARTS**0.5)
        frechet = jackknife(frechet_distance, test, x)
        curve.append(
            {
                "iteration": iteration,
                "wasserstein": distance.value,
                # how far the codes reach: a distance means little without it
                "code deviation": float(z_test.std(0).norm()),
                "frechet": frechet.value,
            }
        )
    fig, axes = plots.figure(2, 1, (4.5, 3.2))
    for axis, name, title in zip(
        axes.flat,
        ("wasserstein", "frechet"),
        ("W1 between P_z and Q_z", "Frechet distance of generated vectors"),
        strict=True,
    ):
        axis.plot([r["iteration"] for r in curve], [r[name] for r in curve], marker=".")
        axis.set_ylim(bottom=0)
        axis.locator_params(axis="x", nbins=5)
        axis.set_title(f"FlexAE, m = 50: {title}", fontsize=9)
        axis.set_xlabel("iteration")
    plots.save_figure(bench.picture("fig2"), fig)
    bench.more["curve"] = curve
    first = curve[0]
    return [
        Entry(f"FlexAE, iteration {first['iteration']}", "W1 of prior and codes",
              Figure(first["wasserstein"], float("nan")), "codes", "mog5", POINTS),
        Entry(f"FlexAE, iteration {total}", "W1 of prior and codes", distance, "codes", "mog5",
              POINTS),
        Entry(f"FlexAE, iteration {total}", "Frechet distance, generated", frechet, "vectors",
              "mog5", len(test)),
    ]  # fmt: skip


def fig3(bench: Workbench) -> list[Entry]:
    """The latent spaces of VAE and FlexAE beside the true one, and their Frechet distances.

    `mog2`, m = 2, Table 6's networks. The codes of the test vectors are drawn in the colour of
    their component, codes of the prior in black below them. The Frechet distance is that between
    10,000 generated and all 10,000 test vectors.
    """
    z_true, components = true_latents(2)
    spaces: list[tuple[str, Tensor, Tensor | None]] = [("true latents", z_true["test"], None)]
    entries: list[Entry] = []
    for recipe, name in (("vae", "VAE"), ("flexae", "FlexAE")):
        run = bench.trained(recipe, "mog2", iterations=bench.settings["iterations"])
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
    plots.save_figure(bench.picture("fig3"), fig)
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
        "FlexAE, Figure 2: distance between prior and codes over training, at m = 50 (FlexAE's "
        "curve; WAE's is to come).",
        _scales(20_000, "6 minutes"),
        fig2,
    ),
    Experiment(
        "flexae/fig3",
        "FlexAE, Figure 3: latent spaces of a 2-D mixture, and Frechet distances of what is "
        "generated (VAE and FlexAE; WAE's are to come).",
        _scales(60_000, "20 minutes"),
        fig3,
    ),
)
