"""Every game's docstring has the fixed headings, and says the defaults that the configuration has."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from types import ModuleType
from typing import Any

import pytest

from karma_envs import games

HEADINGS = (
    "Model",
    "State",
    "Action",
    "Reward",
    "Order of a step",
    "End",
    "Mean-field limit",
    "Known equilibrium",
    "Reference",
    "Differences from the source",
)

MODULES = {
    module.name: importlib.import_module(f"{games.__name__}.{module.name}")
    for module in pkgutil.iter_modules(games.__path__)
}
GAMES = {name: module for name, module in MODULES.items() if hasattr(module, "GAME")}
VALUE = r"(\([^()]*\)|\[[^\[\]]*\]|'[^']*'|\"[^\"]*\"|-?\d[\w.+-]*(?<!\.)|True|False|None)"


def stated(document: str, field: str) -> list[Any]:
    """The values that a text gives for a field, as in ``n_agents = 100``."""
    found = re.findall(rf"\b{field} = {VALUE}", document)
    return [ast.literal_eval(value) for value in found]


def test_there_are_games() -> None:
    assert "matching" in GAMES


@pytest.mark.parametrize("module", GAMES.values(), ids=GAMES)
def test_headings(module: ModuleType) -> None:
    document = inspect.getdoc(module) or ""
    headings = re.findall(r"^(\S[^\n]*):$", document, flags=re.MULTILINE)
    assert tuple(headings) == HEADINGS
    parts = re.split(r"^\S[^\n]*:$", document, flags=re.MULTILINE)
    assert all(part.strip() for part in parts)  # a summary, and something under each heading


@pytest.mark.parametrize("module", GAMES.values(), ids=GAMES)
def test_defaults_in_text_are_the_configurations(module: ModuleType) -> None:
    document = inspect.getdoc(module) or ""
    config = module.GAME.config_class()
    values = {field: stated(document, field) for field in config.field_names()}
    assert sum(map(len, values.values())) >= 3, "the docstring states its defaults as `name = value`"
    for field, given in values.items():
        for value in given:
            assert value == getattr(config, field), field


def test_the_reader_finds_values() -> None:
    text = "with n_agents = 100, urgencies = (1.0, 5.0), discount = 0.98. And n_agents = 7; x = 'a'."
    assert stated(text, "n_agents") == [100, 7]
    assert stated(text, "urgencies") == [(1.0, 5.0)]
    assert stated(text, "discount") == [0.98]
    assert stated(text, "x") == ["a"]
    assert stated(text, "agents") == []
