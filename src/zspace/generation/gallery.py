"""Pictures of latents and their convex combinations (ReGene, Figures 4, 7 to 14, B.18 to E.45)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from zspace.core import LatentModel
from zspace.data.images import Part
from zspace.display import plots
from zspace.display.pictures import interpolation_rows
from zspace.errors import InputError
from zspace.features.classifier import Arch, Neutral, Task
from zspace.features.extract import find_extractor
from zspace.features.weights import find_weights
from zspace.functional import as_float, blockwise, similarity_window, structural_similarity
from zspace.functional.sheets import PAPER
from zspace.generation.combine import generate
from zspace.metrics import nearest
from zspace.samplers import Convex

FEATURES_BLOCK = 32
"""The number of images whose features are computed at a time."""


@dataclass(frozen=True)
class Sheet:
    """A sheet of images in rows.

    Attributes:
        x: images (N, C, H, W) in [0, 1].
        columns: the number of images in a row.
        framed: the indices of images that get a frame.
    """

    x: Tensor
    columns: int
    framed: Sequence[int] = ()

    def save(self, path: Path) -> None:
        """Write the sheet to a PNG file."""
        plots.save_sheet(path, self.x, self.columns, self.framed)


@dataclass(frozen=True)
class Gallery:
    """The objects from which sheets are made.

    Attributes:
        model: the model that decodes.
        convex: the sampler of convex combinations, fitted to the codes of the training images.
        train: the training images, with labels.
        classes: the names of the labels.
        generator: the random generator, on the model's device.
        features: maps images in [0, 1] to vectors by which images are matched; None leaves such
            matches out.
    """

    model: LatentModel
    convex: Convex
    train: Part
    classes: Sequence[str]
    generator: torch.Generator
    features: Callable[[Tensor], Tensor] | None = None

    def decoded(self, z: Tensor) -> Tensor:
        """The images (N, C, H, W) in [0, 1] that codes (N, D) decode to, on the CPU."""
        with torch.no_grad():
            return blockwise(self.model.decode, z).cpu()

    def originals(self, rows: Tensor) -> Tensor:
        """The training images at some rows (N,), floats (N, C, H, W) in [0, 1]."""
        return as_float(self.train.x[rows.cpu()])

    def some(self, label: int, n: int) -> tuple[Tensor, Tensor]:
        """Random codes of a class, all different, with their images.

        Args:
            label: the label of the class.
            n: the number of codes.

        Raises:
            InputError: the class has fewer images.
        """
        own = (self.convex.owners == label).nonzero()[:, 0]
        if len(own) < n:
            raise InputError(f"class {self.classes[label]} has {len(own)} images: {n} are needed")
        device = self.generator.device
        chosen = own[torch.randperm(len(own), generator=self.generator, device=device)[:n]]
        return self.convex.codes[chosen], self.originals(self.convex.rows[chosen])

    def blank(self, n: int) -> Tensor:
        """Images of the sheet's background colour, (n, C, H, W), for empty cells."""
        return torch.full((n, *self.train.x.shape[1:]), PAPER[0] / 255)


def collage(of: Gallery, labels: Sequence[int], columns: int = 12) -> Sheet:
    """A sheet with a row of generated images for each class (Figures D.22 to D.27).

    Args:
        of: the gallery.
        labels: the labels of the classes.
        columns: the number of images in a row.
    """
    rows = [
        of.decoded(of.convex.combined(columns, label, generator=of.generator).codes)
        for label in labels
    ]
    return Sheet(torch.cat(rows), columns)


