"""How a ledger of claims is made: its rules, its verdicts, and results of one's own."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli, Refused
from zspace.metrics.figure import LEVEL, quantile
from zspace.papers import EXPERIMENTS
from zspace.papers.claims import VERDICTS, Claim, answers, judge, ledger

PAGE = Path(__file__).parents[2] / "docs" / "claims.md"


def entry(
    what: str,
    value: float | None,
    error: float | None = None,
    repeats: int = 1,
    published: float | None = None,
    measure: str = "distance",
) -> dict[str, Any]:
    """An entry as table.json holds it."""
    ours = {"value": value, "error": error}
    return {
        "what": what,
        "measure": measure,
        "ours": ours,
        "repeats": repeats,
        "published": published,
    }


def stored(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A stored result."""
    about = {"experiment": "gen/table1", "scale": "small", "data": "mnist"}
    return {**about, "entries": list(entries), **more}


def claimed(*tests: dict[str, Any]) -> Claim:
    """A claim with tests of one experiment."""
    given = {"experiment": "gen/table1", "measure": "distance"}
    return Claim("gen", "Table 1", "It is so.", tuple({**given, **test} for test in tests))


def verdict(rule: str, *values: Any, **more: Any) -> str:
    """The verdict on a claim of one rule, of entries that are given as (value, error, ...)."""
    entries = [entry(str(place), *each) for place, each in enumerate(values)]
    test = {"rule": rule, "of": [e["what"] for e in entries], **more}
    return judge(claimed(test), [stored(*entries)]).verdict


YES, PART, NO, UNTESTED = VERDICTS


