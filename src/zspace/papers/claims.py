"""The ledger: every claim of the five papers, with a verdict computed from stored results.

The claims are data, a file for each paper in `data/claims`; the results are the tables that
`zspace reproduce` wrote, in `data/results`. A claim names experiments and tests of their entries;
its verdict follows from them by the rules below, and is written nowhere else.

A comparison of two figures holds if they differ in the claimed direction by more than two standard
errors of their difference, it is contradicted if they do so in the other, and undecided otherwise.
The standard error of a mean over trainings is their standard deviation by the root of their number.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from zspace.display.tables import Table
from zspace.errors import InputError
from zspace.metrics import Figure

PAPERS = {
    "regene": "ReGene (Gopalakrishnan et al., 2022)",
    "flexae": "FlexAE (Mondal et al., 2021)",
    "gen": "GEN (Saha et al., 2020)",
    "categorical": "Categorical generation (Corchado et al., 2021)",
    "lsrgan": "LSR-GAN (2020)",
}
VERDICTS = ("comes out", "comes out in part", "does not come out", "not tested")
ERRORS = 2.0
"""The number of standard errors by which two figures must differ to be called different."""
SCALES = ("paper", "small", "demo")
PREFERRED = ("tuned", "equal-time", "defaults", "")
"""Scales and protocols whose results count, the first that there is; smoke proves nothing."""


@dataclass(frozen=True)
class Claim:
    """A sentence or trend of a paper that says that something is better, needed or equal.

    Attributes:
        paper: a key of `PAPERS`.
        where: the section, table or figure in which it stands.
        claim: the claim in a sentence.
        tests: what is tested, a mapping for each test (see `RULES`); empty if nothing here can.
        reason: the likely reason why it does not come out, or why it is not tested.
    """

    paper: str
    where: str
    claim: str
    tests: tuple[Mapping[str, Any], ...]
    reason: str = ""


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    Attributes:
        claim: the claim.
        verdict: one of `VERDICTS`.
        figures: the figures from which it follows, a line for each comparison.
        sources: the results from which they come: experiment, data, scale and protocol.
    """

    claim: Claim
    verdict: str
    figures: tuple[str, ...]
    sources: tuple[str, ...]


Value = tuple[Figure, float, float | None]
"""An entry's figure, its standard error, and the published value."""


def _low(a: Value, b: Value) -> float:
    """By how many standard errors a is below b; infinite where no error is known."""
    difference = b[0].value - a[0].value
    error = math.hypot(*(0.0 if math.isnan(v[1]) else v[1] for v in (a, b)))
    if not error:
        return math.copysign(math.inf, difference) if difference else 0.0
    return difference / error


def _compared(way: float) -> Callable[[Sequence[Value], Mapping[str, Any]], list[float]]:
    """The first value against each of the others: below them (way = 1), or above (way = -1)."""
    return lambda values, _: [way * _low(values[0], other) for other in values[1:]]


def _monotone(way: float) -> Callable[[Sequence[Value], Mapping[str, Any]], list[float]]:
    """The last value against the first, and no step the other way."""

    def scores(values: Sequence[Value], _: Mapping[str, Any]) -> list[float]:
        ends = way * _low(values[0], values[-1])
        against = min(way * _low(a, b) for a, b in pairwise(values))
        # a step the other way that is no chance undoes the trend
        return [ends if against >= -ERRORS else min(ends, against)]

    return scores


def _limit(way: float) -> Callable[[Sequence[Value], Mapping[str, Any]], list[float]]:
    """Each value against a given number: below it (way = 1), or above (way = -1)."""

    def scores(values: Sequence[Value], test: Mapping[str, Any]) -> list[float]:
        bound = Figure(float(test["bound"]), 0.0), 0.0, None
        return [way * _low(value, bound) for value in values]

    return scores


def _near(a: float, b: float, error: float, within: float) -> float:
    """Above `ERRORS` if |a - b| <= within |b|, below its negative if it is beyond any doubt."""
    beyond = abs(a - b) - within * abs(b)
    if beyond <= 0:
        return math.inf
    return -beyond / error if error else -math.inf