def matrix(of: Gallery, labels: Sequence[int], count: int = 8) -> Sheet:
    """A sheet of pairwise combinations of images of a class (Figures 8 to 11).

    Each class has a block of rows, with framed source images along two edges. Entry (i, j) is
    D((z_i + z_j) / 2), so the diagonal shows the reconstructions.

    Args:
        of: the gallery.
        labels: the labels of the classes.
        count: the number of source images of each class.
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
    """A sheet of interpolations between two images of each class.

    The images between them are decoded from the points 0.1 to 0.9 on the line between their codes.
    """
    pairs = [of.some(label, 2)[1] for label in labels]
    device = of.generator.device
    a, b = (torch.stack([pair[i] for pair in pairs]).to(device) for i in (0, 1))
    x, columns = interpolation_rows(of.model, a, b, 11)
    ends = [i for i in range(len(x)) if i % columns in (0, columns - 1)]
    return Sheet(x.cpu(), columns, ends)


def overlay(of: Gallery, labels: Sequence[int], combine: Sequence[int] = (2, 3, 5)) -> Sheet:
    """A sheet that compares generated images with the means of their sources (Figure 7).

    It has a row for each class and each number of sources: the sources, the generated image
    (framed), and the mean of the sources' pixels with the weights of the combination.

    Args:
        of: the gallery.
        labels: the labels of the classes.
        combine: the numbers of sources.
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
    """A sheet of generated images, their siblings and their children (Figure 14).

    Each class has three rows: a first generation, a second one combined from its latents (siblings,
    framed), and a second one combined from its images, encoded again (children). The second
    generations combine four times as many images of the first as are shown.

    Args:
        of: the gallery.
        labels: the labels of the classes.
        count: the number of images in a row.
    """
    rows: list[Tensor] = []
    framed: list[int] = []
    for label in labels:
        state = of.generator.get_state()
        for origin in ("latents", "images"):
            of.generator.set_state(state)  # the same first generation for both
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
    """The function that computes VGG16's features, or None if its weights are missing.

    The weights are read when features are first computed.
    """

    def no_classifier(task: Task, arch: Arch) -> Neutral:
        raise AssertionError("VGG16 is no classifier of the data")

    @cache
    def compute() -> Callable[[Tensor], Tensor]:
        return find_extractor("vgg16", no_classifier, device).compute

    return None if find_weights("vgg16") is None else lambda x: compute()(x)


@dataclass(frozen=True)
class Matches:
    """The k best matches of each of N images by one measure.

    Attributes:
        indices: the indices of the matches (N, k).
        values: the measure (N, k).
    """

    indices: Tensor
    values: Tensor


def by_squares(queries: Tensor, reference: Tensor, k: int) -> Matches:
    """The k matches of least mean squared error.

    Args:
        queries, reference: images or vectors (N, ...) and (M, ...) of the same sample shape.
        k: the number of matches.
    """
    distances, indices = nearest(queries.flatten(1), reference.flatten(1), k)
    return Matches(indices.cpu(), (distances.square() / queries[0].numel()).cpu())


def by_similarity(queries: Tensor, reference: Tensor, k: int) -> Matches:
    """The k matches of largest structural similarity.

    Args:
        queries, reference: images (N, C, H, W) and (M, C, H, W) in [0, 1].
        k: the number of matches.
    """
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
    """A sheet of generated images and the nearest training images (Figure 12, E.1).

    Each class has three rows. The first shows a source image, the generated image (framed), another
    source image, and the k nearest training images of the class by MSE, by SSIM and, if available,
    by features. The second shows the nearest reconstructions of training images by the same
    measures, the third the training images with the nearest latents.

    Args:
        of: the gallery.
        labels: the labels of the classes.
        k: the number of nearest images.

    Returns the sheet, and for each measure the nearest image's values, one for each class.
    Raises:
        InputError: a class has fewer than k images.
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
    """A sheet of generated images and the nearest other generated images (Figure 13, E.2).

    Each class has two rows, each with an image (framed) and the nearest of others of the class: by
    MSE, and by SSIM.

    Args:
        of: the gallery.
        labels: the labels of the classes.
        count: the number of other images.
        k: the number of nearest images that are shown.

    Returns the sheet, and for each measure the nearest image's values, one for each class.
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


SHEETS: dict[str, tuple[Callable[[Gallery, Sequence[int]], Sheet], str]] = {
    "collage": (collage, "a row of generations for each class"),
    "matrix": (matrix, "pairwise combinations, the sources on the edges"),
    "interpolation": (interpolation, "interpolations between two images of a class, at 0.1 to 0.9"),
    "overlay": (overlay, "sources, the generation, and the sources laid over one another"),
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
"""The sheets of images by name, with descriptions."""
