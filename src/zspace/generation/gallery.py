"""Pictures of latents and their convex combinations (ReGene, Figures 4, 7 to 14, B.18 to E.45)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zspace.core import LatentModel, codes
from zspace.data.images import Part
from zspace.display import plots
from zspace.display.pictures import interpolation_rows
from zspace.errors import InputError
from zspace.features.classifier import Neutral
from zspace.features.extract import find_extractor
from zspace.features.weights import find_weights
from zspace.functional import as_float, blockwise, similarity_window, structural_similarity
from zspace.generation.combine import generate
from zspace.metrics import nearest
from zspace.samplers import Convex

FEATURES_BLOCK = 32
"""Images whose features are computed at a time."""


@dataclass(frozen=True)
class Sheet:
    """Images (N, C, H, W) in [0, 1] in rows of `columns`, some of them framed."""

    x: Tensor
    columns: int
    framed: Sequence[int] = ()

    def save(self, path: Path) -> None:
        plots.save_sheet(path, self.x, self.columns, self.framed)


@dataclass(frozen=True)
class Gallery:
    """What pictures are made of: a model, its convex combinations, the training images.

    Attributes:
        convex: fitted to the codes of these training images.
        generator: on the model's device.
        features: images in [0, 1] to vectors, to match by; None: not by features.
    """

    model: LatentModel
    convex: Convex
    train: Part
    classes: Sequence[str]
    generator: torch.Generator
    features: Callable[[Tensor], Tensor] | None = None

    def decoded(self, z: Tensor) -> Tensor:
        with torch.no_grad():
            return blockwise(self.model.decode, z).cpu()

    def originals(self, rows: Tensor) -> Tensor:
        return as_float(self.train.x[rows.cpu()])

    def some(self, label: int, n: int) -> tuple[Tensor, Tensor]:
        """n different codes of a class, and the images that they are of."""
        own = (self.convex.owners == label).nonzero()[:, 0]
        if len(own) < n:
            raise InputError(f"class {self.classes[label]} has {len(own)} images: {n} are needed")
        device = self.generator.device
        chosen = own[torch.randperm(len(own), generator=self.generator, device=device)[:n]]
        return self.convex.codes[chosen], self.originals(self.convex.rows[chosen])

    def blank(self, n: int) -> Tensor:
        """Cells of the sheet's own colour."""
        return torch.full((n, *self.train.x.shape[1:]), plots.PAPER[0] / 255)


def collage(of: Gallery, labels: Sequence[int], columns: int = 12) -> Sheet:
    """A row of generations for each class (Figures D.22 to D.27)."""
    rows = [
        of.decoded(of.convex.combined(columns, label, generator=of.generator).codes)
        for label in labels
    ]
    return Sheet(torch.cat(rows), columns)


def matrix(of: Gallery, labels: Sequence[int], count: int = 8) -> Sheet:
    """Pairwise combinations of images of a class, sources framed on the edges (Figures 8 to 11).

    Entry (i, j) is D((z_i + z_j) / 2); on the diagonal stand the reconstructions. One block of rows
    for each class.
    """
    blocks: list[Tensor] = []
    framed: list[int] = []
    columns = count + 1
    for label in labels:
        z, x = of.some(label, count)
        pairs = (z[:, None] + z[None]) / 2
        inner = of.decoded(pairs.flatten(0, 1)).unflatten(0, (count, count))
        start = len(blocks) * columns * columns
        block = torch.cat([of.blank(1), x])[None]
        block = torch.cat([block, torch.cat([x[:, None], inner], 1)])
        blocks.append(block.flatten(0, 1))
        framed += [start + i for i in range(1, columns)]
        framed += [start + i * columns for i in range(1, columns)]
    return Sheet(torch.cat(blocks), columns, framed)


def interpolation(of: Gallery, labels: Sequence[int]) -> Sheet:
    """Two images of each class, and what is decoded between their codes at 0.1, ..., 0.9."""
    pairs = [of.some(label, 2)[1] for label in labels]
    device = of.generator.device
    a, b = (torch.stack([pair[i] for pair in pairs]).to(device) for i in (0, 1))
    x, columns = interpolation_rows(of.model, a, b, 11)
    ends = [i for i in range(len(x)) if i % columns in (0, columns - 1)]
    return Sheet(x.cpu(), columns, ends)


def overlay(of: Gallery, labels: Sequence[int], combine: Sequence[int] = (2, 3, 5)) -> Sheet:
    """For each class and n: the sources, the generation (framed), the sources' mean (Figure 7).

    A line for each class and n; the mean of the sources in pixel space, with the weights of the
    combination, shows what the generation is not.
    """
    width = max(combine)
    lines: list[Tensor] = []
    framed: list[int] = []
    for label in labels:
        for n in combine:
            convex = of.convex.changed(combine=n, weights="uniform")
            made = convex.combined(1, label, generator=of.generator)
            x = of.originals(made.sources[0])
            mean = (made.weights[0].cpu()[:, None, None, None] * x).sum(0, keepdim=True)
            framed.append(len(lines) * (width + 2) + width)
            lines.append(torch.cat([x, of.blank(width - n), of.decoded(made.codes), mean]))
    return Sheet(torch.cat(lines), width + 2, framed)


