"""The report of a run, an HTML file with pictures that loads nothing from outside."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from zspace.display import pictures, plots
from zspace.display.tables import framed, page
from zspace.evaluation.compare import evaluation_table
from zspace.evaluation.diagnose import Finding
from zspace.evaluation.measurement import Measurement, generated, own_samplers
from zspace.evaluation.neighbours import neighbours
from zspace.functional import as_float
from zspace.generation.maps import latent_map
from zspace.storage.config import dump_config

MAPPED = 2000
"""The number of test codes on a map."""


def report(
    measurement: Measurement,
    evaluation: Mapping[str, Any],
    findings: Sequence[Finding],
    *,
    kind: str = "tsne",
) -> str:
    """The report of a run, as a complete HTML page.

    Args:
        measurement: the measurement of the run.
        evaluation: the result of `evaluate`.
        findings: the result of `diagnose`.
        kind: the method of the map of codes, "tsne" or "pca".
    """
    run = measurement.run
    parts: list[str] = [_facts(evaluation), "<h2>Figures</h2>"]
    parts += [table.html() for table in evaluation_table(evaluation)]
    parts.append(
        "<p>Each figure with its standard error. ↑ higher, ↓ lower is better. Reference: "
        f"{evaluation['n']} test images.</p>"
    )
    parts += [f"<p>{html.escape(note)}</p>" for note in evaluation["notes"]]
    parts.append("<h2>Diagnosis</h2><ul>")
    parts += [
        f'<li class="{"warning" if f.fault else "ok"}">{html.escape(f.name)}: '
        f"{html.escape(f.words)}</li>"
        for f in findings
    ]
    parts.append("</ul><h2>Pictures</h2>")
    with tempfile.TemporaryDirectory() as folder:
        parts += [framed(title, path) for title, path in _pictures(measurement, Path(folder), kind)]
    parts += ["<h2>Configuration</h2>", f"<pre>{html.escape(dump_config(run.config))}</pre>"]
    return page(f"zspace: {run.folder.resolve().name}", "\n".join(parts))


def _facts(evaluation: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{k} {v}" for k, v in evaluation["versions"].items())
    return (
        f"<p>{html.escape(str(evaluation['recipe']))} on {html.escape(evaluation['data'])}; "
        f"features: {html.escape(evaluation['features'])}; n = {evaluation['n']}, seed "
        f"{evaluation['seed']}; {html.escape(versions)}</p>"
    )


def _pictures(measurement: Measurement, folder: Path, kind: str) -> list[tuple[str, Path]]:
    device = next(measurement.model.parameters()).device
    x = as_float(measurement.test[:32].to(device))
    made: list[tuple[str, Path]] = []

    def add(title: str) -> Path:
        path = folder / f"{len(made)}.png"
        made.append((title, path))
        return path

    log = measurement.run.losses()
    if log:
        plots.losses(add("losses of the training"), log)
    for name in own_samplers(measurement):
        drawn = generated(measurement, name, 64 if measurement.images.is_image else None)
        if measurement.images.is_image:
            plots.save_sheet(add(f"samples: {name}"), as_float(drawn.x))
        else:
            plots.scatters(add(f"samples: {name}"), {"test": measurement.test, name: drawn.x})
    if measurement.images.is_image:
        rows = pictures.reconstruction_rows(measurement.model, x[:32])
        plots.save_sheet(add("test images above their reconstructions"), *rows)
        if len(x) >= 16:
            rows = pictures.interpolation_rows(measurement.model, x[:8], x[8:16])
            plots.save_sheet(add("from one test image to another, along a line of codes"), *rows)
        found = neighbours(
            measurement, own_samplers(measurement)[0], n=6, k=min(6, len(measurement.images.train))
        )
        sheet, columns = found.rows(measurement.images.train.x)
        title = "generated (first column), with its nearest training images by pixels"
        if found.features != "pixels":
            title = (
                f"generated (columns 1 and {columns // 2 + 1}), with its nearest training images "
                f"by pixels (left) and by the features {found.features} (right)"
            )
        plots.save_sheet(add(title), sheet, columns)
    labels = None if measurement.labels is None else measurement.labels[:MAPPED]
    how = kind if measurement.model.latent_dim > 2 else "as they are"
    points = latent_map(measurement.means[:MAPPED], kind, measurement.seed)
    _map(add(f"codes of test images ({how})"), points, labels, measurement.images.classes)
    return made


def _map(
    path: Path, points: npt.NDArray[np.float64], labels: Tensor | None, classes: Sequence[str]
) -> None:
    fig, axes = plots.figure(1, 1, (7, 6))
    axis = axes[0, 0]
    if labels is None:
        axis.scatter(*points.T, s=6, linewidths=0)
    else:
        from matplotlib import colormaps

        known = dict(enumerate(classes)) | {-1: "unknown"}
        names = [known.get(k, str(k)) for k in labels.unique().tolist()]
        colours = colormaps["tab10" if len(names) <= 10 else "nipy_spectral"]
        for i, (label, name) in enumerate(zip(labels.unique().tolist(), names, strict=True)):
            own = points[(labels == label).numpy()]
            colour = colours(i if len(names) <= 10 else i / (len(names) - 1))
            axis.scatter(*own.T, s=6, linewidths=0, color=colour, label=plots.entry(str(name)))
        if len(names) <= 20:
            axis.legend(fontsize=8, markerscale=2, loc="upper left", bbox_to_anchor=(1, 1))
    axis.set_xticks([])
    axis.set_yticks([])
    plots.save_figure(path, fig)
