"""Pictures of the codes themselves, of any model (ReGene, Figures 3, 4 and B.18 to B.20)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zspace.core import LatentModel, codes
from zspace.data.images import Part
from zspace.display import plots
from zspace.errors import InputError

LEAST = 10
"""The number of codes from which a curved map can be made."""


def class_means(z: Tensor, y: Tensor, classes: int) -> Tensor:
    """The mean activation of each latent dimension over the codes of each class, (K, D).

    Args:
        z, y: codes (N, D) and labels (N,).
        classes: K, the number of classes.
    """
    return torch.stack([z[y == label].mean(0) for label in range(classes)])


def sparsity(z: Tensor, share: float = 0.1) -> float:
    """The share of latent dimensions whose mean |activation| is below `share` of the largest.

    It measures what the paper's barcodes show, dimensions without information.
    """
    level = z.abs().mean(0)
    return float((level < share * level.max()).double().mean())


def barcodes(path: Path, spaces: dict[str, tuple[Tensor, Tensor]], classes: Sequence[str]) -> None:
    """Write a picture of the mean activations of latent dimensions (Figures 4, 5, B.19 and B.20).

    Each column shows the activations of each class as barcodes, and those of all classes as bars.

    Args:
        path: the file.
        spaces: codes (N, D) and labels (N,) by title, one column for each.
        classes: the names of the labels.
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


def latent_map(z: Tensor, method: str = "tsne", seed: int = 0) -> npt.NDArray[np.float64]:
    """A map of codes (N, D) in the plane, (N, 2): the codes themselves for D = 2.

    For larger D it is made by scikit-learn's t-SNE or PCA with their defaults (perplexity 30, less
    for few codes). Codes that are all equal lie at one point.

    Args:
        z: codes (N, D).
        method: "tsne" or "pca".
        seed: the seed of the method.

    Reference: van der Maaten and Hinton (2008) for t-SNE.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    x = z.cpu().double().numpy()
    if x.shape[1] <= 2:
        return np.pad(x, ((0, 0), (0, 2 - x.shape[1])))
    if not float(np.ptp(x, axis=0).max()) > 1e-6:  # all codes are equal
        return np.zeros((len(x), 2))
    if method == "pca":
        return PCA(2, random_state=seed).fit_transform(x)
    return TSNE(perplexity=min(30, (len(x) - 1) / 3), random_state=seed).fit_transform(x)


def tsne(path: Path, spaces: dict[str, tuple[Tensor, Tensor]], classes: Sequence[str]) -> None:
    """Write a picture of t-SNE maps of codes, in the colours of their labels (Figures 3, 4, B.18).

    Codes of two numbers or fewer are shown as they are.

    Args:
        path: the file.
        spaces: codes (N, D) and labels (N,) by title, one map for each.
        classes: the names of the labels.

    Raises:
        InputError: there are fewer than `LEAST` codes.
    """
    fig, axes = plots.figure(len(spaces), 1, (3.6, 3.6))
    for axis, (title, (z, y)) in zip(axes.flat, spaces.items(), strict=True):
        if len(z) < LEAST:
            raise InputError(f"{len(z)} codes are too few for a map: {LEAST} at least")
        points = latent_map(z)
        for label, name in enumerate(classes):
            axis.scatter(
                *points[(y == label).numpy()].T,
                s=2,
                linewidths=0,
                label=plots.entry(name),
                color=f"C{label % 10}",
            )
        axis.set_title(title, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    axes.flat[-1].legend(fontsize=6, markerscale=4, loc="center left", bbox_to_anchor=(1, 0.5))
    plots.save_figure(path, fig)


def some_codes(model: LatentModel, part: Part, n: int = 2000) -> tuple[Tensor, Tensor]:
    """The codes and labels of n random images of a part, always the same ones."""
    assert part.y is not None
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:n]
    chosen = part.take(order)
    assert chosen.y is not None
    return codes(model, chosen.x).cpu(), chosen.y


MAPS: dict[
    str, tuple[Callable[[Path, dict[str, tuple[Tensor, Tensor]], Sequence[str]], None], str]
] = {
    "barcodes": (barcodes, "each class's mean activation by latent dimension"),
    "tsne": (tsne, "a map of the codes in the colours of their classes"),
}
"""The pictures of codes by name, with descriptions."""
