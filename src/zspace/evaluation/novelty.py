"""Novelty scores of images: their negative log density under a model (GEN's outlier score)."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from itertools import chain
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from zspace import api
from zspace.core import SILENT, Density, LatentModel, Progress, Sampler
from zspace.data.images import Images, Part, class_numbers
from zspace.display import plots
from zspace.errors import InputError
from zspace.functional import as_float, check_finite, jacobian_log_determinant, of_stored
from zspace.functional.sheets import PAPER
from zspace.functional.tensors import doubled
from zspace.generation.fit import read_sampler, refit_sampler
from zspace.metrics import Figure, jackknife
from zspace.nets.layers import fused
from zspace.options import comma_names
from zspace.recipes import catalogue
from zspace.storage.files import atomic
from zspace.storage.run import Run

SHOWN = 100
"""The number of images of either kind on the picture, as in GEN's Figure 4."""

ENTRIES = 1 << 17
"""The number of Jacobians' elements computed at a time, small enough for the CPU's cache."""

DERIVED = 1 << 20
"""The same for one image with a large Jacobian, whose columns are then computed in several goes."""

PERFECT = 1e-12
"""The mean squared error of a pixel up to which a reconstruction is perfect."""

WRITTEN = 4096
"""The number of lines that are made at a time."""


@dataclass(frozen=True)
class Scores:
    """The novelty scores of N images, with the three parts of their log density, in nats.

        score = -log p(x) = -latent + volume - residual

    Attributes:
        latent: log p(z'), (N,), with z' = E(x).
        volume: 1/2 log det(J^T J), (N,), with J the decoder's Jacobian at z'.
        residual: log N(x; x', sigma^2 I), (N,), with x' = D(z').
        rank: the rank of J, (N,), which is below the code's size if the decoder ignores a
            direction.
    """

    latent: Tensor
    volume: Tensor
    residual: Tensor
    rank: Tensor

    @property
    def score(self) -> Tensor:
        """The scores -log p(x), (N,); higher is less probable."""
        return self.volume - self.latent - self.residual