def family(of: Gallery, labels: Sequence[int], count: int = 8) -> Sheet:
    """Three rows for each class: Gen-1, its siblings (framed: from its latents), and its children
    (from its images, encoded again) (Figure 14).

    A further generation combines four times as many of the first as are shown.
    """
    rows: list[Tensor] = []
    framed: list[int] = []
    for label in labels:
        state = of.generator.get_state()
        for origin in ("latents", "images"):
            of.generator.set_state(state)  # both of the same first generation
            first, second = generate(
                of.model,
                of.convex,
                4 * count,
                label,
                generations=2,
                origin=origin,
                generator=of.generator,
            )
            if origin == "latents":
                rows.append(as_float(first.x[:count]))
                framed += [len(rows) * count + i for i in range(count)]
            rows.append(as_float(second.x[:count]))
    return Sheet(torch.cat(rows), count, framed)


def vgg16_features(device: str = "auto") -> Callable[[Tensor], Tensor] | None:
    """VGG16's, where its weights are there; these are read when features are first asked for."""

    def no_classifier() -> Neutral:
        raise AssertionError("VGG16 is no classifier of the data")

    @cache
    def compute() -> Callable[[Tensor], Tensor]:
        return find_extractor("vgg16", no_classifier, device).compute

    return None if find_weights("vgg16") is None else lambda x: compute()(x)


@dataclass(frozen=True)
class Matches:
    """The nearest to each of N generations, in one way: numbers (N, k), and how near (N, k)."""

    indices: Tensor
    values: Tensor


def by_squares(queries: Tensor, reference: Tensor, k: int) -> Matches:
    """By increasing mean squared error."""
    distances, indices = nearest(queries.flatten(1), reference.flatten(1), k)
    return Matches(indices.cpu(), (distances.square() / queries[0].numel()).cpu())


def by_similarity(queries: Tensor, reference: Tensor, k: int) -> Matches:
    """By decreasing SSIM; all images (., C, H, W) in [0, 1]."""
    window = similarity_window(queries.shape)
    found: list[tuple[Tensor, Tensor]] = []
    for image in queries:
        each = [
            structural_similarity(image.expand_as(block), block, window)
            for block in reference.split(512)
        ]
        values, indices = torch.cat(each).topk(k)
        found.append((indices, values))
    return Matches(*(torch.stack(part) for part in zip(*found, strict=True)))


def closest(of: Gallery, labels: Sequence[int], k: int = 3) -> tuple[Sheet, dict[str, list[float]]]:
    """A generation of each class and the nearest of the class's training images (Figure 12, E.1).

    Three rows for each class. First: image 1, the generation (framed), image 2, and the k nearest
    originals by MSE, by SSIM, and by features where there are some. Second: likewise, among the
    reconstructions of the training images. Third: the k whose latents are nearest.

    Returns the sheet, and by way of matching the nearest value for each class.
    """
    ways: dict[str, Callable[[Tensor, Tensor, int], Matches]] = {
        "MSE": by_squares,
        "SSIM": by_similarity,
    }
    if (features := of.features) is not None:
        ways["features"] = lambda x, y, k: by_squares(
            features(x), blockwise(features, y, FEATURES_BLOCK), k
        )
    columns = 3 + k * len(ways)
    rows: list[Tensor] = []
    framed: list[int] = []
    values: dict[str, list[float]] = {}
    for label in labels:
        made = of.convex.combined(1, label, generator=of.generator)
        image = of.decoded(made.codes)
        sources = of.originals(made.sources[0, :2])
        own = (of.convex.owners == label).nonzero()[:, 0]
        if len(own) < k:
            raise InputError(
                f"class {of.classes[label]} has {len(own)} images: its {k} nearest can't be shown "
                "(--label leaves it out)"
            )
        z = of.convex.codes[own]
        originals, rebuilt = of.originals(of.convex.rows[own]), of.decoded(z)
        framed.append(len(rows) * columns + 1)
        for what, images in (("original", originals), ("reconstruction", rebuilt)):
            line = [sources[:1], image, sources[1:]] if what == "original" else [of.blank(3)]
            for way, match in ways.items():
                found = match(image, images, k)
                line.append(images[found.indices[0]])
                values.setdefault(f"{way}, {what}", []).append(float(found.values[0, 0]))
            rows.append(torch.cat(line))
        found = by_squares(made.codes, z, k)
        values.setdefault("MSE, latent", []).append(float(found.values[0, 0]))
        rows.append(
            torch.cat([of.blank(3), originals[found.indices[0]], of.blank(columns - 3 - k)])
        )
    return Sheet(torch.cat(rows), columns, framed), values


