"""The ledger: every claim of the five papers, with a verdict computed from stored results.

The claims are data, a file for each paper in `data/claims`; the results are the tables that
`zspace reproduce` wrote, in `data/results`. A claim names experiments and tests of their entries;
its verdict follows from them by the rules below, and is written nowhere else.

A comparison of two figures holds if they differ in the claimed direction by more than chance makes
(see `zspace.papers.rules`), it is contradicted if they do so in the other, and undecided otherwise.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from zspace.display.tables import Table
from zspace.errors import InputError
from zspace.metrics import Figure
from zspace.metrics.figure import LEVEL
from zspace.papers import EXPERIMENTS
from zspace.papers.base import Stored
from zspace.papers.rules import RULES, Value
from zspace.storage.files import read_json

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # nine times as fast, with libyaml
PAPERS = {
    "regene": "ReGene (Gopalakrishnan et al., 2022)",
    "flexae": "FlexAE (Mondal et al., 2021)",
    "gen": "GEN (Saha et al., 2020)",
    "categorical": "Categorical generation (Vargas Aguilar et al.)",
    "lsrgan": "LSR-GAN (2020)",
}
VERDICTS = ("comes out", "comes out in part", "does not come out", "not tested")
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
        tests: what is tested, a mapping for each test (see `rules.RULES`); empty if nothing can.
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
        held: how many of its comparisons hold, and how many there are.
    """

    claim: Claim
    verdict: str
    figures: tuple[str, ...]
    held: tuple[int, int]


def read_claims(folder: Any = None) -> list[Claim]:
    """The claims of all papers, in their order.

    Args:
        folder: the folder of their files; None takes the package's.
    """
    folder = folder or files("zspace.papers").joinpath("data", "claims")
    claims: list[Claim] = []
    for paper in PAPERS:
        text = folder.joinpath(f"{paper}.yaml").read_text(encoding="utf-8")
        for row in yaml.load(text, Loader=_LOADER):
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
            msgspec.convert(table, Stored)
            _by_name(table)
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
            raise InputError(f"{path} is no table of zspace reproduce: {error}") from None
        found.append(table)
    return found


def _by_name(table: Mapping[str, Any]) -> dict[tuple[str, str], Value]:
    """The entries of a table by what they are of and their measure."""
    found: dict[tuple[str, str], Value] = {}
    for e in table["entries"]:
        found.setdefault((e["what"], e["measure"]), _value(e))
    return found


def _value(entry: Mapping[str, Any]) -> Value:
    value, error = (
        math.nan if entry["ours"][k] is None else float(entry["ours"][k])
        for k in ("value", "error")
    )
    theirs = entry["published"]
    repeats = entry.get("repeats", 1)
    freedom = repeats - 1 if repeats > 1 else math.inf
    error /= math.sqrt(repeats)
    return Value(value, error, None if theirs is None else float(theirs), freedom)


def measures(test: Mapping[str, Any]) -> list[str]:
    """The measure of each entry that a test names."""
    measure = test["measure"]
    return [measure] * len(test["of"]) if isinstance(measure, str) else measure


class Answer(NamedTuple):
    """The entries that a test names, found in a result: their names, and their values."""

    table: Mapping[str, Any]
    of: list[str]
    values: list[Value]