@dataclass(frozen=True)
class Novelty:
    """The novelty scores of a data set.

    Attributes:
        scores: the scores, in the data's order.
        part: the images and their labels.
        classes: the names of the labels.
        known: which images have known labels, booleans (N,); None if no labels are known.
        variance: sigma^2, the mean squared error of a pixel.
        latent_dim: the size of a code.
        density: the name of the density of codes.
    """

    scores: Scores
    part: Part
    classes: tuple[str, ...]
    known: Tensor | None
    variance: float
    latent_dim: int
    density: str

    def auroc(self) -> Figure | None:
        """The area under the ROC curve of images with known labels against all others.

        Images whose label is unknown (-1) belong to neither set. It is None if either is empty.
        """
        known, others, score = self.known, self.others, self.scores.score
        if known is None or others is None or not bool(known.any()) or not bool(others.any()):
            return None
        return auroc(score[known], score[others])

    @property
    def others(self) -> Tensor | None:
        """Whether an image has a label, and none that is known, (N,); None without labels."""
        if self.known is None or self.part.y is None:
            return None
        return ~self.known & (self.part.y >= 0)

    def write(self, path: Path) -> None:
        """Write a CSV file with each image's index, label, score and the score's parts."""
        y, s = self.part.y, self.scores
        named = [] if y is None else ["label"]
        numbers = torch.stack([s.score, s.latent, s.volume, s.residual], 1)
        with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="") as text:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(["index", *named, "score", "latent", "volume", "residual"])
            rows = chain.from_iterable(block.tolist() for block in numbers.split(WRITTEN))
            for i, row in enumerate(rows):
                label = [] if y is None else [self.classes[int(y[i])] if y[i] >= 0 else ""]
                writer.writerow([i, *label, *(f"{value + 0.0:.6f}" for value in row)])

    def draw(self, path: Path) -> None:
        """Draw the 100 most probable images, on the left, and the 100 least (GEN, Figure 4).

        Both start from the top. If labels are known, only images of these are shown; if there are
        fewer than 200 images, half of them are on either side.
        """
        x, score = self.part.x, self.scores.score
        order = score.argsort(stable=True)
        if self.known is not None and bool(self.known.any()):
            order = order[self.known[order]]
        count = max(1, min(SHOWN, len(order) // 2))
        side = math.ceil(math.sqrt(count))
        blank = torch.full((1, *x.shape[1:]), PAPER[0] / 255)
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
    part: str | None = None,
    label: str | None = None,
    density: str | None = None,
    images: Images | None = None,
    checkpoint: str | int = "last",
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Novelty:
    """The novelty scores of images under a run's model.

    sigma^2 is the model's mean squared error on the run's validation part, or on its training part
    if there is none.

    Args:
        run: the run.
        data: other data than the run's own.
        data_dir: the folder that holds the files of a named set, or in which the run's own data
            are now.
        part: "train", "validation", "test" or "all"; None takes the test part or, of other files
            without parts, all.
        label: the names of the known labels, separated by commas; None takes the classes that the
            run was trained on, if these are not all.
        density: the density of codes: "prior" if the model's prior is a `Density`, or the name of a
            density that is fitted to the training codes. None takes the prior or, if the model has
            none, the only density that is stored in the run.
        images: the run's own data, if they have been read already.
        checkpoint: the checkpoint whose weights to use, its iteration or "last".
        device: "auto", "cpu", "cuda" or "mps".
        progress: told the progress of fitting and scoring.

    Raises:
        InputError: the run, the data, a label or the density can't be used.
    """
    model = api.load(run, checkpoint=checkpoint, device=device, progress=progress)
    held = [name for name in Run(run).samplers() if name in catalogue.densities()]
    if density is None:
        density = catalogue.usual(model, held)
    codes_density: Sampler | None = model.samplers().get(density)
    if density not in catalogue.OWN and issubclass(catalogue.find(density), Density):
        codes_density = read_sampler(run, density, model) or refit_sampler(
            run,
            density,
            model,
            images=images,
            data_dir=data_dir if data is None else None,
            progress=progress.about(f"fitting {density}"),
        )
    if not isinstance(codes_density, Density):
        if held:
            choice = f"the run holds {', '.join(held)}, of which --density takes one"
        else:
            fitted = catalogue.listed(catalogue.densities())
            choice = f"--density {fitted} fits one to its training codes"
        raise InputError(f"{run} has no {density} of known density: {choice}")
    chosen, classes = api.data_for(run, data, data_dir, part, progress)
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
    # the run's own validation part shows how well its model reconstructs the data it was made for
    held_out = "validation" if config.get("validation") != 0 else "train"
    if images is not None:
        measured = getattr(images, held_out)
    else:
        own = config["data"] is not None
        whose = None if own else data, None if own and data is not None else data_dir
        measured, _ = api.data_for(run, *whose, held_out)
    variance = error_variance(model, measured.x)
    scores = log_densities(model, chosen.x, codes_density, variance, progress)
    return Novelty(scores, chosen, classes, known, variance, model.latent_dim, density)


def error_variance(model: LatentModel, x: Tensor) -> float:
    """The mean squared error sigma^2 of a pixel in a model's reconstructions, at least `PERFECT`.

    Args:
        model: the model.
        x: images, uint8 (N, C, H, W), or vectors, float32 (N, D).
    """
    device = next(model.parameters()).device
    errors = of_stored(
        lambda b: (model.decode(model.encode(b)) - b).square().flatten(1).mean(1), x, device
    )
    # a perfect reconstruction would have an infinite density
    check_finite(errors, "reconstruction errors")
    return max(float(doubled(errors).mean()), PERFECT)


@torch.no_grad()
def log_densities(
    model: LatentModel, x: Tensor, density: Density, variance: float, progress: Progress = SILENT
) -> Scores:
    """The novelty scores of images or vectors under a model and a density of its codes.

        log p(x) = log p(z') - 1/2 log det(J^T J) + log N(x; x', sigma^2 I)

    If reconstructions are perfect, as of codes that are the data themselves, there is no error, and
    the last term is 0.

    This is the code's density in latent space, carried to data space by the decoder, times the
    density of the error, which lies off the decoder's manifold.

    Args:
        model: the model, in eval mode, so that images do not affect each other.
        x: images, uint8 (N, C, H, W), or vectors, float32 (N, D).
        density: the density of codes, on the model's device.
        variance: sigma^2, which `error_variance` gives for held-out images.
        progress: told the number of images that are done.

    Raises:
        InputError: codes are larger than the data, or the decoder is constant around a code.

    Reference: Saha et al., GEN, Eq. 10 and 11.
    """
    model = fused(model)
    size, dim = prod(x.shape[1:]), model.latent_dim
    if dim > size:
        raise InputError(
            f"codes of size {dim} are larger than the data, which have {size} numbers: the decoder "
            "can't be inverted, and gives no density"
        )
    device = next(model.parameters()).device
    width = size * math.log(2 * math.pi * variance) if variance > PERFECT else 0.0
    rows = max(1, min(256, ENTRIES // (dim * size)))
    directions = max(1, min(dim, DERIVED // size))
    parts: list[tuple[Tensor, ...]] = []
    scoring = progress.about("scoring")
    for start in range(0, len(x), rows):
        block = as_float(x[start : start + rows].to(device))
        z = model.encode(block)
        error = (model.decode(z) - block).flatten(1).square().sum(1).cpu().double()
        latent = density.log_density(z).cpu().double()
        volume, rank = jacobian_log_determinant(model.decode, z, directions=directions)
        if variance <= PERFECT:  # what is left of a perfect reconstruction is rounding
            error = (error - size * PERFECT).clamp(min=0)
        residual = -0.5 * (error / variance + width)
        parts.append((latent, volume, residual, rank))
        scoring(min(start + rows, len(x)), len(x))
    return Scores(*(torch.cat(t) for t in zip(*parts, strict=True)))


def auroc(inliers: Tensor, outliers: Tensor) -> Figure:
    """The area under the ROC curve, with an error by the jackknife.

    It is the probability that an outlier has a higher score than an inlier, with ties counting
    half.

    Args:
        inliers, outliers: scores (N,) and (M,), which may be infinite.

    Raises:
        InputError: a score is NaN.
    """
    from scipy.stats import rankdata
    from sklearn.metrics import roc_auc_score

    if bool(torch.cat([inliers, outliers]).isnan().any()):
        raise InputError("some scores are NaN: the density says nothing of these images")

    def area(a: Tensor, b: Tensor) -> float:
        truth = torch.cat([torch.zeros(len(a)), torch.ones(len(b))])
        # ranks have the same area, and are finite where a density vanishes
        ranks = rankdata(torch.cat([a, b]).numpy())
        return float(roc_auc_score(truth.numpy(), ranks))

    groups = min(20, len(inliers) // 2, len(outliers) // 2)
    if groups < 2:
        return Figure(area(inliers, outliers), math.nan)
    return jackknife(area, inliers, outliers, groups=groups)
