"""Figures draw names as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from zspace.display import plots

NAMES = ["$", "a$b$c", r"$\frac{", r"\$x$ \alpha", "日本 😀", "_{^", "\x07"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_no_formula(tmp_path: Path, name: str) -> None:
    plots.save_strips(tmp_path / "x.png", {name: torch.rand(2, 1, 8, 8)})
    fig, axes = plots.figure(1, 1)
    axes[0, 0].plot([1, 2], [1, 2], label=plots.entry(name))
    axes[0, 0].set_xticks([1, 2], [name, "b"])
    axes[0, 0].legend()
    plots.save_figure(tmp_path / "y.png", fig)
    for picture in ("x.png", "y.png"):
        with Image.open(tmp_path / picture) as opened:
            assert len(opened.convert("L").getcolors() or ()) > 1, picture


@pytest.mark.parametrize("length", [1, 30, 90])
def test_the_names_of_strips_are_drawn_in_full(tmp_path: Path, length: int) -> None:
    plots.save_strips(tmp_path / "x.png", {"N" * length: torch.rand(4, 1, 8, 8)})
    drawn = np.asarray(Image.open(tmp_path / "x.png").convert("L"))
    assert drawn[:, 0].min() == 255


def test_a_name_in_dollars_is_drawn_letter_for_letter(tmp_path: Path) -> None:
    def drawn(title: str, math: bool) -> np.ndarray:
        fig, axes = plots.figure(1, 1)
        axes[0, 0].set_title(title, parse_math=math)
        plots.save_figure(tmp_path / "x.png", fig)
        return np.asarray(Image.open(tmp_path / "x.png"))

    assert np.array_equal(drawn("$x$ and $y$", True), drawn("$x$ and $y$", False))


def test_powers_on_a_logarithmic_axis_stay_formulas(tmp_path: Path) -> None:
    fig, axes = plots.figure(1, 1)
    axes[0, 0].loglog([1, 1e5], [1, 1e5])
    plots.save_figure(tmp_path / "x.png", fig)
    labels = axes[0, 0].get_xticklabels()
    assert any("10^{" in label.get_text() for label in labels)
    assert all(label.get_parse_math() for label in labels)


def test_a_matrix_of_many_classes_is_no_larger_than_one_of_a_hundred(tmp_path: Path) -> None:
    counts = torch.eye(900).tolist()
    plots.confusions(tmp_path / "x.png", {"a": counts}, [str(i) for i in range(900)])
    with Image.open(tmp_path / "x.png") as image:
        assert max(image.size) <= 6000


def test_of_many_losses_the_first_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "MOST_LOSSES", 2)
    line = {"iteration": 1.0} | {f"loss{i}": float(i) for i in range(700)}
    plots.losses(tmp_path / "many.png", [line])
    plots.losses(tmp_path / "few.png", [dict([*line.items()][:3])])
    assert (tmp_path / "many.png").read_bytes() == (tmp_path / "few.png").read_bytes()


@pytest.mark.parametrize("count", [1, 2, 4, 7, 13])
def test_plots_of_losses_do_not_lie_over_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(plots, "save_figure", lambda _, fig: figures.append(fig))
    sizes = [1e-9, 1e9, 1, -1e-4, 123_456, -1]
    log = [
        {
            "iteration": i,
            **{f"regulariser.loss{k}": 5e3 * (k % 2) + i * sizes[k % 6] for k in range(count)},
        }
        for i in (1.0, 1e6, 2e6)
    ]
    plots.losses(tmp_path / "x.png", log)
    (fig,) = figures
    fig.canvas.draw()
    boxes = [axis.get_tightbbox() for axis in fig.axes if axis.axison]
    assert len(boxes) == count
    for i, box in enumerate(boxes):
        assert fig.bbox.x0 <= box.x0 < box.x1 <= fig.bbox.x1
        assert fig.bbox.y0 <= box.y0 < box.y1 <= fig.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:i])