@pytest.mark.parametrize(
    ("rule", "values", "more", "expected"),
    [
        # 0.5 is 2.24 errors of the difference, 0.4 is 1.79
        ("lowest", [(1, 0.1), (1.5, 0.2)], {}, YES),
        ("lowest", [(1, 0.1), (1.4, 0.2)], {}, NO),
        ("lowest", [(1, 0.1), (1.5, 0.2), (1.4, 0.2)], {}, PART),
        ("lowest", [(1.5, 0.2), (1, 0.1)], {}, NO),
        ("highest", [(1.5, 0.2), (1, 0.1)], {}, YES),
        # a deviation over 4 trainings is an error of half of it: 0.3 is 2.12 errors, 0.4 2.83, and
        # with 6 degrees of freedom it takes 2.45; of one alone they are 3 and 4, and it takes 3.18
        ("lowest", [(1, 0.2, 4), (1.3, 0.2, 4)], {}, NO),
        ("lowest", [(1, 0.2, 4), (1.4, 0.2, 4)], {}, YES),
        ("lowest", [(1, 0.2, 4), (1.3,)], {}, NO),
        ("lowest", [(1, 0.2, 4), (1.4,)], {}, YES),
        ("lowest", [(1, 0.2), (1.3, 0.2)], {}, NO),
        ("above", [(1.4, 0.2, 4)], {"bound": 1}, YES),
        ("above", [(1.3, 0.2, 4)], {"bound": 1}, NO),
        # by chance alone the ends of three are apart by 2.39 errors of their difference, not 1.96
        ("differ", [(1, 0.1), (2, 0.1)], {}, YES),
        ("differ", [(1, 0.1), (1.3, 0.1)], {}, YES),
        ("differ", [(1.3, 0.1), (1.1, 0.1), (1, 0.1)], {}, NO),
        ("differ", [(1.4, 0.1), (1.1, 0.1), (1, 0.1)], {}, YES),
        # where no error is known, any difference counts; where one is, it alone
        ("lowest", [(1,), (1.001,)], {}, YES),
        ("lowest", [(1,), (1,)], {}, NO),
        ("lowest", [(1,), (1.3, 0.2)], {}, NO),
        ("rises", [(1, 0.1), (2, 0.1), (3, 0.1)], {}, YES),
        ("rises", [(1, 0.1), (1.9, 0.1), (1.8, 0.1)], {}, YES),
        ("rises", [(1, 0.1), (3, 0.1), (2, 0.1)], {}, NO),
        ("rises", [(1, 0.1), (1.1, 0.1)], {}, NO),
        ("falls", [(3, 0.1), (2, 0.1), (1, 0.1)], {}, YES),
        ("falls", [(3, 0.1), (1, 0.1), (2, 0.1)], {}, NO),
        ("below", [(0.8, 0.09), (0.9, 0.01)], {"bound": 1}, YES),
        ("below", [(0.8, 0.11), (0.9, 0.01)], {"bound": 1}, PART),
        ("above", [(1.2, 0.09)], {"bound": 1}, YES),
        # gaps of 5 and 3, of which either has an error of 0.5: 2 is 2.83 errors, then 1.41
        ("wider", [(9, 0.3), (4, 0.4), (5, 0.5), (2,)], {}, YES),
        ("wider", [(9, 0.6), (4, 0.8), (5, 1), (2,)], {}, NO),
        # 5 of the 10 that are allowed are left
        ("equal", [(105, 2), (100,)], {"within": 0.1}, YES),
        ("equal", [(105, 3), (100,)], {"within": 0.1}, NO),
        ("equal", [(95, 2), (100,), (200,)], {"within": 0.1}, PART),
        # 1.1 of the other is the limit, and what is lower is no worse
        ("at most", [(105, 2), (100,)], {"within": 0.1}, YES),
        ("at most", [(50, 2), (100,)], {"within": 0.1}, YES),
        ("at most", [(105, 3), (100,)], {"within": 0.1}, NO),
        ("at most", [(115, 2), (100,)], {"within": 0.1}, NO),
        # F(2, 2) is 39 at this level: deviations must differ by 6.24 times; F(4, 4) is 9.6, by 3.1
        ("steadier", [(1, 1, 3), (1, 6.3, 3)], {}, YES),
        ("steadier", [(1, 1, 3), (1, 6.2, 3)], {}, NO),
        ("steadier", [(1, 6.3, 3), (1, 1, 3)], {}, NO),
        ("steadier", [(1, 1, 3), (9, 1, 3), (1, 3.2, 3), (5, 3.2, 3)], {}, YES),
        ("steadier", [(1, 1, 3), (9, 1, 3), (1, 3.0, 3), (5, 3.0, 3)], {}, NO),
        ("steadier", [(1, 0, 3), (1, 1, 3)], {}, YES),
        ("steadier", [(1, 1, 3), (1, 0, 3)], {}, NO),
        ("steadier", [(1, 0, 3), (1, 0, 3)], {}, NO),
        ("steadier", [(1, 1), (1, 9)], {}, UNTESTED),
        ("published", [(105, 2, 1, 100)], {"within": 0.1}, YES),
        ("published", [(115, 2, 1, 100)], {"within": 0.1}, NO),
        ("published", [(105, 2, 1, 100), (1, 0.1)], {"within": 0.1}, YES),
        ("published", [(1, 0.1)], {"within": 0.1}, UNTESTED),
        ("lowest", [(None,), (1, 0.1)], {}, UNTESTED),
    ],
)
def test_a_verdict_follows_from_figures(
    rule: str, values: list[tuple[Any, ...]], more: dict[str, Any], expected: str
) -> None:
    assert verdict(rule, *values, **more) == expected


def test_the_head_states_the_rule() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"a level of {LEVEL:.0%}" in text
    needed = quantile(math.inf), quantile(4), quantile(2)
    assert "{:.2f} where the errors are of measurements, {:.1f} to {:.1f}".format(*needed) in text
    assert "no two of its" in text


def test_a_result_has_an_optional_part_of_names_in_all_of_them_or_in_none() -> None:
    test = {"rule": "lowest", "of": ["a{, unjudged}", "b"]}
    test |= {"experiment": "gen/table1", "measure": "distance"}
    plain = stored(entry("a", 1, 0.1), entry("b", 2, 0.1))
    marked = stored(entry("a, unjudged", 3, 0.1), entry("b", 4, 0.1), data="digits")
    found = answers(test, [plain, marked])
    assert [of for _, of, _ in found] == [["a", "b"], ["a, unjudged", "b"]]
    assert [[v.value for v in values] for _, _, values in found] == [[1, 2], [3, 4]]


