"""Games with boxes as games with tables: which cell is which, and that the game below plays on as it is."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from hypothesis import given
from hypothesis import strategies as st

from karma_envs.config import ConfigError
from karma_envs.finite import PlayedPolicy, as_finite, check_endless
from karma_envs.game import IllegalActionError
from karma_envs.numerics.sampling import thresholds_of
from karma_envs.tabulated import Grid, TabulatedGame, tabulated
from karma_envs.views.vector import PopulationVectorEnv
from tests.own_games import OWN_GAMES, DriftGame, OneShotGame, OwnGame, RoadsGame, SprintGame


def random_tables(game: TabulatedGame) -> PlayedPolicy:
    rng = np.random.default_rng(1)
    tables = rng.dirichlet(np.ones(game.n_actions), (2, game.n_observations))
    return PlayedPolicy(thresholds_of(tables), (np.arange(game.n_agents) % 2).astype(np.int32))


def test_cells_by_hand() -> None:
    """Places -3, 0, 3 and times 0, 0.5, 1; the time varies fastest."""
    game = TabulatedGame(DriftGame(), cells=3)
    assert (game.n_observations, game.n_actions) == (9, 3)
    assert [axis.name for axis in game.axes] == ["observed 0", "observed 1"]
    assert [axis.values for axis in game.axes] == [(-3.0, 0.0, 3.0), (0.0, 0.5, 1.0)]
    np.testing.assert_array_equal(game.action_features["taken"], [-1, 0, 1])
    game.reset(np.random.default_rng(0))
    state = game.state_dict()
    state["place"] = np.array([-3, -1.6, -1.4, 0.4, 1.6, 3], np.float32)
    game.load_state_dict(state)
    assert game.observation_index().tolist() == [0, 0, 3, 3, 6, 6]
    np.testing.assert_array_equal(game.observations()[:, 0], [-3, -3, 0, 0, 3, 3])
    rewards = game.step(np.array([2, 1, 1, 1, 1, 0]))
    place = np.array([-2, -1.6, -1.4, 0.4, 1.6, 2])
    expected = -((place - place.mean()) ** 2) - 0.1 * np.array([1, 0, 0, 0, 0, 1])
    np.testing.assert_allclose(rewards, expected, rtol=1e-6)
    assert game.observation_index().tolist() == [1, 1, 4, 4, 7, 7]  # a third of the time is nearest to a half


@given(
    st.integers(2, 40),
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 3)), min_size=1, max_size=2),
    st.lists(st.floats(0, 1), min_size=2, max_size=2),
)
def test_a_point_is_the_nearest(cells: int, sides: list[tuple[float, float]], where: list[float]) -> None:
    low = np.array([side[0] for side in sides], np.float32)
    high = low + np.array([side[1] for side in sides], np.float32)
    value = (low + (high - low) * np.array(where[: len(low)])).astype(np.float32)
    grid = Grid(Box(low, high, dtype=np.float32), cells, "place")
    assert len(grid.values) == grid.size == cells ** len(low)
    (index,) = grid.index_of(value[None])
    off = np.abs(grid.values[index] - value)
    assert (off <= (high - low) / (cells - 1) / 2 * (1 + 1e-5) + 1e-6).all()
    numbers = np.unravel_index(index, [len(axis.values) for axis in grid.axes])
    point = [axis.values[number] for axis, number in zip(grid.axes, numbers)]
    np.testing.assert_array_equal(np.array(point, np.float32), grid.values[index])
    np.testing.assert_array_equal(grid.index_of(grid.values), np.arange(grid.size))


def test_numbered_actions_are_the_games_own() -> None:
    grid = Grid(Discrete(4), 21, "action")
    assert grid.values.tolist() == [0, 1, 2, 3]
    assert grid.axes[0].values == (0, 1, 2, 3)


def test_a_box_without_width_is_one_place() -> None:
    grid = Grid(Box(1, 1, (1,), np.float32), 5, "place")
    assert grid.index_of(np.ones((2, 1), np.float32)).tolist() == [0, 0]


@pytest.mark.parametrize("below", [DriftGame, OneShotGame])
def test_the_game_below_plays_the_same_policy(below: type[OwnGame]) -> None:
    """Rollouts of the tables, and of the policy in the box that sees and does the nearest points."""
    game, box = TabulatedGame(below(), cells=4), below()
    policy = random_tables(game)
    acting = game.acting(policy)
    for each in (game, box):
        each.reset(np.random.default_rng(4))
    for _ in range(3):
        played, expected = game.rollout(policy, 50), box.rollout(acting, 50)
        assert len(played) == len(expected) == below.length
        assert played.ended
        np.testing.assert_array_equal(played.rewards, expected.rewards)
        actions = np.stack([column[played.actions] for column in game.action_features.values()], axis=2)
        np.testing.assert_array_equal(actions, expected.actions)
    assert game.outcome().steps == 3 * below.length
    for name, array in game.state_dict().items():
        np.testing.assert_array_equal(array, box.state_dict()[name])


def test_a_tabulated_game_is_seen_as_the_game_it_is_of() -> None:
    game = TabulatedGame(DriftGame(n_agents=4), cells=5)
    assert (game.name, game.length, game.n_agents, game.cells) == ("drift", 3, 4, 5)
    assert game.config == DriftGame(n_agents=4).config
    another = game.fresh()
    another.reset(np.random.default_rng(0))
    assert another.cells == 5
    assert another.game is not game.game
    with pytest.raises(IllegalActionError, match="agent 1 takes action 5; allowed: 0 … 4"):
        another.step(np.array([0, 5, 0, 0]))


def test_what_cannot_be_tabulated_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="cells = 1 is not allowed"):
        TabulatedGame(DriftGame(), cells=1)
    with pytest.raises(ConfigError, match=r"cells = 300 .*at most 65535 in the 2 dimensions"):
        TabulatedGame(DriftGame(), cells=300)

    class Unbounded(DriftGame):
        def __init__(self) -> None:
            super().__init__()
            self.observation_space = Box(-np.inf, np.inf, (2,), np.float32)

    with pytest.raises(ConfigError, match="boxes have bounds"):
        TabulatedGame(Unbounded())


@pytest.mark.parametrize("game", OWN_GAMES)
def test_every_game_has_tables_if_it_is_tabulated(game: type[OwnGame]) -> None:
    own = game()
    found = tabulated(own, cells=3)
    assert as_finite(found) is found
    assert (found is own) is (game in (RoadsGame, SprintGame))
    if found is not own:
        with pytest.raises(ConfigError, match=rf"game = '{game.name}' .*tabulated\(game, cells"):
            as_finite(own)


@pytest.mark.parametrize("game", OWN_GAMES)
def test_play_for_ever_is_asked_of_games_without_an_end(game: type[OwnGame]) -> None:
    if game.length is None:
        check_endless(game())
        return
    with pytest.raises(ConfigError, match=rf"game = '{game.name}' .* over after {game.length} steps"):
        check_endless(game())


def test_a_class_with_its_cells_is_played_in_views() -> None:
    """Views make a game of its class."""

    class Cells(TabulatedGame):
        name, config_class, presets = "drift", DriftGame.config_class, {}

        def __init__(self, config: object = None, **fields: object) -> None:
            super().__init__(DriftGame(config, **fields), cells=3)  # type: ignore[arg-type]

    env = PopulationVectorEnv(Cells, n_agents=3)
    env.reset(seed=0)
    *_, terminated, _, _ = env.step([0, 1, 2])
    assert not terminated.any()
    assert env.single_action_space == Discrete(3)
