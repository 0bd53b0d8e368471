"""Every game's docstring has the fixed headings, and says what the game and its configuration are."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from types import ModuleType
from typing import Any

import pytest
from gymnasium.spaces import Box

from karma_envs import games
from karma_envs.config import Config
from karma_envs.finite import FiniteGame
from karma_envs.game import PopulationGame

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


def facts(document: str) -> dict[str, str]:
    """The table of a docstring: what each row tells, by its name."""
    _, table, _ = re.split(r"^ +=+ +=+$", document, flags=re.MULTILINE)
    rows = re.split(r"\n    (?=\S)", table.rstrip())[1:]
    return {name: " ".join(told.split()) for name, told in (row.split(maxsplit=1) for row in rows)}


def how_many(told: str, config: Config) -> int:
    """How many things there are that a row counts, as in "one of karma_max + 1, the bid"."""
    (count,) = re.findall(r"^one of ([\w +*()]+?)(?: with |,| on )", told)
    return calculated(ast.parse(count, mode="eval").body, config)


def calculated(count: ast.expr, config: Config) -> int:
    """A sum or product of numbers and fields."""
    match count:
        case ast.Constant(int(number)):
            return number
        case ast.Name(field):
            return int(getattr(config, field))
        case ast.BinOp(left, ast.Add(), right):
            return calculated(left, config) + calculated(right, config)
        case ast.BinOp(left, ast.Mult(), right):
            return calculated(left, config) * calculated(right, config)
    raise ValueError(f"{ast.unparse(count)} is no sum or product")


@pytest.mark.parametrize("module", GAMES.values(), ids=GAMES)
def test_the_table_of_facts_is_that_of_the_game(module: ModuleType) -> None:
    game: PopulationGame = module.GAME()
    table = facts(inspect.getdoc(module) or "")
    assert list(table)[:5] == ["agents", "observation", "action", "reward", "length"]
    assert stated(table["agents"], "n_agents") == [game.n_agents]
    assert ("exchangeable" in table["agents"]) is game.exchangeable
    for row, space in (("observation", game.observation_space), ("action", game.action_space)):
        if isinstance(space, Box):
            assert f"``Box({space.shape[0]})``" in table[row]
    if isinstance(game, FiniteGame):
        counts = {"observation": game.n_observations, "action": game.n_actions}
        assert {row: how_many(table[row], game.config) for row in counts} == counts
    ((worst, best),) = re.findall(r"^(?:(-?[\d.]+) to|at most) (-?[\d.]+)", table["reward"])
    bounds = float(worst or game.reward_bounds[0]), float(best)
    assert bounds == pytest.approx(game.reward_bounds)
    assert re.findall(r"^(none|\d+)", table["length"]) == [str(game.length or "none")]


def test_the_reader_finds_facts() -> None:
    text = (
        "Model:\n    N.\n\n    ===  ===\n    a    one of 7, as\n         said\n    bc   2 to\n    ===  ===\n"
    )
    assert facts(text) == {"a": "one of 7, as said", "bc": "2 to"}


def test_the_reader_finds_values() -> None:
    text = "with n_agents = 100, urgencies = (1.0, 5.0), discount = 0.98. And n_agents = 7; x = 'a'."
    assert stated(text, "n_agents") == [100, 7]
    assert stated(text, "urgencies") == [(1.0, 5.0)]
    assert stated(text, "discount") == [0.98]
    assert stated(text, "x") == ["a"]
    assert stated(text, "agents") == []