def test_a_letter_stands_for_any_text() -> None:
    def result(*names: str, **more: Any) -> dict[str, Any]:
        return stored(*(entry(name, v, 0.1) for v, name in enumerate(names)), **more)

    test = {"rule": "lowest", "of": ["m = {m}", "m = {4m}"]}
    test |= {"experiment": "gen/table1", "measure": "distance"}
    sizes = result("m = 8", "m = 32", "m = 128", "n = 2")
    found = answers(test, [sizes, result("m = 3", "m = 12", data="digits"), result("m = 4")])
    assert [of for _, of, _ in found] == [
        ["m = 8", "m = 32"],
        ["m = 32", "m = 128"],
        ["m = 3", "m = 12"],
    ]
    assert [[v.value for v in values] for _, _, values in found] == [[0, 1], [1, 2], [0, 1]]
    each = {**test, "of": ["{n} images: none", "{n} images: all"]}
    texts = result("100 images: none", "all images: none", "all images: all", "many images: all")
    assert [of for _, of, _ in answers(each, [texts])] == [["all images: none", "all images: all"]]
    assert (
        "all images: none (1.00 ± 0.10) < all images: all"
        in judge(claimed(each), [texts]).figures[0]
    )


def test_all_tests_count_that_find_their_entries() -> None:
    result = stored(entry("a", 1, 0.1), entry("b", 2, 0.1), entry("a", 3, 0.1, measure="time"))
    right: dict[str, Any] = {"rule": "lowest", "of": ["a", "b"]}
    wrong: dict[str, Any] = {"rule": "highest", "of": ["a", "b"]}
    missing: dict[str, Any] = {"rule": "highest", "of": ["a", "c"]}
    timed: dict[str, Any] = {"rule": "lowest", "of": ["a", "a"], "measure": ["distance", "time"]}
    assert judge(claimed(right, wrong), [result]).verdict == PART
    assert judge(claimed(right, missing), [result]).verdict == YES
    assert judge(claimed(missing), [result]).verdict == UNTESTED
    assert judge(claimed(), [result]).verdict == UNTESTED
    assert judge(claimed(timed), [result]).verdict == YES
    assert judge(claimed({**right, "experiment": "gen/fig1"}), [result]).verdict == UNTESTED


def test_of_several_results_the_preferred_one_counts() -> None:
    def result(a: float, *others: dict[str, Any], **more: Any) -> dict[str, Any]:
        return stored(entry("a", a, 0.1), *others, **more)

    b = entry("b", 0, 0.1)
    test = {"rule": "above", "bound": 0, "of": ["a"], "experiment": "gen/table1"}
    test["measure"] = "distance"
    results = [
        result(1, b, protocol="defaults"),
        result(2, protocol="tuned"),
        result(3, scale="demo"),
        result(4, scale="smoke"),
        result(5, data="digits"),
        result(6, experiment="gen/fig1"),
    ]
    assert sorted(values[0].value for _, _, values in answers(test, results)) == [2, 5]
    assert [v[0].value for _, _, v in answers({**test, "data": "digits"}, results)] == [5]
    # the tuned result has no b
    assert [v[0].value for _, _, v in answers({**test, "of": ["a", "b"]}, results)] == [1]
    results.append(result(7, scale="paper", protocol="new"))
    assert [v[0].value for _, _, v in answers({**test, "data": "mnist"}, results)] == [7]


def test_results_of_another_version_are_marked() -> None:
    test = {"rule": "lowest", "of": ["a", "b"]}
    scale = EXPERIMENTS["gen/table1"].scales["small"]
    each = entry("a", 1, 0.1), entry("b", 2, 0.1)
    about = {"reductions": scale.reductions, "choices": scale.choices}

    def marked(**more: Any) -> bool:
        return (
            "small, of an earlier version: "
            in judge(claimed(test), [stored(*each, **more)]).figures[0]
        )

    assert not marked(**about)
    assert not marked(**about, settings=json.loads(json.dumps(dict(scale.settings))))
    assert marked(**about, settings={**scale.settings, "trials": 3})
    assert marked(**{**about, "reductions": "less of everything"})
    assert marked(**{**about, "choices": ""})