def answers(test: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> list[Answer]:
    """What a test names, in the results that count.

    For each data set that is the result of the largest scale, and of the first protocol of
    `PREFERRED`, that has all entries.
    """
    found: dict[str | None, list[Answer]] = {}
    for table in sorted((t for t in results if t["scale"] in SCALES), key=_rank):
        data = table["data"]
        asked = table["experiment"] == test["experiment"] and test.get("data") in (None, data)
        if not asked or data in found:
            continue
        known = _by_name(table)
        each: list[Answer] = []
        for of in _bound(test["of"], [what for what, _ in known]):
            wanted = zip(of, measures(test), strict=True)
            values = [known.get(name, Value(math.nan)) for name in wanted]
            if not any(math.isnan(v.value) for v in values):
                each.append(Answer(table, of, values))
        if each:
            found[data] = each
    return [answer for each in found.values() for answer in each]


OPTIONAL = re.compile(r"\{(, [a-z ]+)\}")
"""A part of the names of a test's entries that a result has in all of them, or in none."""

VARIABLE = re.compile(r"\{(\d*)[a-z]\}")
"""A letter that stands for any text in the names of a test, or for so many times a number."""


def forms(of: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names of a test's entries without their optional parts, and with them."""
    return [OPTIONAL.sub("", name) for name in of], [OPTIONAL.sub(r"\1", name) for name in of]


def _bound(of: Sequence[str], known: Sequence[str]) -> list[list[str]]:
    """The names of a test's entries, with each text for which its letter can stand.

    An optional part is left out of all of them, and put into all of them.
    """
    if any(OPTIONAL.search(name) for name in of):
        return [bound for names in forms(of) for bound in _bound(names, known)]
    pattern = next((name for name in of if re.search(r"\{[a-z]\}", name)), None)
    if pattern is None:
        return [list(of)]
    before, after = re.split(r"\{[a-z]\}", pattern, maxsplit=1)
    matches = (re.fullmatch(f"{re.escape(before)}(.+?){re.escape(after)}", name) for name in known)
    texts = dict.fromkeys(match[1] for match in matches if match)

    def with_text(name: str, text: str) -> str:
        times = str.isdecimal(text)
        return VARIABLE.sub(lambda m: str(int(m[1]) * int(text)) if m[1] and times else text, name)

    return [[with_text(name, text) for name in of] for text in texts]


def _rank(table: Mapping[str, Any]) -> tuple[int, int]:
    protocol = table.get("protocol", "")
    place = PREFERRED.index(protocol) if protocol in PREFERRED else len(PREFERRED)
    return SCALES.index(table["scale"]), place


EARLIER = "of an earlier version"
"""How the ledger calls a result whose experiment has changed since."""


def of_today(table: Mapping[str, Any]) -> bool:
    """Whether a result's reductions, choices and settings are those of its experiment today.

    Older tables do not have all of these; what is not there is not compared.
    """
    experiment = EXPERIMENTS.get(table["experiment"])
    scale = experiment and experiment.scales.get(table["scale"])
    if experiment is None or scale is None:
        return False
    for name in table.get("without", ()):
        if name not in experiment.without:
            return False
        scale = experiment.without[name](scale)
    today = {"reductions": scale.reductions, "choices": scale.choices}
    today["settings"] = json.loads(json.dumps(dict(scale.settings)))
    return all(table.get(name, now) == now for name, now in today.items())


def judge(claim: Claim, results: Sequence[Mapping[str, Any]]) -> Judged:
    """The verdict on a claim.

    All comparisons of all its tests hold: it comes out; some: in part; none: it does not. If no
    test's entries are among the results, it is not tested.
    """
    scores: list[float] = []
    lines: list[str] = []
    for test in claim.tests:
        for table, of, values in answers(test, results):
            found = RULES[test["rule"]][0](values, test)
            if not found:
                continue
            scores += found
            parts = (table["experiment"], table["data"], table["scale"], table.get("protocol"))
            source = ", ".join(
                part for part in (*parts, "" if of_today(table) else EARLIER) if part
            )
            lines.append(f"{source}: {_shown(test, of, values)}: {_said(found)}")
    right = sum(score > 1 for score in scores)
    if not scores:
        verdict = "not tested"
    elif right == len(scores):
        verdict = "comes out"
    else:
        verdict = "comes out in part" if right else "does not come out"
    return Judged(claim, verdict, tuple(lines), (right, len(scores)))


def _said(scores: Sequence[float]) -> str:
    """What a test's comparisons say, in a few words."""
    right, wrong = sum(s > 1 for s in scores), sum(s < -1 for s in scores)
    counts = {"hold": right, "contradicted": wrong, "undecided": len(scores) - right - wrong}
    words = [word for word, count in counts.items() if count]
    if len(words) == 1:
        return {"hold": "**holds**", "contradicted": "*contradicted*"}.get(words[0], words[0])
    return ", ".join(f"{counts[word]} {word}" for word in words)


def _shown(test: Mapping[str, Any], names: Sequence[str], values: Sequence[Value]) -> str:
    """A test with its figures, as one reads it."""
    named = [_plain(m) for m in measures(test)]
    alike = isinstance(test["measure"], str)
    each: list[str] = []
    for of, measure, value in zip(names, named, values, strict=True):
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
        "differ": f"{listed}: highest and lowest differ",
        "below": f"{listed} < {test.get('bound')}",
        "above": f"{listed} > {test.get('bound')}",
        "at most": f"{against.format('≤')}, or at most {test.get('within', 0):.0%} above",
        "steadier": f"deviations of {', '.join(each[: len(each) // 2])} < those of "
        f"{', '.join(each[len(each) // 2 :])}",
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
    right, among = judged.held
    count = f" ({right} of {among})" if verdict == "comes out in part" else ""
    head = f"{place}. **{verdict.capitalize()}**{count}: {claim.claim} *({claim.where})*"
    return "\n".join([head, "", *(f"    - {line}" for line in lines), ""])


HEAD = f"""# Claims of the papers

What the five papers say to be better, worse, needed or equal, and whether it comes out here. Made
by `zspace reproduce --claims` from the results that the package holds: no verdict is typed.

- A comparison **holds** if two figures differ in the claimed direction by more than chance makes at
  a level of {LEVEL:.0%}; it is *contradicted* if they do so in the other direction, and undecided
  otherwise. How many standard errors of the difference that takes, Student's t says with Welch's
  degrees of freedom: 1.96 where the errors are of measurements, 2.8 to 4.3 where both figures are
  means of three trainings. "≈" and a published number have a stated tolerance, and what holds is
  inside it by as much.
- A chain of "<" or ">" holds if its last figure differs so from its first, and no two of its
  figures differ in the other direction by more than chance makes; its steps may be level. It is
  contradicted if the ends or two of its figures are. Of figures that are said to **differ**, the
  highest and the lowest are compared. Where two are picked of many, they must be farther apart,
  since some are apart by chance (Bonferroni).
- Errors are taken for independent. Figures of the same test images share some of theirs, so that a
  difference of theirs may be called undecided where it is none.
- A claim **comes out** if all its comparisons hold, **in part** if some do (how many, of how many,
  stands behind it), and **does not come out** if none does. It is **not tested** if no stored
  result has the figures.
- ± is a standard error; of a mean over trainings it is their deviation by the root of their number.
  Where there was one training it is the error of its measurement: how trainings differ is then not
  in it. A figure without ± is compared as it is.
- A verdict holds for the data and the scale that stand before the figures. Scale paper has the
  paper's settings, small fewer iterations, smaller networks or both (see the pages of results).
  Where several results have the figures, the larger scale counts, and of protocols `tuned`.
- Results **{EARLIER}** are of code whose settings, reductions or choices were others than
  today's. Most stored tables do not list all settings: they count as earlier if the reductions or
  choices that they state are no longer today's.
- Where the settings are `tuned`, the training of seed 0 that was the best of its grid is one of the
  trainings whose mean is judged, unless it was tuned on another processor (see the page).
- Frechet distances are of the features that the result names; without Inception weights they are
  not FIDs.
"""
