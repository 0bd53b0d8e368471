"""What ``agents.solve`` takes: a model, or a game that stands for its model or is learned in."""

from __future__ import annotations

from typing import Any

import pytest

import agents
import karma_envs
from agents.solvers import methods
from agents.solvers.equilibrium import equilibrium_of, from_play
from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame
from tests.own_games import DriftGame


@from_play
def follow_the_start(game: PopulationGame, *, tolerance: float = 1e-3, observer: Any = None) -> Any:
    model = game.mean_field()
    assert model is not None
    response = model.best_response(model.initial_statistic)
    return equilibrium_of(model, response, "follow_the_start", tolerance, [], 0.0)


@pytest.fixture
def learning_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(methods(), "follow_the_start", follow_the_start)


def test_a_game_stands_for_its_model() -> None:
    game = karma_envs.make("meeting_time")
    by_game, by_model = agents.solve(game), agents.solve(game.mean_field())
    assert by_game.statistic.tolist() == by_model.statistic.tolist()


@pytest.mark.usefixtures("learning_method")
def test_what_learns_from_play_takes_a_game_and_no_model() -> None:
    game = karma_envs.make("meeting_time")
    assert agents.solve(game, "follow_the_start").method == "follow_the_start"
    with pytest.raises(ConfigError, match=r"method.*follow_the_start.*learns from play"):
        agents.solve(game.mean_field(), "follow_the_start")


def test_a_game_without_a_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="model"):
        agents.solve(DriftGame())