def _equal(values: Sequence[Value], test: Mapping[str, Any]) -> list[float]:
    """The first value within a share of each of the others."""
    first, within = values[0], float(test["within"])
    scores: list[float] = []
    for other in values[1:]:
        error = math.hypot(*(0.0 if math.isnan(v[1]) else v[1] for v in (first, other)))
        scores.append(_near(first[0].value, other[0].value, error, within))
    return scores


def _published(values: Sequence[Value], test: Mapping[str, Any]) -> list[float]:
    """Each value within a share of the published one."""
    within = float(test["within"])
    return [
        math.nan
        if theirs is None
        else _near(figure.value, theirs, 0.0 if math.isnan(error) else error, within)
        for figure, error, theirs in values
    ]


Rule = Callable[[Sequence[Value], Mapping[str, Any]], list[float]]
RULES: dict[str, tuple[Rule, str]] = {
    "lowest": (_compared(1), "the first is below each of the others"),
    "highest": (_compared(-1), "the first is above each of the others"),
    "rises": (_monotone(1), "the last is above the first, and no step falls"),
    "falls": (_monotone(-1), "the last is below the first, and no step rises"),
    "below": (_limit(1), "each is below `bound`"),
    "above": (_limit(-1), "each is above `bound`"),
    "equal": (_equal, "the first is within a share `within` of each of the others"),
    "published": (_published, "each is within a share `within` of the published value"),
}
"""The kinds of test, each with its rule and what it says.

A test is a mapping with the rule's name, `experiment`, `measure` (or a measure for each entry) and
`of`, the names of the entries in order. `data` restricts it to one data set.
"""


def read_claims(folder: Any = None) -> list[Claim]:
    """The claims of all papers, in their order.

    Args:
        folder: the folder of their files; None takes the package's.
    """
    folder = folder or files("zspace.papers").joinpath("data", "claims")
    claims: list[Claim] = []
    for paper in PAPERS:
        text = folder.joinpath(f"{paper}.yaml").read_text(encoding="utf-8")
        for row in yaml.safe_load(text):
            tests = tuple(row.pop("tests", ()))
            claims.append(Claim(paper=paper, tests=tests, **row))
    return claims


def read_results(folder: Path | None = None) -> list[dict[str, Any]]:
    """The stored tables of experiments.

    Args:
        folder: a folder in which, at any depth, there are table.json files of `zspace reproduce`;
            None takes the results that the package holds.

    Raises:
        InputError: the folder holds none, or a file is no such table.
    """
    inside: Any = files("zspace.papers").joinpath("data", "results")
    if folder is None:
        paths = sorted((p for p in inside.iterdir() if p.name.endswith(".json")), key=str)
    else:
        paths = sorted(folder.rglob("table.json"))
        if not paths:
            raise InputError(f"{folder} holds no table.json of zspace reproduce")
    found: list[dict[str, Any]] = []
    for path in paths:
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            _ = table["experiment"], table["scale"], [_value(e) for e in table["entries"]]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is no table of zspace reproduce: {error}") from None
        found.append(table)
    return found


def _value(entry: Mapping[str, Any]) -> Value:
    value, error = (
        math.nan if entry["ours"][k] is None else float(entry["ours"][k])
        for k in ("value", "error")
    )
    standard = error / math.sqrt(entry.get("repeats", 1))
    return Figure(value, standard), standard, entry["published"]


def chosen(results: Sequence[Mapping[str, Any]], experiment: str) -> list[Mapping[str, Any]]:
    """The results of an experiment that count: for each data set, the best scale and protocol."""

    def rank(table: Mapping[str, Any]) -> tuple[int, int]:
        return SCALES.index(table["scale"]), PREFERRED.index(table.get("protocol", ""))

    best: dict[str | None, Mapping[str, Any]] = {}
    for table in results:
        if table["experiment"] == experiment and table["scale"] in SCALES:
            held = best.get(table["data"])
            if held is None or rank(table) < rank(held):
                best[table["data"]] = table
    return list(best.values())


