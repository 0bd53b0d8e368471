"""Tables of notebooks, in which nothing is markup but what we made so; and data frames."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree

import pytest

from karma_envs.display import data_frame, html_table


def test_texts_are_escaped() -> None:
    table = html_table([{"<b>name": "<script>alert(1)</script>", "n": 3}], "a & b")
    assert "<script>" not in table
    assert "<b>" not in table
    root = ElementTree.fromstring(table)
    assert root.findtext("caption") == "a & b"
    assert [cell.text for cell in root.iter("th")] == ["<b>name", "n"]
    assert [cell.text for cell in root.iter("td")] == ["<script>alert(1)</script>", "3"]


def test_long_tables_say_how_much_they_leave_out() -> None:
    root = ElementTree.fromstring(html_table([{"n": number} for number in range(5)], most=2))
    assert [cell.text for cell in root.iter("td")] == ["0", "1", "and 3 others"]
    assert ElementTree.fromstring(html_table([])).findall("tbody/tr/td") == []


def test_rows_and_columns_make_the_same_frame() -> None:
    pandas = pytest.importorskip("pandas")
    rows = data_frame([{"n": 1, "x": 0.5}, {"n": 2, "x": 0.25}])
    pandas.testing.assert_frame_equal(rows, data_frame({"n": [1, 2], "x": [0.5, 0.25]}))
    assert list(rows.columns) == ["n", "x"]


def test_without_pandas_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'karma-envs\[frame\]'"):
        data_frame([])
