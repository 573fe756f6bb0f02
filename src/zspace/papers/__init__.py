"""The papers' tables and figures as experiments, in a file or a folder for each paper.

Each runs at three scales: `smoke` (two minutes at most, to see that it runs), `small` (for two CPU
cores, with its reductions stated) and `paper` (the paper's settings, for a GPU).
"""

from __future__ import annotations

from zspace.errors import unknown
from zspace.papers import categorical, colour, judges, systems
from zspace.papers.base import Experiment, reproduce
from zspace.papers.flexae import images, synthetic
from zspace.papers.gen import experiments as gen
from zspace.papers.lsrgan import experiments as lsrgan
from zspace.papers.regene import experiments as regene
from zspace.papers.samplers import experiments as samplers

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


_PICTURES = {
    **dict.fromkeys(
        (
            "flexae/fig4",
            "flexae/fig6",
            "flexae/fig10",
            "regene/fig13",
            "regene/collage",
            "all/conditional",
        ),
        "small, on MNIST",
    ),
    "all/samplers": "small, on MNIST and Fashion-MNIST",
    **dict.fromkeys(
        ("lsrgan/fig1", "lsrgan/fig2", "lsrgan/fig3", "lsrgan/fig9"), "small, on Fashion-MNIST"
    ),
}
"""Experiments run beyond scale smoke, of which docs/results has pictures or pages alone."""


def ran() -> dict[str, str]:
    """The experiments that were run here beyond scale smoke, each with its scales and data.

    These are those of the stored results, and those of which docs/results has pictures or pages
    alone. At scale smoke, all were run.
    """
    from zspace.papers.claims import read_results

    on: dict[str, dict[str, list[str]]] = {}
    for table in read_results():
        data: str | None = table["data"]
        own = on.setdefault(table["experiment"], {}).setdefault(table["scale"], [])
        title = "" if data is None else TITLES.get(data, data)
        if title and title not in own:
            own.append(title)
    found = {
        name: "; ".join(
            f"{scale}, on {' and '.join(data)}" if data else scale for scale, data in scales.items()
        )
        for name, scales in on.items()
    }
    return {**_PICTURES, **found}


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


__all__ = ["EXPERIMENTS", "Experiment", "find", "ran", "reproduce"]
