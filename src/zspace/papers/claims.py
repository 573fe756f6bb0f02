"""The ledger: every claim of the five papers, with a verdict computed from stored results.

The claims are data, a file for each paper in `data/claims`; the results are the tables that
`zspace reproduce` wrote, in `data/results`. A claim names experiments and tests of their entries;
its verdict follows from them by the rules below, and is written nowhere else.

A comparison of two figures holds if they differ in the claimed direction by more than two standard
errors of their difference, it is contradicted if they do so in the other, and undecided otherwise.
The standard error of a mean over trainings is their standard deviation by the root of their number.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from zspace.display.tables import Table
from zspace.errors import InputError
from zspace.metrics import Figure
from zspace.storage.files import read_json

PAPERS = {
    "regene": "ReGene (Gopalakrishnan et al., 2022)",
    "flexae": "FlexAE (Mondal et al., 2021)",
    "gen": "GEN (Saha et al., 2020)",
    "categorical": "Categorical generation (Vargas Aguilar et al.)",
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
        reason: the likely reason why it does not come out, why it is not tested, or a caveat.
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
        figures: the figures from which it follows, a line for each test and result: the experiment
            with its data, scale and protocol, the figures, and what the comparison says.
    """

    claim: Claim
    verdict: str
    figures: tuple[str, ...]


class Value(NamedTuple):
    """An entry's value, its standard error (NaN if unknown), and the published value."""

    value: float
    error: float = math.nan
    published: float | None = None


def _score(margin: float, *values: Value) -> float:
    """By how many standard errors a margin is above 0; infinite where no error is known."""
    error = _error(*values)
    if not error:
        return math.copysign(math.inf, margin) if margin else 0.0
    return margin / error


def _error(*values: Value) -> float:
    """The standard error of a sum or difference, to which unknown errors add nothing."""
    return math.hypot(*(v.error for v in values if not math.isnan(v.error)))


def _low(a: Value, b: Value) -> float:
    return _score(b.value - a.value, a, b)


def _near(a: Value, b: Value, within: float) -> float:
    return _score(within * abs(b.value) - abs(a.value - b.value), a, b)


Rule = Callable[[Sequence[Value], Mapping[str, Any]], list[float]]
"""The scores of a test's comparisons, in standard errors: above 0 if the claim is right."""


def _compared(way: float) -> Rule:
    return lambda values, _: [way * _low(values[0], other) for other in values[1:]]


def _monotone(way: float) -> Rule:
    def scores(values: Sequence[Value], _: Mapping[str, Any]) -> list[float]:
        ends = way * _low(values[0], values[-1])
        against = min(way * _low(a, b) for a, b in pairwise(values))
        # a step the other way that is no chance undoes the trend
        return [ends if against >= -ERRORS else min(ends, against)]

    return scores


def _limit(way: float) -> Rule:
    return lambda values, test: [way * _low(v, Value(float(test["bound"]))) for v in values]


def _wider(values: Sequence[Value], _: Mapping[str, Any]) -> list[float]:
    pairs = zip(values[::2], values[1::2], strict=True)
    first, *others = [Value(a.value - b.value, _error(a, b)) for a, b in pairs]
    return [_low(other, first) for other in others]


def _equal(values: Sequence[Value], test: Mapping[str, Any]) -> list[float]:
    return [_near(values[0], other, float(test["within"])) for other in values[1:]]


def _published(values: Sequence[Value], test: Mapping[str, Any]) -> list[float]:
    within = float(test["within"])
    return [_near(v, Value(v.published), within) for v in values if v.published is not None]


