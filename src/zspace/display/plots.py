"""Pictures of tensors: sheets of images, scatter plots of vectors, and curves of losses."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from zspace.functional import check_finite
from zspace.functional.sheets import sheet, to_uint8
from zspace.storage.files import atomic


def save_sheet(
    path: Path, x: Tensor, columns: int | None = None, framed: Collection[int] = ()
) -> None:
    """Write a `sheet` of images to a PNG file, atomically."""
    with atomic(path) as partial:
        sheet(x, columns, framed).save(partial, format="PNG")


def figure(columns: int = 1, rows: int = 1, size: tuple[float, float] = (5, 4)) -> tuple[Any, Any]:
    """A matplotlib figure and its array of axes (rows, columns).

    It needs no display and does not touch matplotlib's global state.

    Args:
        columns, rows: the numbers of axes.
        size: the width and height of one of the axes in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    FigureCanvasAgg(fig)
    return fig, fig.subplots(rows, columns, squeeze=False)


def entry(name: str) -> str:
    """A name as an entry of a legend, which leaves out what begins with "_"."""
    return f" {name}" if name.startswith("_") else name


def save_figure(path: Path, fig: Any, bounds: str | None = None) -> None:
    """Write a matplotlib figure to a file, atomically; the same figure gives the same bytes.

    Names are drawn as they are: a "$" in one begins no formula, and a character that the font lacks
    is drawn as a box.

    Args:
        path: the file.
        fig: the figure.
        bounds: "tight" for a picture of all that is drawn, however far it reaches; None for one of
            the figure's size.
    """
    from matplotlib.text import Text

    axes = [axis for each in fig.axes for axis in (each.xaxis, each.yaxis)]
    powers = [
        label for a in axes if a.get_scale() != "linear" for label in a.get_ticklabels(which="both")
    ]
    for text in fig.findobj(Text):
        text.set_parse_math(text in powers)
    with atomic(path) as partial, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        # no date or version, which would change the bytes
        fig.savefig(partial, dpi=110, metadata={"Software": None}, bbox_inches=bounds)


def save_strips(path: Path, strips: Mapping[str, Tensor]) -> None:
    """Write a picture with a row of images (N, C, H, W) for each name, shown at its left."""
    fig, axes = figure(1, len(strips), (8.5, 0.5))
    for axis, (name, x) in zip(axes.flat, strips.items(), strict=True):
        axis.imshow(np.concatenate(list(to_uint8(x)), 1), cmap="gray", vmin=0, vmax=255)
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    save_figure(path, fig, "tight")


MOST_SIDE = 36.0
"""The width and height of a matrix of confusions, in inches, at most."""


def confusions(
    path: Path, counts: Mapping[str, Sequence[Sequence[float]]], classes: Sequence[str]
) -> None:
    """Write confusion matrices side by side, each under its name.

    Args:
        path: the file.
        counts: the counts (K, K) by true class, from top to bottom, and by predicted class, by
            name. A cell is shaded by its share of its row; up to 20 classes, it has its percentage.
        classes: the names of the classes, which are shown up to about 100.
    """
    side = min(max(3.0, 0.34 * len(classes) + 1), MOST_SIDE)
    fig, axes = figure(len(counts), 1, (side, side))
    ticks = range(len(classes))
    for axis, (name, each) in zip(axes.flat, counts.items(), strict=True):
        table = np.asarray(each, dtype=np.float64)
        shares = table / np.maximum(table.sum(1, keepdims=True), 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("predicted", fontsize=8)
        axis.set_ylabel("true", fontsize=8)
        if side < MOST_SIDE:  # beyond that the names lie over one another
            axis.set_xticks(ticks, classes, rotation=90, fontsize=7)
            axis.set_yticks(ticks, classes, fontsize=7)
        for i, j in np.argwhere(shares >= 0.005) if len(classes) <= 20 else ():
            shade = "white" if shares[i, j] > 0.5 else "black"
            text = f"{100 * shares[i, j]:.0f}"
            axis.text(j, i, text, ha="center", va="center", fontsize=6, color=shade)
    save_figure(path, fig)


MOST_LOSSES = 48
"""The number of losses in a picture, at most; the methods have a dozen."""


def losses(path: Path, log: Sequence[Mapping[str, float]]) -> None:
    """Write a picture with a small plot of each loss in a log against the iteration.

    Of more than `MOST_LOSSES`, it has those that occur first.
    """
    names = [n for n in dict.fromkeys(n for line in log for n in line) if n != "iteration"]
    names = names[:MOST_LOSSES]
    columns = min(3, max(1, len(names)))
    rows = max(1, math.ceil(len(names) / columns))
    fig, axes = figure(columns, rows, (4, 2.6))
    # margins of fixed inches: a layout by what is drawn would draw all of it twice
    fig.set_layout_engine(None)
    side, above = 4 * columns, 2.6 * rows
    fig.subplots_adjust(0.6 / side, 0.45 / above, 1 - 0.1 / side, 1 - 0.3 / above, 0.2, 0.42)
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    steps = [line["iteration"] for line in log]
    for axis, name in zip(axes.flat, names, strict=False):
        axis.plot(steps, [line.get(name, math.nan) for line in log], linewidth=0.8)
        axis.set_title(name, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.set_xlabel("iteration", fontsize=7)
    save_figure(path, fig)


def scatters(path: Path, sets: Mapping[str, Tensor]) -> None:
    """Write scatter plots of sets of vectors (N, D), side by side, each under its name.

    All are projected onto the first two principal axes of the first set.

    Raises:
        InputError: they hold NaN or infinite numbers.
    """
    first = next(iter(sets.values())).cpu().double()
    centre = first.mean(0)
    axes2 = np.linalg.svd((first - centre).numpy(), full_matrices=False)[2][:2].T
    fig, axes = figure(len(sets), 1, (4, 4))
    for axis, (name, x) in zip(axes.flat, sets.items(), strict=True):
        points = (check_finite(x, name or "vectors").cpu().double() - centre).numpy() @ axes2
        axis.scatter(points[:, 0], points[:, -1], s=2, linewidths=0)
        axis.set_title(name, fontsize=10)
    low, high = _limits((first - centre).numpy() @ axes2)
    for axis in axes.flat:
        axis.set_xlim(low[0], high[0])
        axis.set_ylim(low[-1], high[-1])
    save_figure(path, fig)


def _limits(points: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    low, high = points.min(0), points.max(0)
    margin = 0.1 * (high - low) + 1e-9
    return low - margin, high + margin
