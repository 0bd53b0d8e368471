"""Re-learning of several agents: each as if it were asked for alone, and nobody the game does not have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import karma_envs
from agents import TabularPolicy
from agents.evaluators import deviation_gain, one_at_a_time_exploitability, relearning_gain
from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame


def game_and_policy() -> tuple[PopulationGame, TabularPolicy]:
    game = karma_envs.make("matching", n_agents=6, karma_max=3, karma_mean=1, discount=0.9)
    return game, TabularPolicy(game.legal_actions / game.legal_actions.sum(axis=1, keepdims=True))


def test_several_agents_learn_as_each_does_alone() -> None:
    game, policy = game_and_policy()
    options: dict[str, Any] = {"n_steps": 2000, "n_updates": 4, "n_samples": 5, "seed": 7}
    both = relearning_gain(game, policy, [1, 4], **options)
    alone = [relearning_gain(game, policy, agent, **options) for agent in (1, 4)]
    assert both.agents.tolist() == [1, 4]
    assert both.gains.shape == (2,)
    for index, one in enumerate(alone):
        np.testing.assert_array_equal(both.deviations[index], one.deviations[0])
    assert both.gains[0] == alone[0].gains[0]  # and from the same states, those of the first agent's


@pytest.mark.parametrize("agents", [[], [0, 6], -1, [0.5], "all", [[0], [1]], [True]])
def test_agents_that_the_game_does_not_have_are_refused(agents: Any) -> None:
    game, policy = game_and_policy()
    for evaluate in (
        lambda: relearning_gain(game, policy, agents),
        lambda: deviation_gain(game, policy, agents, policy.probabilities[0]),
        lambda: one_at_a_time_exploitability(game, policy, agents),
    ):
        with pytest.raises(ConfigError, match=r"agents = .*; allowed: numbers of agents, 0 … 5"):
            evaluate()