RULES: dict[str, tuple[Rule, str]] = {
    "lowest": (_compared(1), "the first is below each of the others"),
    "highest": (_compared(-1), "the first is above each of the others"),
    "rises": (_monotone(1), "the last is above the first, and no step falls"),
    "falls": (_monotone(-1), "the last is below the first, and no step rises"),
    "below": (_limit(1), "each is below `bound`"),
    "above": (_limit(-1), "each is above `bound`"),
    "wider": (_wider, "the first exceeds the second by more than the third the fourth, and so on"),
    "equal": (_equal, "the first is within a share `within` of each of the others"),
    "published": (_published, "each is within a share `within` of the published value"),
}
"""The kinds of test, each with its rule and what it says.

A test is a mapping with the rule's name, `experiment`, `measure` (or a measure for each entry) and
`of`, the names of the entries in order. `data` restricts it to one data set. Of several entries of
one name, the first counts.
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
            table = read_json(Path(path), dict[str, Any])
            _ = table["experiment"], table["scale"], table["data"], _by_name(table)
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
            raise InputError(f"{path} is no table of zspace reproduce: {error}") from None
        found.append(table)
    return found


def _by_name(table: Mapping[str, Any]) -> dict[tuple[str, str], Value]:
    """The entries of a table by what they are of and their measure."""
    return {(e["what"], e["measure"]): _value(e) for e in reversed(table["entries"])}


def _value(entry: Mapping[str, Any]) -> Value:
    value, error = (
        math.nan if entry["ours"][k] is None else float(entry["ours"][k])
        for k in ("value", "error")
    )
    theirs = entry["published"]
    error /= math.sqrt(entry.get("repeats", 1))
    return Value(value, error, None if theirs is None else float(theirs))


def measures(test: Mapping[str, Any]) -> list[str]:
    """The measure of each entry that a test names."""
    measure = test["measure"]
    return [measure] * len(test["of"]) if isinstance(measure, str) else measure


def answers(
    test: Mapping[str, Any], results: Iterable[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], list[Value]]]:
    """The values that a test names, in the results that count.

    For each data set that is the result of the largest scale, and of the first protocol of
    `PREFERRED`, that has them all.
    """
    found: dict[str | None, tuple[Mapping[str, Any], list[Value]]] = {}
    wanted = list(zip(test["of"], measures(test), strict=True))
    for table in sorted((t for t in results if t["scale"] in SCALES), key=_rank):
        data = table["data"]
        asked = table["experiment"] == test["experiment"] and test.get("data") in (None, data)
        if not asked or data in found:
            continue
        known = _by_name(table)
        values = [known.get(name, Value(math.nan)) for name in wanted]
        if not any(math.isnan(v.value) for v in values):
            found[data] = table, values
    return list(found.values())


def _rank(table: Mapping[str, Any]) -> tuple[int, int]:
    protocol = table.get("protocol", "")
    place = PREFERRED.index(protocol) if protocol in PREFERRED else len(PREFERRED)
    return SCALES.index(table["scale"]), place


def judge(claim: Claim, results: Sequence[Mapping[str, Any]]) -> Judged:
    """The verdict on a claim.

    All comparisons of all its tests hold: it comes out; some: in part; none: it does not. If no
    test's entries are among the results, it is not tested.
    """
    scores: list[float] = []
    lines: list[str] = []
    for test in claim.tests:
        for table, values in answers(test, results):
            found = RULES[test["rule"]][0](values, test)
            if not found:
                continue
            scores += found
            parts = (table["experiment"], table["data"], table["scale"], table.get("protocol"))
            source = ", ".join(part for part in parts if part)
            lines.append(f"{source}: {_shown(test, values)}: {_said(found)}")
    right = sum(score > ERRORS for score in scores)
    if not scores:
        verdict = "not tested"
    elif right == len(scores):
        verdict = "comes out"
    else:
        verdict = "comes out in part" if right else "does not come out"
    return Judged(claim, verdict, tuple(lines))


def _said(scores: Sequence[float]) -> str:
    """What a test's comparisons say, in a few words."""
    right, wrong = sum(s > ERRORS for s in scores), sum(s < -ERRORS for s in scores)
    counts = {"hold": right, "contradicted": wrong, "undecided": len(scores) - right - wrong}
    words = [word for word, count in counts.items() if count]
    if len(words) == 1:
        return {"hold": "**holds**", "contradicted": "*contradicted*"}.get(words[0], words[0])
    return ", ".join(f"{counts[word]} {word}" for word in words)