def judge(claim: Claim, results: Sequence[Mapping[str, Any]]) -> Judged:
    """The verdict on a claim.

    All comparisons of all its tests hold: it comes out; some: in part; none: it does not. If no
    test's entries are among the results, it is not tested.
    """
    scores: list[float] = []
    lines: list[str] = []
    sources: list[str] = []
    for test in claim.tests:
        rule, _ = RULES[test["rule"]]
        for table in chosen(results, test["experiment"]):
            if test.get("data") not in (None, table["data"]):
                continue
            values = _values(test, table)
            if values is None:
                continue
            found = rule(values, test)
            scores += found
            held = (
                "holds"
                if all(s > ERRORS for s in found)
                else "contradicted"
                if all(s < -ERRORS for s in found)
                else "undecided"
                if all(abs(s) <= ERRORS for s in found)
                else "in part"
            )
            shown = ", ".join(
                f"{of} {value[0]}" for of, value in zip(test["of"], values, strict=True)
            )
            lines.append(f"{test['rule']}: {shown} ({held})")
            protocol = f", {table['protocol']}" if table.get("protocol") else ""
            data = f", {table['data']}" if table["data"] else ""
            sources.append(f"{table['experiment']}{data}, {table['scale']}{protocol}")
    right = sum(score > ERRORS for score in scores)
    if not scores or all(math.isnan(s) for s in scores):
        verdict = "not tested"
    elif right == len(scores):
        verdict = "comes out"
    else:
        verdict = "comes out in part" if right else "does not come out"
    return Judged(claim, verdict, tuple(lines), tuple(dict.fromkeys(sources)))


def _values(test: Mapping[str, Any], table: Mapping[str, Any]) -> list[Value] | None:
    """The entries that a test names; None if the result has not all of them."""
    measures = test["measure"]
    if isinstance(measures, str):
        measures = [measures] * len(test["of"])
    by_name = {(e["what"], e["measure"]): e for e in table["entries"]}
    asked = list(zip(test["of"], measures, strict=True))
    if any(name not in by_name for name in asked):
        return None
    values = [_value(by_name[name]) for name in asked]
    return None if any(math.isnan(v[0].value) for v in values) else values


def ledger(claims: Sequence[Claim], results: Sequence[Mapping[str, Any]]) -> str:
    """The ledger in Markdown: the number of claims by verdict, and a table for each paper."""
    judged = [judge(claim, results) for claim in claims]
    count = Counter((j.claim.paper, j.verdict) for j in judged)
    papers = [p for p in PAPERS if any(c.paper == p for c in claims)]
    rows = [
        [PAPERS[p], *(str(count[p, v]) for v in VERDICTS), str(sum(count[p, v] for v in VERDICTS))]
        for p in papers
    ]
    totals = [str(sum(count[p, v] for p in papers)) for v in VERDICTS]
    rows.append(["all", *totals, str(len(judged))])
    parts = [HEAD, Table(["", *VERDICTS, "claims"], rows).markdown()]
    for paper in papers:
        lines = [
            [
                j.claim.claim,
                j.claim.where,
                j.verdict,
                "; ".join(j.figures) or "not tested",
                "; ".join(j.sources),
                "" if j.verdict == "comes out" else j.claim.reason,
            ]
            for j in judged
            if j.claim.paper == paper
        ]
        header = ["claim", "where", "verdict", "figures", "result", "likely reason"]
        parts.append(f"## {PAPERS[paper]}\n\n{Table(header, lines).markdown()}")
    return "\n".join(parts)


HEAD = f"""# The ledger of claims

Every claim of the five papers that something is better, worse, needed or equal, and whether it
comes out here. Made by `zspace reproduce --claims` from the results that the package holds: no
verdict is typed. A comparison **holds** if two figures differ in the claimed direction by more than
{ERRORS:g} standard errors of their difference, it is *contradicted* if they do so in the other, and
*undecided* otherwise; "equal" has a stated share. A claim comes out if all its comparisons hold, in
part if some do. ± is a standard error; of a mean over trainings it is their deviation by the root
of their number. Where several results exist, the larger scale counts, and of protocols `tuned`.
Frechet distances are of the features that the result names; without Inception weights they are not
FIDs.
"""
