"""The papers' tables and figures as experiments, in a file or a folder for each paper.

Each runs at three scales: `smoke` (two minutes at most, to see that it runs), `small` (for two CPU
cores, with its reductions stated) and `paper` (the paper's settings, for a GPU).
"""

from __future__ import annotations

from itertools import starmap

from zspace.errors import unknown
from zspace.papers import categorical, colour, judges, systems
from zspace.papers.base import Experiment, is_finished, reproduce
from zspace.papers.flexae import images, synthetic
from zspace.papers.gen import experiments as gen
from zspace.papers.lsrgan import experiments as lsrgan
from zspace.papers.regene import experiments as regene
from zspace.papers.samplers import experiments as samplers
from zspace.recipes.catalogue import listed

EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for paper in (
        synthetic,
        images,
        gen,
        regene,
        categorical,
        lsrgan,
        systems,
        samplers,
        colour,
        judges,
    )
    for e in paper.EXPERIMENTS
}


_ON_PAGES = {
    "mnist": (
        "flexae/fig4 flexae/fig6 flexae/fig10 regene/fig12 regene/fig13 regene/collage "
        "all/samplers all/conditional"
    ),
    "fashion-mnist": (
        "flexae/fig7 lsrgan/fig1 lsrgan/fig2 lsrgan/fig3 lsrgan/fig9 categorical/fig1 all/samplers"
    ),
    "cifar10": (
        "flexae/fig8 flexae/fig16 flexae/fig17 regene/fig8 regene/collage lsrgan/fig3 lsrgan/fig9 "
        "categorical/fig1 all/colour-samplers"
    ),
    "celeba": (
        "flexae/fig9 flexae/fig11 flexae/fig12 flexae/fig13 flexae/fig18 flexae/fig19 gen/fig2 "
        "regene/fig9 regene/fig10 regene/collage all/colour-samplers"
    ),
}
"""By data set, what was run at scale small and has pictures or pages in docs/results alone."""


def ran() -> dict[str, str]:
    """The experiments that were run here beyond scale smoke, each with its scales and data.

    These are those of the stored results, and those of which docs/results has pictures or pages
    alone. At scale smoke, all were run.
    """
    from zspace.papers.claims import read_results

    stored = [(table["experiment"], table["scale"], table["data"]) for table in read_results()]
    shown = [(name, "small", data) for data, names in _ON_PAGES.items() for name in names.split()]
    on: dict[str, dict[str, set[str]]] = {}
    for name, scale, data in [*stored, *shown]:
        on.setdefault(name, {}).setdefault(scale, set()).update([data] if data else [])

    def said(scale: str, data: set[str]) -> str:
        titles = [title for name, title in TITLES.items() if name in data]
        return f"{scale}, on {listed(titles, 'and')}" if titles else scale

    return {name: "; ".join(starmap(said, scales.items())) for name, scales in on.items()}


TITLES = {
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "celeba": "CelebA",
    "digits": "the digits",
}
"""How data sets are called in a sentence."""


def find(name: str) -> Experiment:
    """The experiment of a given name.

    Raises:
        InputError: the name is unknown; the message suggests the most similar one.
    """
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


__all__ = ["EXPERIMENTS", "Experiment", "find", "is_finished", "ran", "reproduce"]
