"""Learning in games with an end: what comes last has no future, and what comes next is another game."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.learners import TabularConfig, TabularLearner
from agents.learners.tabular.grouping import GROUPINGS
from karma_envs.transitions import Transitions, chunks
from tests.agents.learners.learner_worlds import (
    ALGORITHMS,
    TWO_TYPES,
    World,
    assert_same_state,
    bids,
    learner_of,
    random_transitions,
    stretch,
)
from tests.own_games import SprintGame


def columns(*values: Any, dtype: Any = np.uint16) -> NDArray[Any]:
    """One agent's column."""
    return np.array(values, dtype)[:, None]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("grouping", GROUPINGS)
def test_by_hand(algorithm: str, grouping: str) -> None:
    """Q is 2 at first, alpha a half, gamma 0.9; x = 0, action 1, reward -1, then x = 1, 0 and -3: the end.

    Q(0, 1) = 2 + (-1 + 0.9 * 2 - 2) / 2 = 1.4, whatever the target, and Q(1, 0) = 2 + (-3 - 2) / 2 = -0.5.
    Then the game begins anew in x = 0 with action 0 and reward 0: what was last is not completed by it.
    """
    world = World(bids([1, 1]), np.zeros(1, np.uint8))
    learner = learner_of(world, algorithm=algorithm, grouping=grouping, learning_rate=0.5, initial_q=2.0)
    rewards = columns(-1, -3, dtype=np.float32)
    learner.update(Transitions(columns(0, 1, 0), columns(1, 0), rewards, ended=True))
    np.testing.assert_allclose(learner.q[0, :, :2], [[2, 1.4], [-0.5, 2]], rtol=1e-6)
    assert learner.state_dict()["pending_observation"].tolist() == [-1]
    learner.update(Transitions(columns(0, 0), columns(0), columns(0, dtype=np.float32), ended=True))
    np.testing.assert_allclose(learner.q[0, :, :2], [[1, 1.4], [-0.5, 2]], rtol=1e-6)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_episode_may_come_in_pieces(algorithm: str) -> None:
    whole, pieces = (learner_of(TWO_TYPES, algorithm=algorithm, learning_rate=0.3) for _ in range(2))
    rng = np.random.default_rng(5)
    for length in (1, 7, 4):
        episode = random_transitions(TWO_TYPES, length, rng)
        ended = Transitions(episode.observations, episode.actions, episode.rewards, ended=True)
        whole.update(ended)
        for step in range(length - 1):
            pieces.update(stretch(episode, step, step + 1), end_of_epoch=False)
        last = stretch(episode, length - 1, length)
        pieces.update(Transitions(last.observations, last.actions, last.rewards, ended=True))
    assert_same_state(whole, pieces)


@pytest.mark.parametrize("algorithm", ["sarsa", "q_learning"])
@pytest.mark.parametrize("grouping", GROUPINGS)
def test_the_same_as_plain_loops_over_episodes(algorithm: str, grouping: str) -> None:
    """Written anew: agents step by step, the target of a last step its reward."""
    learner = learner_of(TWO_TYPES, algorithm=algorithm, grouping=grouping, learning_rate=0.25)
    rows, learning = learner.policy.row_of_agent, GROUPINGS[grouping](TWO_TYPES.type_of_agent).learning_agents
    q = learner.q[..., : TWO_TYPES.n_actions].astype(np.float64)
    discounts = TWO_TYPES.discounts[TWO_TYPES.type_of_agent]
    rng = np.random.default_rng(6)
    for length in (5, 1, 3):
        episode = random_transitions(TWO_TYPES, length, rng)
        for step in range(length):
            for agent in learning:
                row = rows[agent]
                x, a = episode.observations[step, agent], episode.actions[step, agent]
                target = float(episode.rewards[step, agent])
                if step + 1 < length:
                    after, following = episode.observations[step + 1, agent], episode.actions[step + 1, agent]
                    values = {"q_learning": q[row, after].max(), "sarsa": q[row, after, following]}
                    target += discounts[agent] * values[algorithm]
                q[row, x, a] += 0.25 * (target - q[row, x, a])
        learner.update(Transitions(episode.observations, episode.actions, episode.rewards, ended=True))
        np.testing.assert_allclose(learner.q[..., : TWO_TYPES.n_actions], q, rtol=1e-5)


def test_backward_induction_is_learned() -> None:
    """Sprint has no chance in it, so Q-learning ends where backward induction does, at all that is visited.

    From energy e with k steps left V(e, 0) = 0 and V(e, k) = max(gamma V(min(e + 1, 3), k - 1), 1 + gamma
    V(e - 1, k - 1) if e > 0). Seeds 0.
    """
    game = SprintGame(n_agents=40)
    value = np.zeros((4, 5))
    best = np.full((4, 5, 2), np.nan)
    for left in range(1, 5):
        for energy in range(4):
            best[energy, left, 0] = 0.9 * value[min(energy + 1, 3), left - 1]
            if energy:
                best[energy, left, 1] = 1 + 0.9 * value[energy - 1, left - 1]
            value[energy, left] = np.nanmax(best[energy, left])
    assert value[:, 4].tolist() == pytest.approx([1.629, 1.81, 2.629, 2.71])  # such as rest, run, rest, run

    config = TabularConfig(algorithm="q_learning", grouping="pooled", learning_rate=0.5, exploration=1.0)
    game.reset(np.random.default_rng(0))
    learner = TabularLearner(game, config, np.random.default_rng(0))
    visits = np.zeros((20, 2), int)
    for _, played in chunks(game, learner.policy, 400):
        np.add.at(visits, (played.observations[:-1], played.actions), 1)
        learner.update(played)
    often = visits.reshape(4, 5, 2) > 50
    assert often.sum() > 20
    np.testing.assert_allclose(learner.q[0, :, :2].reshape(4, 5, 2)[often], best[often], atol=1e-3)
