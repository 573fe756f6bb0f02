"""FlexAE's synthetic experiments: Figures 2 and 3 (Mondal et al., 2021, section 4.1).

    python -m zspace.papers.flexae fig2 --out DIR [--iterations N]
    python -m zspace.papers.flexae fig3 --out DIR [--iterations N]

Runs that are there already are read, not trained again. The baselines of these figures that are
not built yet (WAE with a fixed and with a mixture prior) are left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from zspace import api, plots
from zspace.core import LatentModel, blockwise
from zspace.data.synthetic import true_latents
from zspace.metrics import frechet_distance, wasserstein_distance
from zspace.progress import TrainingProgress
from zspace.run import Run
from zspace.storage import write_text

POINTS = 1000
"""Codes of each kind between which the Wasserstein distance is taken."""


def train(recipe: str, data: str, out: Path, iterations: int, **options: Any) -> Run:
    """The run of these options: read where it is there, finished where it was killed."""
    with TrainingProgress(iterations) as report:
        if not out.exists():
            api.train(
                recipe, data, out=out, iterations=iterations, report=report, device="cpu", **options
            )
        elif Run(out).config.get("iterations") == iterations:
            api.resume(out, report=report)
        else:
            api.resume(out, iterations=iterations, report=report)
    return Run(out)


def generated(model: LatentModel, n: int) -> tuple[Tensor, Tensor]:
    """n codes of the prior and the vectors that they are decoded to."""
    assert model.prior is not None
    with torch.no_grad():
        z = model.prior.sample(n, generator=torch.Generator().manual_seed(0))
        return z, blockwise(model.decode, z)


def fig2(out: Path, iterations: int) -> list[dict[str, float]]:
    """Wasserstein distance between P_z and Q_z over training, and the Frechet distance.

    `mog5`, m = 50, Table 6's networks. W_1 is taken between 1,000 codes of the prior and of test
    vectors; the Frechet distance between 10,000 generated and all 10,000 test vectors.
    """
    run = train(
        "flexae", "mog5", out / "fig2-flexae", iterations, latent_dim=50,
        checkpoint_every=max(1, iterations // 20), keep=0,
    )  # fmt: skip
    test = api.run_images(run).test.x
    rows: list[dict[str, float]] = []
    for iteration in run.checkpoints():
        model = api.load(run.folder, checkpoint=iteration)
        z, x = generated(model, len(test))
        codes = api.codes(model, test[:POINTS])
        rows.append(
            {
                "iteration": iteration,
                "wasserstein": wasserstein_distance(z[:POINTS], codes),
                # how far the codes reach: a distance means little without it
                "code deviation": float(codes.std(0).norm()),
                "frechet": frechet_distance(x, test),
            }
        )
    fig, axes = plots.figure(2, 1, (4.5, 3.2))
    for axis, name, title in zip(
        axes.flat,
        ("wasserstein", "frechet"),
        ("W1 between P_z and Q_z", "Frechet distance of generated vectors"),
        strict=True,
    ):
        axis.plot([r["iteration"] for r in rows], [r[name] for r in rows], marker=".")
        axis.set_ylim(bottom=0)
        axis.locator_params(axis="x", nbins=5)
        axis.set_title(f"FlexAE, m = 50: {title}", fontsize=9)
        axis.set_xlabel("iteration")
    plots.save_figure(out / "fig2.png", fig)
    return rows


def fig3(out: Path, iterations: int) -> list[dict[str, Any]]:
    """The latent spaces of VAE and FlexAE beside the true one, and their Frechet distances.

    `mog2`, m = 2, Table 6's networks. The codes of the test vectors are drawn in the colour of
    their component, codes of the prior in black below them.
    """
    z_true, components = true_latents(2)
    spaces: list[tuple[str, Tensor, Tensor | None]] = [("true latents", z_true["test"], None)]
    rows: list[dict[str, Any]] = []
    for recipe in ("vae", "flexae"):
        run = train(recipe, "mog2", out / f"fig3-{recipe}", iterations)
        test = api.run_images(run).test.x
        model = api.load(run.folder)
        z, x = generated(model, len(test))
        distance = frechet_distance(x, test)
        error = float((model.reconstruct(test) - test).square().sum(1).mean())
        rows.append({"model": recipe, "frechet": distance, "reconstruction": error})
        spaces.append((f"{recipe}: FD {distance:.3g}", api.codes(model, test), z))
    fig, axes = plots.figure(len(spaces), 1, (4, 4))
    for axis, (title, codes, prior) in zip(axes.flat, spaces, strict=True):
        if prior is not None:
            axis.scatter(*prior[:POINTS].T, s=4, c="black", linewidths=0, label="prior")
        axis.scatter(*codes[::3].T, s=2, c=components["test"][::3], cmap="tab10", linewidths=0)
        axis.set_title(title, fontsize=10)
    plots.save_figure(out / "fig3.png", fig)
    return rows


@click.command()
@click.argument("figure", type=click.Choice(["fig2", "fig3"]))
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--iterations", type=click.IntRange(min=1), default=20_000, show_default=True)
def main(figure: str, out: Path, iterations: int) -> None:
    """FlexAE's Figures 2 and 3, on synthetic data."""
    rows = {"fig2": fig2, "fig3": fig3}[figure](out, iterations)
    write_text(out / f"{figure}.json", json.dumps(rows, indent=1) + "\n")
    for row in rows:
        click.echo(
            "  ".join(
                f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()
            )
        )


if __name__ == "__main__":
    main()
