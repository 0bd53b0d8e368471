"""The page of docs on coalitions: its commands, and the numbers that it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from training.cli import _parser

PAGE = (Path(__file__).parents[2] / "docs" / "coalitions.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^\$ karma-envs (.*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_understood(command: str) -> None:
    _parser().parse_args(shlex.split(command))


@pytest.mark.nightly
def test_the_numbers_are_what_the_lines_make() -> None:
    lines = [line for line in (BLOCKS[0] + BLOCKS[1]).splitlines() if not line.startswith("played")]
    space: dict[str, Any] = {}
    exec("\n".join(lines), space)
    shown = [line.split("  # ") for line in lines if re.search(r"  # \d", line)]
    assert len(shown) == 4
    for expression, comment in shown:
        assert eval(expression, space) == pytest.approx(float(comment.split()[0]), rel=1e-3)