def test_the_ledger_shows_figures_and_reasons() -> None:
    of = "distance (± deviation)"
    test = {"rule": "lowest", "of": ["a", "b", "c"], "measure": of}
    result = stored(
        entry("a", 1, 0.2, 4, measure=of),
        entry("b", 2, 0.1, measure=of),
        entry("c", 1.1, measure=of),
        protocol="tuned",
    )
    claim = claimed(test)
    text = ledger([claim, Claim("gen", "Figure 1", "So is that.", (), "Nobody looked.")], [result])
    assert "| GEN (Saha et al., 2020) | 0 | 1 | 0 | 1 | 2 |" in text
    assert (
        "1. **Comes out in part** (1 of 2): It is so. *(Table 1)*\n\n"
        "    - gen/table1, mnist, small, tuned: distance: "
        "a (1.00 ± 0.10) < b (2.00 ± 0.10), c (1.1): 1 hold, 1 undecided\n"
    ) in text
    assert "2. **Not tested**: So is that. *(Figure 1)*\n\n    - Why: Nobody looked.\n" in text


def test_results_of_ones_own(cli: Cli, tmp_path: Path) -> None:
    name = "l = 40, m = 250", "h_opt by the root"
    own = stored(entry(name[0], 0.5, 0.1, 10, measure=name[1]), data=None)
    (tmp_path / "gen-table1").mkdir()
    (tmp_path / "gen-table1" / "table.json").write_text(json.dumps(own))
    status, out, _ = cli("reproduce", "--claims", "--results", tmp_path)
    assert status == 0
    assert "| all | 0 | 0 | 0 |" in out


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"experiment": "gen/table1", "scale": "small", "entries": []}',
        json.dumps(stored({"what": "a"})),
        json.dumps(stored(entry("a", 1, 0.1, repeats=0))),
        json.dumps({**stored(), "entries": 3}),
        json.dumps({**stored(), "without": None}),
        json.dumps({**stored(), "data": ["x"]}),
        json.dumps({**stored(), "data": 5, "protocol": 5}),
        json.dumps(stored({**entry("a", 1), "ours": {"value": "much", "error": None}})),
    ],
)
def test_a_broken_table_is_refused(refused: Refused, tmp_path: Path, content: str) -> None:
    (tmp_path / "table.json").write_text(content)
    assert "is no table of zspace reproduce" in refused(
        "reproduce", "--claims", "--results", tmp_path
    )


def test_a_table_without_what_no_experiment_can_leave_out_is_of_another_version(
    cli: Cli, tmp_path: Path
) -> None:
    name = "l = 40, m = 250", "h_opt by the root"
    own = stored(entry(name[0], 0.5, 0.1, 10, measure=name[1]), data=None, without=["nonsense"])
    (tmp_path / "table.json").write_text(json.dumps(own))
    status, out, _ = cli("reproduce", "--claims", "--results", tmp_path)
    assert status == 0
    assert "# Claims" in out


def test_a_folder_without_tables_is_refused(refused: Refused, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        line = refused("reproduce", "--claims", "--results", folder)
        assert "holds no table.json" in line
    (tmp_path / "table.json").mkdir()
    assert "is no table" in refused("reproduce", "--claims", "--results", tmp_path)
    assert "is for --claims" in refused("reproduce", "--results", tmp_path)


@pytest.mark.parametrize(
    "changed",
    [{"what": 5}, {"measure": ["a"]}, {"ours": {"value": "1", "error": 1}}, {"published": "9"}],
)
def test_an_entry_of_another_kind_is_refused(
    refused: Refused, tmp_path: Path, changed: dict[str, Any]
) -> None:
    own = stored({**entry("GEN", 0.5, 0.1, 10), **changed}, data=None)
    (tmp_path / "table.json").write_text(json.dumps(own))
    assert "is no table" in refused("reproduce", "--claims", "--results", tmp_path)
