"""The comparison of learned densities with known ones, and novelty scores by them."""

from __future__ import annotations

import math

import torch

from zspace import metrics
from zspace.evaluation.novelty import novelty
from zspace.generation.fit import fit_sampler
from zspace.metrics import Figure
from zspace.papers.entries import Entry
from zspace.papers.lab import Lab
from zspace.samplers import FlowMatching, Mixture

FRESH = 5000
"""The number of samples at which a density is compared with the truth."""


def mixtures() -> dict[str, Mixture]:
    """Three known densities in two dimensions, mixtures of normals, by name."""
    angles = torch.arange(8) * math.pi / 4
    ring = 3 * torch.stack([angles.cos(), angles.sin()], 1)
    eye = torch.eye(2)
    slanted = torch.tensor([[[1.0, 0.8], [0.8, 1.0]], [[0.3, -0.2], [-0.2, 0.4]]])
    return {
        "two, far apart": Mixture.of(
            torch.tensor([0.7, 0.3]),
            torch.tensor([[-2.0, 0], [2, 1]]),
            torch.stack([0.5 * eye, 0.2 * eye]),
        ),
        "two, slanted": Mixture.of(
            torch.tensor([0.5, 0.5]), torch.tensor([[0.0, 0], [1.5, -1.5]]), slanted
        ),
        "eight in a ring": Mixture.of(torch.ones(8), ring, 0.09 * eye.repeat(8, 1, 1)),
    }


def against_truth(
    flow: FlowMatching, truth: Mixture, grid: int, n: int = FRESH
) -> dict[str, Figure]:
    """The errors of a learned density in two dimensions: its integral, and errors of log p(z).

    Args:
        flow: the learned density.
        truth: the true one.
        grid: the number of points along each side of [-8, 8]^2 for the integral.
        n: the number of samples of the true density at which log p(z) is compared.
    """
    fresh = truth.draw(n, generator=torch.Generator().manual_seed(1))
    error = flow.log_density(fresh) - truth.log_density(fresh)
    side = torch.linspace(-8, 8, grid)
    density = flow.log_density(torch.cartesian_prod(side, side)).double().exp()
    total = float(density.sum()) * float(side[1] - side[0]) ** 2
    return {
        "integral": Figure(total, math.nan),
        "mean of log p - truth": metrics.mean_figure(error),
        "mean of |log p - truth|": metrics.mean_figure(error.abs()),
    }


def densities(lab: Lab) -> list[Entry]:
    """The errors of flow matching's log p(z) for known mixtures, and novelty scores by it."""
    entries: list[Entry] = []
    for name, truth in mixtures().items():
        z = truth.draw(lab.settings["codes"], generator=torch.Generator().manual_seed(0))
        flow = FlowMatching(2, **lab.settings["toy"]).fit(z)
        for what, figure in against_truth(flow, truth, lab.settings["grid"]).items():
            entries.append(Entry(name, what, figure, "codes", "a mixture", FRESH))
    for model, chosen in lab.settings["novelty"].items():
        options = dict(chosen)
        run = lab.trained(options.pop("recipe"), str(lab.data), seed=0, classes="1", **options)
        images, where = lab.images(run), lab.where(run)
        fit_sampler(run.folder, "flow-matching", lab.settings["options"], **where)
        for density in ("prior", "normal", "kde", "flow-matching"):
            scored = novelty(
                run.folder, data=lab.data, label="1", density=density, images=images, **where
            )
            area = scored.auroc()
            assert area is not None
            what = f"AUROC, {density}"
            n = len(scored.part)
            entries.append(Entry(f"{model}, 1 known", what, area, "log p(x)", str(lab.data), n))
    return entries