def closest_generations(
    of: Gallery, labels: Sequence[int], count: int = 500, k: int = 5
) -> tuple[Sheet, dict[str, list[float]]]:
    """A generation of each class (framed) and the nearest of `count` others (Figure 13, E.2).

    Two rows for each class: by MSE and by SSIM.
    """
    rows: list[Tensor] = []
    values: dict[str, list[float]] = {"MSE": [], "SSIM": []}
    for label in labels:
        x = of.decoded(of.convex.combined(count + 1, label, generator=of.generator).codes)
        for way, match in (("MSE", by_squares), ("SSIM", by_similarity)):
            found = match(x[:1], x[1:], k)
            rows.append(torch.cat([x[:1], x[1:][found.indices[0]]]))
            values[way].append(float(found.values[0, 0]))
    framed = [i * (k + 1) for i in range(len(rows))]
    return Sheet(torch.cat(rows), k + 1, framed), values


def class_means(z: Tensor, y: Tensor, classes: int) -> Tensor:
    """The mean activation (K, D) of each latent dimension over the codes of each class."""
    return torch.stack([z[y == label].mean(0) for label in range(classes)])


def sparsity(z: Tensor, share: float = 0.1) -> float:
    """The share of latent dimensions whose mean |activation| is below `share` of the largest.

    A number for what the paper's barcodes show: the dimensions that say nothing.
    """
    level = z.abs().mean(0)
    return float((level < share * level.max()).double().mean())


def barcodes(path: Path, spaces: dict[str, tuple[Tensor, Tensor]], classes: Sequence[str]) -> None:
    """Each class's mean activation by latent dimension, as a barcode, and as bars over all classes.

    Args:
        spaces: codes (N, D) and labels (N,) by title, one column of the figure each
            (Figures 4 and 5, B.19 and B.20).
    """
    fig, axes = plots.figure(len(spaces), 2, (5, 2.2))
    for column, (title, (z, y)) in enumerate(spaces.items()):
        means = class_means(z, y, len(classes)).numpy()
        axes[0, column].imshow(means, aspect="auto", cmap="gray_r", interpolation="nearest")
        axes[0, column].set_yticks(range(len(classes)), classes, fontsize=6)
        axes[0, column].set_title(f"{title}\n{sparsity(z):.0%} of {z.shape[1]} near 0", fontsize=8)
        level = z.abs().mean(0).numpy()
        axes[1, column].bar(range(len(level)), level, width=1.0)
        axes[1, column].set_xlabel("latent dimension", fontsize=7)
        for axis in axes[:, column]:
            axis.tick_params(labelsize=6)
    axes[1, 0].set_ylabel("mean |activation|", fontsize=7)
    plots.save_figure(path, fig)


def tsne(path: Path, spaces: dict[str, tuple[Tensor, Tensor]], classes: Sequence[str]) -> None:
    """t-SNE of codes (N, D) in the colours of their labels (N,), by title (Figures 3, 4, B.18)."""
    from sklearn.manifold import TSNE

    fig, axes = plots.figure(len(spaces), 1, (3.6, 3.6))
    for axis, (title, (z, y)) in zip(axes.flat, spaces.items(), strict=True):
        if len(z) < 10:
            raise InputError(f"{len(z)} codes are too few for a map: 10 at least")
        perplexity = min(30.0, (len(z) - 1) / 3)
        points: Any = TSNE(perplexity=perplexity, random_state=0, init="pca").fit_transform(
            z.numpy()
        )
        for label, name in enumerate(classes):
            axis.scatter(
                *points[(y == label).numpy()].T,
                s=2,
                linewidths=0,
                label=name,
                color=f"C{label % 10}",
            )
        axis.set_title(title, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    axes.flat[-1].legend(fontsize=6, markerscale=4, loc="center left", bbox_to_anchor=(1, 0.5))
    plots.save_figure(path, fig)


def some_codes(model: LatentModel, part: Part, n: int = 2000) -> tuple[Tensor, Tensor]:
    """Codes of n images, chosen at random, and their labels."""
    assert part.y is not None
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:n]
    chosen = part.take(order)
    assert chosen.y is not None
    return codes(model, chosen.x).cpu(), chosen.y


SHEETS: dict[str, tuple[Callable[[Gallery, Sequence[int]], Sheet], str]] = {
    "collage": (collage, "a row of generations for each class"),
    "matrix": (matrix, "pairwise combinations, the sources on the edges"),
    "interpolation": (interpolation, "between two images of a class, at 0.1 to 0.9"),
    "overlay": (overlay, "sources, generation, and the sources laid over one another"),
    "family": (family, "generations, their siblings, their children"),
    "closest": (
        lambda of, labels: closest(of, labels)[0],
        "the nearest training images, reconstructions and latents",
    ),
    "closest-generations": (
        lambda of, labels: closest_generations(of, labels)[0],
        "the nearest of other generations",
    ),
}
"""Sheets of images by name, and what is on them."""

MAPS: dict[
    str, tuple[Callable[[Path, dict[str, tuple[Tensor, Tensor]], Sequence[str]], None], str]
] = {
    "barcodes": (barcodes, "each class's mean activation by latent dimension"),
    "tsne": (tsne, "a map of the codes in the colours of their classes"),
}
"""Pictures of the codes themselves."""
