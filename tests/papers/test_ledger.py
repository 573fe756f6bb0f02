"""The ledger of the five papers: its claims, the results that they are tested by, and its page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli
from tests.papers.smoke import numbers_of, systems_of
from zspace.papers import EXPERIMENTS
from zspace.papers.base import Scale
from zspace.papers.categorical import LEAST
from zspace.papers.claims import (
    PAPERS,
    SCALES,
    VERDICTS,
    Claim,
    answers,
    judge,
    measures,
    read_claims,
    read_results,
)
from zspace.papers.entries import published
from zspace.papers.rules import RULES

CLAIMS = read_claims()
RESULTS = read_results()
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "claims.md"


def named(claim: Claim) -> str:
    return f"{claim.paper}: {claim.claim[:50]}"


@pytest.mark.parametrize("claim", CLAIMS, ids=named)
def test_a_claim_is_well_formed(claim: Claim) -> None:
    assert claim.claim.endswith(".")
    assert claim.where
    for test in claim.tests:
        needed = {"rule", "experiment", "measure", "of"}
        needed |= {"bound"} if test["rule"] in ("below", "above") else set()
        needed |= {"within"} if test["rule"] in ("equal", "at most", "published") else set()
        assert needed <= test.keys() <= needed | {"data"}
        assert test["rule"] in RULES
        experiment = EXPERIMENTS[test["experiment"]]
        assert test.get("data") in (None, *experiment.data)
        assert len(measures(test)) == len(test["of"])
    if judge(claim, RESULTS).verdict != VERDICTS[0]:
        assert claim.reason


AWAITED = {
    "regene/table1": {"5 blocks, 1 a block", "5 blocks, 3 a block"},
    "regene/fig17": {"{n} originals per class: 25% replaced by generations"},
}
"""Entries or measures that stored results lack: of scale paper alone, or newer than they are."""


def test_a_test_finds_its_entries_where_its_result_is_stored() -> None:
    for claim in CLAIMS:
        for test in claim.tests:
            held = [
                table
                for table in RESULTS
                if table["experiment"] == test["experiment"]
                and table["scale"] in SCALES
                and test.get("data") in (None, table["data"])
            ]
            asked = {*test["of"], *measures(test)}
            late = AWAITED.get(test["experiment"], set()) & asked
            found = bool(answers(test, RESULTS))
            assert found == bool(held and not late), f"{named(claim)}: {test}"


CONSTANTS = {
    "categorical/table4": {0.995},
    "categorical/grid": {2.0},
    "regene/table3": {2.0},  # of 2-Stage VAE
    "regene/fig14": {1.0, 2.0, 3.0},
    "regene/closest": {0.1, 0.3, 0.7, 0.9},
    "gen/table3": {1.0, 2.0},  # of 1 - h^2
    "flexae/fig14": {0.0, 1.0, 2.0},
    "flexae/fig15": {0.0, 1.0, 2.0},
}
"""Numbers in the names of entries that are the code's, at every scale."""


def test_the_tables_of_the_pages_say_how_they_stand_to_the_paper_as_their_results_do() -> None:
    said = {
        f"Scale {held['scale']}: "
        + Scale({}, held["reductions"], "", held.get("choices", "")).about()
        for held in RESULTS
    }
    told = [
        (page.name, line)
        for page in sorted((ROOT / "docs" / "results").glob("*/*.md"))
        if not page.stem.endswith("-defaults")  # of protocols whose results are not stored
        for line in re.findall(r"^(Scale \w+: .*)\.$", page.read_text("utf-8"), re.MULTILINE)
    ]
    assert len(told) > 50
    assert [page for page, line in told if line not in said] == []


def test_a_test_names_nothing_that_the_largest_scale_lacks() -> None:
    for claim in CLAIMS:
        for test in claim.tests:
            *_, largest = EXPERIMENTS[test["experiment"]].scales.values()
            settings = largest.settings
            known = numbers_of(settings) | CONSTANTS.get(test["experiment"], set())
            for name in set(test["of"]) - systems_of(EXPERIMENTS[test["experiment"]]):
                # of MMD-10 Medium1 the last is the sampler's
                said = re.findall(r"(?<![a-z\d{.])\d+(?:\.\d+)?(?![a-z}])", name)
                assert {float(n) for n in said} <= known, f"{named(claim)}: {name}"


def compared_in(experiment: str) -> list[Mapping[str, Any]]:
    return [t for claim in CLAIMS for t in claim.tests if t["experiment"] == experiment]


def test_the_ledger_and_the_experiment_read_near_100_percent_alike() -> None:
    bounds = {
        float(test["measure"].split()[-1]): test["bound"]
        for test in compared_in("categorical/fig1")
        if test["rule"] == "above" and "cosine" in test["measure"]
    }
    assert bounds == LEAST


def test_models_are_compared_at_the_papers_error() -> None:
    (table,) = (t for t in RESULTS if t["experiment"] == "gen/lambda")
    theirs = published()["gen/text"]["loss"]
    errors = {
        e["what"]: e["ours"]["value"]
        for e in table["entries"]
        if e["measure"] == "mean squared error" and abs(e["ours"]["value"] - theirs) < theirs / 8
    }

    def nearest(name: str) -> str:
        model, _, of = name.split(", ")
        others = [k for k in errors if not k.startswith(model) and k.endswith(of)]
        return min(others, key=lambda k: abs(errors[k] - errors[name]))

    compared = [test["of"] for test in compared_in("gen/lambda") if test["rule"] == "highest"]
    each = {(a, nearest(a)) for a in errors if a.startswith("GEN") and nearest(nearest(a)) == a}
    assert each == {tuple(pair) for pair in compared}


def test_the_page_is_what_the_command_prints(cli: Cli) -> None:
    status, out, _ = cli("reproduce", "--claims")
    assert status == 0
    assert out == PAGE.read_text(encoding="utf-8"), "zspace reproduce --claims > docs/claims.md"


def test_the_counts_of_the_page_add_up() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\S.*?) \|" + r" (\d+) \|" * 5 + "$", text, re.MULTILINE)
    counts = {name: list(map(int, numbers)) for name, *numbers in rows}
    assert list(counts) == [*PAPERS.values(), "all"]
    for *each, whole in counts.values():
        assert sum(each) == whole
    assert counts["all"][-1] == len(CLAIMS) == len(re.findall(r"^\d+\. \*\*", text, re.MULTILINE))
    said = Counter(judge(claim, RESULTS).verdict for claim in CLAIMS)
    assert counts["all"][:-1] == [said[v] for v in VERDICTS]
