"""The papers' tables and figures as experiments, in a file or a folder for each paper.

Each runs at three scales: `smoke` (two minutes at most, to see that it runs), `small` (for two CPU
cores, with its reductions stated) and `paper` (the paper's settings, for a GPU).
"""

from __future__ import annotations

from zspace.errors import unknown
from zspace.papers import categorical, colour, systems
from zspace.papers.base import Experiment, reproduce
from zspace.papers.flexae import images, synthetic
from zspace.papers.gen import experiments as gen
from zspace.papers.lsrgan import experiments as lsrgan
from zspace.papers.regene import experiments as regene
from zspace.papers.samplers import experiments as samplers

EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for paper in (synthetic, images, gen, regene, categorical, lsrgan, systems, samplers, colour)
    for e in paper.EXPERIMENTS
}


_GREY = "small, on MNIST"
RAN = {
    **dict.fromkeys(("flexae/fig3", "gen/fig1"), "small"),
    **dict.fromkeys(("flexae/fig2", "gen/table1"), "paper"),
    "regene/table4": f"{_GREY}: ReGene",
    **dict.fromkeys(
        (
            "flexae/table1",
            "flexae/table2",
            "flexae/table3",
            "flexae/table4",
            "flexae/fig4",
            "flexae/fig6",
            "flexae/fig10",
            "gen/table2",
            "gen/fig3",
            "gen/fig4",
            "regene/fig3",
            "regene/table2",
            "regene/table3",
            "regene/fig6",
            "regene/fig7",
            "regene/fig13",
            "regene/fig14",
            "regene/fig15b",
            "regene/fig17",
            "regene/collage",
            "regene/closest",
            "categorical/fig1",
            "categorical/table4",
            "categorical/grid",
            "all/systems",
        ),
        _GREY,
    ),
    **dict.fromkeys(("all/samplers", "all/steps"), "small, on MNIST and Fashion-MNIST"),
    **dict.fromkeys(("all/conditional", "all/densities"), _GREY),
    **dict.fromkeys(
        (
            "regene/fig16",
            "lsrgan/cifar10",
            "lsrgan/table1",
            "lsrgan/table2",
            "lsrgan/fig1",
            "lsrgan/fig2",
            "lsrgan/fig3",
            "lsrgan/fig9",
        ),
        "small, on Fashion-MNIST",
    ),
}
"""The experiments that were run at a scale beyond smoke, whose tables are in docs/results.

At scale smoke, all were run.
"""


def find(name: str) -> Experiment:
    """The experiment of a given name.

    Raises:
        InputError: the name is unknown; the message suggests the most similar one.
    """
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


__all__ = ["EXPERIMENTS", "RAN", "Experiment", "find", "reproduce"]
