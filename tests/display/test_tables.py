"""Tables in Markdown, HTML and CSV."""

from __future__ import annotations

from zspace.display.tables import WIDEST, Table


def test_tables_escape_what_they_show() -> None:
    table = Table(["a|b", "c"], [["<i>", "**1**"]], "t & u", ["n < 3"])
    assert "a\\|b" in table.markdown()
    assert "&lt;i&gt;" in table.html()
    assert "<b>1</b>" in table.html()
    assert "t &amp; u" in table.html()
    assert table.csv() == "a|b,c\n<i>,1\n"


def test_latex_escapes_what_means_something_there() -> None:
    table = Table(["a_b & c%", "fid ↓"], [["x\\y", "**1 ± 2**"], ["{z}^2~", "3 ="]], "t", ["n # 1"])
    assert table.tex().splitlines() == [
        "% t",
        "% n # 1",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"a\_b \& c\% & fid $\downarrow$ \\",
        r"\midrule",
        r"x\textbackslash{}y & \textbf{1 $\pm$ 2} \\",
        r"\{z\}\textasciicircum{}2\textasciitilde{} & 3 = \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_wide_tables_come_in_pieces() -> None:
    header = ["run", *(f"f{i}" for i in range(17))]
    page = Table(header, [["a", *map(str, range(17))]], "t").html()
    assert page.count("<table>") == 3
    assert page.count("<td>a</td>") == 3
    assert [page.count(f"<th>f{i}</th>") for i in range(17)] == [1] * 17
    assert max(piece.count("<th>") for piece in page.split("<table>")) <= WIDEST


def test_cells_are_no_formulas_or_arguments() -> None:
    table = Table(["a", "b"], [["=cmd()", "-1.5 ± 2"], ["-x", "**q"], ["[2cm]", "*"]])
    assert table.csv().splitlines()[1:] == ["'=cmd(),-1.5 ± 2", "'-x,**q", "[2cm],*"]
    assert table.tex().splitlines()[-3].startswith("{}[2cm] & {}*")
