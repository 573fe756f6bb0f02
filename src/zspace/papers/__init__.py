"""The papers' tables and figures as experiments, one file per paper.

Each runs at three scales: `smoke` (two minutes at most: that it runs), `small` (made for two CPU
cores; its reductions are stated) and `paper` (the paper's settings, for a GPU).
"""

from __future__ import annotations

from zspace.errors import unknown
from zspace.papers import categorical, flexae, flexae_images, gen, lsrgan, regene, systems
from zspace.papers.base import Experiment, reproduce

EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for paper in (flexae, flexae_images, gen, regene, categorical, lsrgan, systems)
    for e in paper.EXPERIMENTS
}


def find(name: str) -> Experiment:
    """The experiment of that name. `InputError` for an unknown one, with the nearest name."""
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


__all__ = ["EXPERIMENTS", "Experiment", "find", "reproduce"]
