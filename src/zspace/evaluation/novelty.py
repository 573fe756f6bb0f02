"""How improbable images are under a model: GEN's outlier score, for any model with a decoder."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from zspace import api
from zspace.core import SILENT, Density, LatentModel, Progress, Sampler
from zspace.data.images import Part, class_numbers
from zspace.display import plots
from zspace.errors import InputError
from zspace.functional import as_float, jacobian_log_determinant, of_stored
from zspace.generation.fit import read_sampler, refit_sampler
from zspace.metrics import Figure, jackknife
from zspace.options import comma_names
from zspace.recipes import catalogue
from zspace.storage.files import write_text
from zspace.storage.run import Run

SHOWN = 100
"""Images of either kind on the picture: Figure 4 has as many."""

ENTRIES = 1 << 17
"""Numbers of Jacobians that are made at a time: few enough for the layers to stay in the cache."""


@dataclass(frozen=True)
class Scores:
    """Of N images: the three parts of their log density, each (N,) in nats.

        score = -log p(x) = -latent + volume - residual

    Attributes:
        latent: log p(z'), z' = E(x).
        volume: 1/2 log det(J^T J), J the decoder's Jacobian at z'.
        residual: log N(x; x', sigma^2 I), x' = D(z').
        rank: of J; below the code's size where the decoder ignores a direction.
    """

    latent: Tensor
    volume: Tensor
    residual: Tensor
    rank: Tensor

    @property
    def score(self) -> Tensor:
        return self.volume - self.latent - self.residual


@dataclass(frozen=True)
class Novelty:
    """What `novelty` finds.

    Attributes:
        scores: of the images, in the data's order.
        part: the images as stored, and their labels.
        classes: the labels' names.
        known: which images (N,) are of the labels that are no novelty; None without such labels.
        variance: sigma^2.
        latent_dim: the size of a code.
    """

    scores: Scores
    part: Part
    classes: tuple[str, ...]
    known: Tensor | None
    variance: float
    latent_dim: int

    def auroc(self) -> Figure | None:
        """Images of the known labels against all others; None where there are none of either."""
        known, score = self.known, self.scores.score
        if known is None or bool(known.all()) or not bool(known.any()):
            return None
        return auroc(score[known], score[~known])

    def write(self, path: Path) -> None:
        """CSV: a line for each image, with its index, label, score and the score's parts."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        y, s = self.part.y, self.scores
        named = [] if y is None else ["label"]
        writer.writerow(["index", *named, "score", "latent", "volume", "residual"])
        numbers = torch.stack([s.score, s.latent, s.volume, s.residual], 1).tolist()
        for i, row in enumerate(numbers):
            label = [] if y is None else [self.classes[int(y[i])]]
            writer.writerow([i, *label, *(f"{value:.6f}" for value in row)])
        write_text(path, text.getvalue())

    def draw(self, path: Path) -> None:
        """The 100 most probable images on the left, the 100 least on the right (GEN, Figure 4).

        Both from the top; of the known labels alone, where there are some. As many of either as
        there are, where there are fewer than 200.
        """
        x, score = self.part.x, self.scores.score
        if self.known is not None and bool(self.known.any()):
            x, score = x[self.known], score[self.known]
        order = score.argsort(stable=True)
        count = max(1, min(SHOWN, len(x) // 2))
        side = math.ceil(math.sqrt(count))
        blank = torch.zeros(1, *x.shape[1:])
        rest = blank.expand(side * side - count, *x.shape[1:])
        left, right = (
            torch.cat([as_float(x[rows]), rest]).split(side)
            for rows in (order[:count], order.flip(0)[:count])
        )
        lines = [torch.cat([a, blank, b]) for a, b in zip(left, right, strict=True)]
        plots.save_sheet(path, torch.cat(lines), 2 * side + 1)


def novelty(
    run: str | Path,
    *,
    data: str | None = None,
    data_dir: str | None = None,
    part: str = "test",
    label: str | None = None,
    density: str = "prior",
    checkpoint: str | int = "last",
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Novelty:
    """Score images by a run's model; sigma^2 is the mean squared error on its validation part.

    Args:
        data, data_dir: other data than the run's own.
        part: train, validation, test or all.
        label: names of the labels that are no novelty, with commas between; unset: the classes
            that the run was trained on, where it was trained on some alone.
        density: of the codes: "prior" where the model's is a `Density`, or the name of one that is
            fitted to the training codes.

    Raises:
        InputError: anything that was asked for can't be had.
    """
    model = api.load(run, checkpoint=checkpoint, device=device)
    codes_density: Sampler | None = model.samplers().get(density)
    if density not in catalogue.OWN and issubclass(catalogue.find(density), Density):
        codes_density = read_sampler(run, density, model) or refit_sampler(
            run, density, model, progress=progress.about(f"fitting {density}")
        )
    if not isinstance(codes_density, Density):
        fitted = catalogue.listed(catalogue.densities())
        raise InputError(
            f"{run} has no {density} of known density: --density {fitted} fits one to its training "
            "codes"
        )
    chosen, classes = api.data_for(run, data, data_dir, part)
    existing = Run(run)
    config = existing.config
    known = None
    names = comma_names("--label", label)
    if names is not None and chosen.y is None:
        raise InputError("these data have no labels: leave out --label")
    if chosen.y is not None:
        if names is None and config.get("classes") is not None:
            trained = existing.facts.classes
            names = list(trained) if all(name in classes for name in trained) else None
        if names is not None:
            known = torch.isin(chosen.y, torch.tensor(class_numbers(names, classes)))
    # the run's own validation part says how well its model reconstructs what it was made for
    own = config["data"] is not None
    validation, _ = api.data_for(
        run, None if own else data, None if own and data is not None else data_dir, "validation"
    )
    variance = error_variance(model, validation.x)
    scores = log_densities(model, chosen.x, codes_density, variance, progress)
    return Novelty(scores, chosen, classes, known, variance, model.latent_dim)


def error_variance(model: LatentModel, x: Tensor) -> float:
    """sigma^2: the mean squared error of a pixel over stored images (N, C, H, W) or vectors."""
    device = next(model.parameters()).device
    errors = of_stored(
        lambda b: (model.decode(model.encode(b)) - b).square().flatten(1).mean(1), x, device
    )
    # what is reconstructed to the last digit would have no density
    return max(float(errors.double().mean()), 1e-12)


@torch.no_grad()
def log_densities(
    model: LatentModel, x: Tensor, density: Density, variance: float, progress: Progress = SILENT
) -> Scores:
    """Scores of stored images (N, C, H, W) or vectors (N, D): higher is less probable.

        log p(x) = log p(z') - 1/2 log det(J^T J) + log N(x; x', sigma^2 I)

    The density that the code has in latent space, carried to data space by the decoder, times that
    of the error, which is off the decoder's manifold.

    Args:
        model: in eval mode, so that images pass through it one by one.
        density: of its codes.
        variance: sigma^2, as `error_variance` gives it for held-out images.

    Raises:
        InputError: a code is larger than what it is decoded to, or the decoder is constant.

    Reference: Saha et al., GEN, Eq. 10 and 11.
    """
    size = prod(x.shape[1:])
    dim = model.latent_dim
    if dim > size:
        raise InputError(
            f"codes of size {dim} are larger than the data, which have {size} numbers: the decoder "
            "can't be inverted, and gives no density"
        )
    device = next(model.parameters()).device
    rows = max(1, min(256, ENTRIES // (dim * size)))
    parts: list[tuple[Tensor, ...]] = []
    scoring = progress.about("scoring")
    for start in range(0, len(x), rows):
        block = as_float(x[start : start + rows].to(device))
        z = model.encode(block)
        error = (model.decode(z) - block).flatten(1).square().sum(1).cpu().double()
        latent = density.log_prob(z).cpu().double()
        volume, rank = jacobian_log_determinant(model.decode, z)
        residual = -0.5 * (error / variance + size * math.log(2 * math.pi * variance))
        parts.append((latent, volume, residual, rank))
        scoring(min(start + rows, len(x)), len(x))
    return Scores(*(torch.cat(t) for t in zip(*parts, strict=True)))


def auroc(inliers: Tensor, outliers: Tensor) -> Figure:
    """The chance that an outlier (M,) scores higher than an inlier (N,), ties counting half.

    The area under the ROC curve (scikit-learn's), with a jackknife's error.
    """
    from sklearn.metrics import roc_auc_score

    def area(a: Tensor, b: Tensor) -> float:
        truth = torch.cat([torch.zeros(len(a)), torch.ones(len(b))])
        return float(roc_auc_score(truth.numpy(), torch.cat([a, b]).numpy()))

    groups = min(20, len(inliers) // 2, len(outliers) // 2)
    if groups < 2:
        return Figure(area(inliers, outliers), math.nan)
    return jackknife(area, inliers, outliers, groups=groups)
