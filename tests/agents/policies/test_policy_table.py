"""A policy as a table: probabilities by type or agent, beside what observations and actions mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents import TabularPolicy
from agents.policies.table import policy_table
from karma_envs import make
from karma_envs.baselines import random as random_bids
from karma_envs.game import PolicyError
from karma_envs.karma.urgency import AgentType

TYPES = (AgentType(1, 0.7), AgentType(3, 0.9, (1, 2, 9)))


def small() -> Any:
    """Two agents of two urgencies and six of three, karma 0 … 2: nine observations, three actions."""
    return make("matching", n_agents=8, karma_max=2, karma_mean=1, types=TYPES)


def rows_of(table: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [*zip(*(column.tolist() for column in table.values()))]


def test_the_mean_of_each_type_by_hand() -> None:
    """Of the first type's two agents one bids all and one nothing; the second type bids nothing."""
    game = small()
    probabilities = np.zeros((2, 9, 3))
    probabilities[0, np.arange(9), np.arange(9) % 3] = 1
    probabilities[1, :, 0] = 1
    policy = TabularPolicy(probabilities, [0, 1, 1, 1, 1, 1, 1, 1])
    table = policy_table(policy, game)
    assert list(table) == ["type", "observation", "urgency", "karma", "action", "bid", "probability"]
    first = [
        (0, 0, 1.0, 0, 0, 0, 1.0),
        (0, 1, 1.0, 1, 0, 0, 0.5),
        (0, 1, 1.0, 1, 1, 1, 0.5),
        (0, 2, 1.0, 2, 0, 0, 0.5),
        (0, 2, 1.0, 2, 2, 2, 0.5),
    ]
    rows = rows_of(table)
    assert rows[:5] == first
    assert [row[2] for row in rows[5:10]] == [5.0] * 5  # then the second urgency, and there is no third
    assert rows[10:] == [
        (1, number, urgency, number % 3, 0, 0, 1.0)
        for number, urgency in enumerate((1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 9.0, 9.0, 9.0))
    ]


def test_every_agent_by_hand() -> None:
    game = small()
    table = policy_table(TabularPolicy(random_bids(game)), game, by_agent=True)
    assert list(table)[:2] == ["agent", "type"]
    rows = rows_of(table)
    assert len(rows) == 2 * 12 + 6 * 18  # 1 + 2 + 3 legal bids by urgency
    assert rows[4] == (0, 0, 2, 1.0, 2, 1, 1, pytest.approx(1 / 3))
    assert rows[-1] == (7, 1, 8, 9.0, 2, 2, 2, pytest.approx(1 / 3))


def test_without_a_game_there_are_numbers_only() -> None:
    table = policy_table(TabularPolicy([[0.25, 0.75], [1.0, 0.0]]))
    assert rows_of(table) == [(0, 0, 0, 0.25), (0, 0, 1, 0.75), (0, 1, 0, 1.0)]
    assert list(table) == ["row", "observation", "action", "probability"]


@pytest.mark.parametrize(
    "game",
    [
        make("matching", n_agents=20, types=TYPES),
        make("grid_city", preset="small"),
        make("grid_city_routes", preset="small"),
    ],
    ids=lambda game: game.name,
)
def test_observations_mean_what_the_agents_have(game: Any) -> None:
    """Of agents at play, by the game's own arrays."""
    game.reset(np.random.default_rng(1))
    game.rollout(TabularPolicy(random_bids(game)).fitted_to(game), 30)
    values, number = game.observation_values(), game.observation_index()
    karma = values["karma"][game.type_of_agent, number]
    np.testing.assert_array_equal(karma, game.outcome().karma)
    assert len(set(karma)) > 3
    urgency = values["urgency"][game.type_of_agent, number]
    types, state = game.config.agent_types, game.arrays
    own = [types[kind].urgencies[now] for kind, now in zip(game.type_of_agent, state.urgency)]
    awake = getattr(state, "position", np.ones(game.n_agents)) > 0
    assert awake.any()
    np.testing.assert_array_equal(urgency, np.where(awake, own, np.nan))


def test_a_policy_of_another_game_is_refused() -> None:
    with pytest.raises(PolicyError):
        policy_table(TabularPolicy(np.ones((1, 8, 1))), small())
    with pytest.raises(PolicyError, match="has 3 rows; one for this game has 1 or 2"):
        policy_table(TabularPolicy(np.repeat(random_bids(small()), 3, axis=0)), small())


def test_a_policy_shows_itself_in_a_line() -> None:
    game = small()
    policy = TabularPolicy(np.repeat(random_bids(game), 8, axis=0))
    assert repr(policy) == "TabularPolicy(8 agents, 8 rows, 9 observations × 3 actions)"
    assert repr(TabularPolicy([[1.0]])) == "TabularPolicy(1 agent, 1 row, 1 observations × 1 actions)"
    assert "<td>9</td><td>3</td>" in policy._repr_html_()
    pandas = pytest.importorskip("pandas")
    frame = policy.to_frame(game)
    assert isinstance(frame, pandas.DataFrame)
    assert frame["probability"].sum() == pytest.approx(2 * 3 + 3 * 3)  # of each observation of each type
