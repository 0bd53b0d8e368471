"""Arrays over observations, unfolded along what observations are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import karma_envs
from karma_envs.axes import Axis, axis_values, by_axes
from karma_envs.finite import as_finite
from karma_envs.games.matching import MatchingGame
from karma_envs.karma.urgency import AgentType

WEATHER = (Axis("season", ("dry", "wet")), Axis("stock", (0, 1, 2)))


def test_observations_by_hand() -> None:
    table = np.arange(12).reshape(6, 2)  # [observations, actions]
    assert by_axes(table, WEATHER, at=0)[1, 2].tolist() == [10, 11]  # wet, 2: the last observation
    assert by_axes(table.T, WEATHER)[1, 0].tolist() == [1, 3, 5]
    assert axis_values(WEATHER)["season"].tolist() == ["dry"] * 3 + ["wet"] * 3
    assert axis_values(WEATHER)["stock"].tolist() == [0, 1, 2] * 2


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4), before=st.integers(1, 3))
def test_an_entry_is_where_the_values_of_its_observation_are(sizes: list[int], before: int) -> None:
    axes = [Axis(str(number), tuple(range(size))) for number, size in enumerate(sizes)]
    table = np.arange(before * math.prod(sizes)).reshape(before, -1)
    unfolded = by_axes(table, axes)
    where = tuple(axis_values(axes).values())
    np.testing.assert_array_equal(unfolded[(slice(None), *where)], table)


def test_axes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"season, stock of lengths \[2, 3\] do not make up 7 observations"):
        by_axes(np.zeros((2, 7)), WEATHER)


@pytest.mark.parametrize("name", ["matching", "grid_city", "grid_city_routes"])
def test_games_of_karma_say_what_they_are_made_of(name: str) -> None:
    game = as_finite(karma_envs.make(name))
    assert game.axes[-1].name == "karma"
    values, reachable = game.observation_values(), game.reachable_by_type()
    assert list(values) == ["urgency", "karma"]
    # Nobody bids more than it has: the highest bid by karma, whatever else is observed.
    bids = np.where(game.legal_actions, game.action_features["bid"], -1).max(axis=1)
    highest = by_axes(np.where(reachable[0], bids, -1), game.axes)
    np.testing.assert_array_equal(highest.max(axis=0), game.axes[-1].values)
    assert (by_axes(values["karma"], game.axes) == np.array(game.axes[-1].values)).all()


def test_urgencies_of_types_that_differ_are_numbered() -> None:
    types = (AgentType(1, 0.7), AgentType(3, 0.9, (1, 2, 9)))
    game = MatchingGame(n_agents=8, karma_max=2, karma_mean=1, types=types)
    assert game.axes[0] == Axis("urgency", (0, 1, 2))
    assert MatchingGame(urgencies=(2, 7)).axes[0] == Axis("urgency", (2.0, 7.0))
    assert [row[::3].tolist()[:2] for row in game.observation_values()["urgency"]] == [[1, 5], [1, 2]]
    assert game.reachable_by_type().sum(axis=1).tolist() == [6, 9]
    model = game.mean_field()
    assert model is not None
    assert model.axes == game.axes
    np.testing.assert_allclose(model.type_features["mean_urgency"], [3, 4])


def test_the_rate_of_access_is_the_chance_to_win() -> None:
    """Where all bid nothing one wins half of the time, and with any bid always."""
    model = MatchingGame(karma_max=2, karma_mean=1).mean_field()
    assert model is not None
    nothing = np.zeros((1, 6, 3))
    nothing[:, :, 0] = 1
    rates = model.rates(model.statistic_of(nothing))
    np.testing.assert_allclose(rates["access"], np.broadcast_to([0.5, 1, 1], (1, 6, 3)))
