"""Tables in Markdown, HTML and CSV."""

from __future__ import annotations

from zspace.display.tables import Table


def test_tables_escape_what_they_show() -> None:
    table = Table(["a|b", "c"], [["<i>", "**1**"]], "t & u", ["n < 3"])
    assert "a\\|b" in table.markdown()
    assert "&lt;i&gt;" in table.html()
    assert "<b>1</b>" in table.html()
    assert "t &amp; u" in table.html()
    assert table.csv() == "a|b,c\n<i>,1\n"