def _shown(test: Mapping[str, Any], values: Sequence[Value]) -> str:
    """A test with its figures, as one reads it."""
    named = [_plain(m) for m in measures(test)]
    alike = isinstance(test["measure"], str)
    each: list[str] = []
    for of, measure, value in zip(test["of"], named, values, strict=True):
        paper = f"; paper {value.published:g}" if value.published is not None else ""
        shown = f"{Figure(value.value, value.error)}{paper if test['rule'] == 'published' else ''}"
        each.append(f"{of if alike else f'{of}, {measure}'} ({shown})")
    if test["rule"] == "wider":
        each = [f"{a} less {b}" for a, b in zip(each[::2], each[1::2], strict=True)]
    listed, against = ", ".join(each), f"{each[0]} {{}} {', '.join(each[1:])}"
    text = {
        "lowest": against.format("<"),
        "highest": against.format(">"),
        "wider": against.format(">"),
        "rises": " < ".join(each),
        "falls": " > ".join(each),
        "below": f"{listed} < {test.get('bound')}",
        "above": f"{listed} > {test.get('bound')}",
        "equal": f"{against.format('≈')}, within {test.get('within', 0):.0%}",
        "published": f"{listed}, within {test.get('within', 0):.0%}",
    }[test["rule"]]
    return f"{named[0]}: {text}" if alike else text


def _plain(measure: str) -> str:
    """A measure's name without what its table shows after ±, since here that is an error."""
    return re.split(r",? \(?± ", measure)[0]


def ledger(claims: Sequence[Claim], results: Sequence[Mapping[str, Any]]) -> str:
    """The ledger in Markdown: the number of claims by verdict, and a list for each paper."""
    judged = [judge(claim, results) for claim in claims]
    count = Counter((j.claim.paper, j.verdict) for j in judged)
    papers = [p for p in PAPERS if any(c.paper == p for c in claims)]
    rows = [
        [PAPERS[p], *(str(count[p, v]) for v in VERDICTS), str(sum(count[p, v] for v in VERDICTS))]
        for p in papers
    ]
    totals = [str(sum(count[p, v] for p in papers)) for v in VERDICTS]
    rows.append(["all", *totals, str(len(judged))])
    parts = [HEAD, Table(["paper", *VERDICTS, "claims"], rows).markdown()]
    for paper in papers:
        own = [j for j in judged if j.claim.paper == paper]
        parts.append(
            f"## {PAPERS[paper]}\n\nIts results at length: [{paper}](results/{paper}.md).\n"
        )
        parts += [_listed(place, j) for place, j in enumerate(own, 1)]
    return "\n".join(parts)


LABELS = {"comes out": "Note", "not tested": "Why"}
"""What the reason of a claim is called, by its verdict, if not the likely reason."""


def _listed(place: int, judged: Judged) -> str:
    """A claim as an item of a list."""
    claim, verdict = judged.claim, judged.verdict
    lines = [*judged.figures]
    if claim.reason:
        lines.append(f"{LABELS.get(verdict, 'Likely reason')}: {claim.reason}")
    head = f"{place}. **{verdict.capitalize()}**: {claim.claim} *({claim.where})*"
    return "\n".join([head, "", *(f"    - {line}" for line in lines), ""])


HEAD = f"""# Claims of the papers

What the five papers say to be better, worse, needed or equal, and whether it comes out here. Made
by `zspace reproduce --claims` from the results that the package holds: no verdict is typed.

- A comparison **holds** if two figures differ in the claimed direction by more than {ERRORS:g}
  standard errors of their difference; it is *contradicted* if they do so in the other direction,
  and undecided otherwise. "≈" and a published number have a stated tolerance, and what holds is
  inside it by as much.
- A claim **comes out** if all its comparisons hold, **in part** if some do, and **does not come
  out** if none does. It is **not tested** if no stored result has the figures.
- ± is a standard error; of a mean over trainings it is their deviation by the root of their number.
  Where there was one training it is the error of its measurement: how trainings differ is then not
  in it. A figure without ± is compared as it is.
- A verdict holds for the data and the scale that stand before the figures. Scale paper has the
  paper's settings, small fewer iterations, smaller networks or both (see the pages of results).
  Where several results have the figures, the larger scale counts, and of protocols `tuned`.
- Frechet distances are of the features that the result names; without Inception weights they are
  not FIDs.
"""
