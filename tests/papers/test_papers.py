"""The list of experiments holds every table and figure."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from tests.conftest import Cli
from zspace import papers
from zspace.api import run_options
from zspace.errors import InputError
from zspace.options import checked
from zspace.papers.claims import read_results
from zspace.papers.regene.scales import HELD_OUT, MALE


def test_the_list_names_every_experiment(cli: Cli) -> None:
    status, out, _ = cli("reproduce", "--list")
    assert status == 0
    assert all(name in out for name in papers.EXPERIMENTS)
    assert out.count("run here: ") == len(papers.EXPERIMENTS)
    ran = papers.ran()
    assert ran.keys() <= papers.EXPERIMENTS.keys()
    for table in read_results():
        said = ran[table["experiment"]]
        assert table["scale"] in said
        assert table["data"] is None or papers.TITLES[table["data"]] in said
    assert ran["lsrgan/table2"] == "small, on Fashion-MNIST, CIFAR-10 and the digits"
    assert ran["categorical/fig1"] == "small, on MNIST, Fashion-MNIST and CIFAR-10"
    assert ran["all/colour-samplers"] == "small, on CIFAR-10 and CelebA"
    assert ran["flexae/fig2"] == "paper"
    with pytest.raises(InputError, match="unknown experiment"):
        papers.find("flexae")


EACH = [
    (name, which, without)
    for name, experiment in papers.EXPERIMENTS.items()
    for which in experiment.scales
    for count in range(len(experiment.without) + 1)
    for without in combinations(experiment.without, count)
]


@pytest.mark.parametrize("name, which, without", EACH)
def test_every_scale_says_what_it_chooses(name: str, which: str, without: tuple[str, ...]) -> None:
    experiment = papers.find(name)
    scale = experiment.scales[which]
    for option in without:
        scale = experiment.without[option](scale)
    if name.startswith("all/"):  # these are of no paper
        assert scale.reductions
        assert "the settings of the paper" not in scale.about()
    else:
        # every paper leaves something open, at every scale
        assert scale.choices


def test_the_choices_of_scale_paper_are_those_of_the_others() -> None:
    for which in ("smoke", "small", "paper"):
        for name in ("flexae/fig2", "flexae/fig3"):
            scale = papers.find(name).scales[which]
            assert "WAE-GAN at FlexAE's rates; the paper names none of these" in scale.choices
            assert f"{scale.settings['checkpoints']} checkpoints" in scale.choices
        one = papers.find("flexae/table1").scales[which]
        assert "MaskAAE's mask is our reading" in one.reductions
        assert "drawn with replacement" in one.choices
        assert ("3 trainings" if which == "small" else "one training") in one.choices


def spread(text: str) -> set[int]:
    """The numbers of "1", "2 and 3" or "4 to 6"."""
    first, *last = (int(n) for n in re.findall(r"\d+", text))
    return set(range(first, (last[0] if last else first) + 1))


ALL = {
    # Figure 1 of FlexAE, 1 and 2 of ReGene and 7 of LSR-GAN show no result
    "FlexAE": ({1, 2, 3, 4}, set(range(2, 20))),
    "GEN": ({1, 2, 3}, {1, 2, 3, 4}),
    "ReGene": ({1, 2, 3, 4}, set(range(3, 18)) - {15}),
    "Categorical generation": ({4}, {1}),
    "LSR-GAN": ({1, 2}, {1, 2, 3, 4, 5, 6, 8, 9}),
}
"""Tables and figures of results in the five papers, by their numbers."""


@pytest.mark.parametrize("paper", ALL)
def test_every_table_and_figure_of_the_papers_is_a_command(paper: str) -> None:
    said = " ".join(e.about for e in papers.EXPERIMENTS.values() if e.about.startswith(paper))
    tables, figures = ALL[paper]
    for kind, wanted in (("Table", tables), ("Figure", figures)):
        found = re.findall(rf"{kind}s? (\d+(?: (?:and|to) \d+)?)", said)
        assert wanted <= set().union(*map(spread, found)), kind


SAID = {
    "flexae/table1": ("Pioneer's networks do not grow", "MaskAAE's mask", "with replacement"),
    "flexae/table2": ("last checkpoint alone", "crop"),
    "flexae/fig2": ("n in R^2",),
    "all/systems": ("54,000 of 60,000",),
    "gen/table2": ("three Adams", "does not saturate"),
    "gen/lambda": ("three Adams",),
    "gen/table3": ("crop",),
    "lsrgan/table1": ("128 dimensions", "log sigma^2", "linear heads"),
    "categorical/table4": ("300 trials",),
}
"""Words of what the scale of the paper does otherwise than the paper, or what that leaves open."""


@pytest.mark.parametrize("name", SAID)
def test_the_scale_of_the_paper_names_its_differences(name: str) -> None:
    said = papers.find(name).scales["paper"].about()
    assert all(word in said for word in SAID[name])


RECIPES = {"regene": "regene", "lsrgan": "lsrgan", "categorical": "vae-mlp"}
"""The recipe of each paper whose experiments train one alone."""


@pytest.mark.parametrize("name", [n for n in papers.EXPERIMENTS if n.split("/")[0] in RECIPES])
def test_every_scale_asks_for_what_there_is(name: str) -> None:
    known = run_options(RECIPES[name.split("/")[0]])
    for scale in papers.find(name).scales.values():
        given = scale.settings["options"]
        assert checked(known, given).items() >= given.items()
    # the paper's own search for Medium1, 0.01% of a grid, has 2.6 million candidates
    short = "the first 14,641 points" if name == "categorical/table4" else ""
    reductions = papers.find(name).scales["paper"].reductions
    if short:
        assert short in reductions
    else:
        assert set(reductions.split("; ")) <= {"", HELD_OUT, MALE}
