"""The documented table of methods and games is what is so."""

from __future__ import annotations

from tests.agents.solvers.runs_where import PAGE, page


def test_the_page_is_what_trying_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.agents.solvers.runs_where writes it"
