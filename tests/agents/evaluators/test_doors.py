"""What is learned of tables, or is about play that goes on for ever, asks for it at the door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agents import TabularPolicy
from agents.evaluators.exploitability.convergence import payoff_estimates
from agents.evaluators.exploitability.deviation import deviation_gain
from agents.evaluators.exploitability.exact import exploitability_by_agent
from agents.evaluators.exploitability.one_at_a_time import one_at_a_time_exploitability
from agents.evaluators.exploitability.parallel import parallel_exploitability
from agents.evaluators.exploitability.population import play_in_population
from agents.evaluators.exploitability.relearning import relearning_gain
from agents.learners import TabularLearner
from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame
from karma_envs.tabulated import tabulated
from tests.own_games import DriftGame, OneShotGame, OwnGame, RoadsGame, SprintGame

NOTHING = np.zeros((1, 3, 3))
NOTHING[..., 0] = 1

EVALUATORS: dict[str, Callable[[PopulationGame, TabularPolicy], Any]] = {
    "exact": exploitability_by_agent,
    "parallel": parallel_exploitability,
    "one at a time": lambda game, policy: one_at_a_time_exploitability(game, policy, 0),
    "deviation": lambda game, policy: deviation_gain(game, policy, 0, NOTHING[0]),
    "relearning": relearning_gain,
    "payoffs": lambda game, policy: payoff_estimates(game, policy, NOTHING),
    "population": play_in_population,
}


@pytest.mark.parametrize("evaluator", [name for name in EVALUATORS if name != "exact"])
@pytest.mark.parametrize("game", [DriftGame, OneShotGame, SprintGame])
def test_evaluators_refuse_games_with_an_end(evaluator: str, game: type[OwnGame]) -> None:
    """Also where they have tables."""
    for each in (game(), tabulated(game(), cells=3)):
        with pytest.raises(ConfigError, match=rf"game = '{game.name}' .*over after {game.length} steps"):
            EVALUATORS[evaluator](each, TabularPolicy(NOTHING))


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_evaluators_and_learners_ask_for_tables(evaluator: str) -> None:
    class Endless(DriftGame):
        length: Any = None

    with pytest.raises(ConfigError, match=r"game = 'drift' .*tabulated\(game, cells"):
        EVALUATORS[evaluator](Endless(), TabularPolicy(NOTHING))


def test_learners_ask_for_tables_and_take_games_with_an_end() -> None:
    with pytest.raises(ConfigError, match=r"game = 'one_shot' .*tabulated\(game, cells"):
        TabularLearner(OneShotGame())
    for game in (SprintGame(), tabulated(OneShotGame(), cells=3)):
        assert len(TabularLearner(game).policy.row_of_agent) == 6


def test_policies_are_told_of_by_what_the_game_says() -> None:
    """Axes and features of actions, where there are any."""
    policy = TabularPolicy(np.full((1, 9, 3), 1 / 3))
    frame = policy.to_frame(tabulated(DriftGame(), cells=3))
    assert {"observation", "observed 0", "observed 1", "action", "taken"} <= set(frame.columns)
    assert sorted(frame["observed 0"].unique()) == [-3, 0, 3]
    assert "action" in TabularPolicy(NOTHING).to_frame(RoadsGame()).columns
