"""Agents who choose their way drive allowed paths and nothing else, and fixed paths are what they were."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import karma_envs
from karma_envs.baselines import baseline_policy
from karma_envs.checks import check_game
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError
from karma_envs.games.grid_city import GridCityGame
from karma_envs.games.grid_city.network import grid, road_network
from karma_envs.karma.baselines import bid_all, bid_nothing, proportional
from tests.games.letter_roads import CHOICES, CROSSING, DIAMOND, new_game


def random_actions(game: GridCityGame, rng: np.random.Generator) -> NDArray[np.int64]:
    mask = game.action_mask()
    return np.asarray((rng.random(mask.shape) * mask).argmax(axis=1), np.int64)


# --- fixed paths are what they were ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "n_observations", "digest"),
    [
        ({}, 495, "a2aa627a1157ae8b"),
        (
            {
                "n_agents": 60,
                "rows": 2,
                "columns": 3,
                "redistribution": "tax(rate=0.3)",
                "paths_per_agent": 3,
            },
            465,
            "78962e1dc5108fde",
        ),
        (
            {
                "n_agents": 40,
                "rows": 2,
                "columns": 2,
                "redistribution": "uniform_to_active",
                "allocation": "dict",
            },
            255,
            "035112cca01eb2a3",
        ),
    ],
)
def test_fixed_paths_play_as_before_there_was_a_choice(
    fields: dict[str, Any], n_observations: int, digest: str
) -> None:
    """The digests are of the version before positions and options replaced paths and lanes."""
    game = new_game(seed=7, **fields)
    played = game.rollout(baseline_policy("random", game), 300)
    found = hashlib.sha256()
    for array in (
        played.observations,
        played.actions,
        played.rewards,
        game.arrays.karma,
        game.observations(),
        game.action_mask(),
    ):
        found.update(np.ascontiguousarray(array).tobytes())
    assert game.n_observations == n_observations
    assert found.hexdigest()[:16] == digest


@pytest.mark.parametrize("choice", CHOICES)
def test_option_0_follows_the_paths_that_were_drawn(choice: str) -> None:
    fields: dict[str, Any] = {"n_agents": 50, "rows": 3, "columns": 3}
    fixed, free = new_game(**fields), new_game(**fields, route_choice=choice)
    np.testing.assert_array_equal(fixed.paths_of_agent, free.paths_of_agent)
    rng = np.random.default_rng(1)
    for _ in range(100):
        bids = rng.integers(0, fixed.action_mask().sum(axis=1))
        np.testing.assert_array_equal(fixed.step(bids), free.step(bids))
        np.testing.assert_array_equal(fixed.arrays.karma, free.arrays.karma)
        np.testing.assert_array_equal(fixed.scene()["lanes"], free.scene()["lanes"])
        np.testing.assert_array_equal(fixed.arrays.streams, free.arrays.streams)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_of_one_route_is_none(choice: str) -> None:
    fields: dict[str, Any] = {"n_agents": 50, "rows": 2, "columns": 2}
    fixed, free = new_game(**fields), new_game(**fields, route_choice=choice, routes_per_trip=1)
    np.testing.assert_array_equal(fixed.legal_actions, free.legal_actions)
    policy = baseline_policy("random", fixed)
    first, second = fixed.rollout(policy, 100), free.rollout(policy, 100)
    np.testing.assert_array_equal(first.observations, second.observations)
    np.testing.assert_array_equal(first.rewards, second.rewards)


# --- play ------------------------------------------------------------------------------------------

OVERLAPPING = road_network(grid(2, 3), capacity=1, paths="k_shortest", k=4)
"""Paths that cross and part like all shortest paths do, but for some that are missing."""


def check_play(game: GridCityGame, n_steps: int, rng: np.random.Generator) -> None:
    """Random play: everyone drives allowed paths, lanes and karma keep their bounds."""
    network, plans, n_agents = game.network, game.plans, game.n_agents
    driven: list[list[int]] = [[] for _ in range(n_agents)]
    finished = 0
    for _ in range(n_steps):
        position = game.arrays.position.astype(np.int64)
        before, lanes = game.outcome(), game.lane_outcome()
        actions = random_actions(game, rng)
        wanted = plans.lanes(position, actions // (game.config.karma_max + 1))
        game.step(actions)
        np.testing.assert_array_equal(game.scene()["lanes"], np.where(position > 0, wanted, -1))
        np.testing.assert_array_equal(game.scene()["bids"], actions % (game.config.karma_max + 1))
        won = game.outcome().accesses - before.accesses
        assert (game.lane_outcome().since(lanes).entries <= network.capacity).all()
        assert game.arrays.karma.sum() + game.arrays.surplus[0] == game.config.total_karma
        after = game.arrays.position
        for agent in np.flatnonzero(position):
            slot = (position[agent] - 1) // plans.per_slot
            if not won[agent]:
                assert after[agent] == position[agent]
                continue
            driven[agent].append(int(wanted[agent]))
            allowed = {network.paths[route] for route in plans.routes[plans.routes_of_agent[agent, slot]]}
            so_far = tuple(driven[agent])
            assert any(path[: len(so_far)] == so_far for path in allowed)
            if so_far in allowed:
                assert after[agent] in (0, *plans.starts[agent])
                driven[agent] = []
                finished += 1
            else:
                assert (after[agent] - 1) // plans.per_slot == slot
                assert after[agent] not in plans.starts[agent]
    assert finished or n_steps < 40


@pytest.mark.parametrize("choice", CHOICES)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_agents=st.integers(1, 12),
    capacity=st.integers(1, 3),
    routes=st.sampled_from([None, 1, 2, 3]),
    overlapping=st.booleans(),
)
@settings(max_examples=25, deadline=None)
@pytest.mark.filterwarnings("ignore:route_choice")  # a few agents may all have drawn trips without one
def test_everyone_drives_allowed_paths(
    choice: str, seed: int, n_agents: int, capacity: int, routes: int | None, overlapping: bool
) -> None:
    network = OVERLAPPING if overlapping else road_network(grid(3, 2), capacity=capacity)
    game = new_game(
        network, seed, n_agents=n_agents, route_choice=choice, routes_per_trip=routes, path_seed=seed % 7
    )
    check_play(game, 40, np.random.default_rng(seed))


@pytest.mark.parametrize("choice", CHOICES)
def test_a_few_agents_use_all_their_routes(choice: str) -> None:
    game = new_game(CROSSING, n_agents=3, paths_per_agent=1, route_choice=choice, dormant_probability=0)
    check_play(game, 300, np.random.default_rng(2))
    totals = game.lane_outcome()
    assert (totals.entries > 20).all()


def test_who_waits_may_choose_anew() -> None:
    game = new_game(DIAMOND, n_agents=2, paths_per_agent=1, route_choice="node", dormant_probability=0)
    first = game.paths_of_agent[:, 0]
    upper = 15 * (first != 0)  # the option that goes by lane 0
    assert game.arrays.position.tolist() == [3, 3]
    game.step(upper + np.array([5, 2]))
    assert game.arrays.position[1] == 3  # agent 1 waits at the fork …
    game.step(np.array([0, 15 * (first[1] == 0)]))  # … and goes the other way
    assert game.lane_outcome().entries[[0, 1, 2]].tolist() == [1, 1, 1]


def test_a_route_is_fixed_after_the_first_lane() -> None:
    game = new_game(CROSSING, n_agents=5, paths_per_agent=2, route_choice="trip")
    options, starts = game.plans.options, set(game.plans.starts.ravel().tolist())
    assert {position for position in range(len(options)) if options[position] > 1} == starts
    places = np.arange(game.n_observations) // 15
    n_legal = game.legal_actions[:, ::15].sum(axis=1)  # options with bid 0
    np.testing.assert_array_equal(n_legal, options[(places + 1) // 2])


def test_legal_actions_are_what_the_docstring_says() -> None:
    game = GridCityGame(n_agents=20, rows=2, columns=2, route_choice="node", karma_max=3, karma_mean=2)
    for observation, action in np.ndindex(game.legal_actions.shape):
        place, karma = divmod(observation, 4)
        option, bid = divmod(action, 4)
        exists = option < (2 if place > 0 and (place - 1) // 2 % 5 == 4 else 1)
        legal = exists and bid <= (karma if place else 0)
        assert game.legal_actions[observation, action] == legal
    assert game.bid_of_action.tolist() == [0, 1, 2, 3] * 2


def test_without_bids_the_way_is_still_free() -> None:
    game = new_game(DIAMOND, n_agents=2, paths_per_agent=1, route_choice="node", allocation="coin")
    allowed = np.flatnonzero(game.action_mask()[game.arrays.position > 0].any(axis=0))
    assert allowed.tolist() == [0, 15]


def test_illegal_actions_name_what_is_allowed() -> None:
    game = new_game(DIAMOND, n_agents=2, paths_per_agent=1, route_choice="node", dormant_probability=0)
    says = r"agent 1 takes action 25, option 1 with bid 10; allowed: options 0 … 1 with bids 0 … 9"
    with pytest.raises(IllegalActionError, match=says):
        game.step(np.array([0, 25]))
    with pytest.raises(IllegalActionError, match=r"agent 0 takes action 30, option 2 .* options 0 … 1 "):
        game.step(np.array([30, 0]))
    with pytest.raises(IllegalActionError, match=r"agent 0 takes action -1, option -1"):
        game.step(np.array([-1, 0]))


def test_baselines_spread_over_the_ways() -> None:
    game = GridCityGame(n_agents=10, rows=2, columns=2, route_choice="node")
    options = game.legal_actions[:, ::15].sum(axis=1)
    for bids_of in (bid_all, bid_nothing, proportional):
        (row,) = bids_of(game)
        np.testing.assert_array_equal((row > 0).sum(axis=1), options)
        bids = row @ game.bid_of_action
        assert set((row > 0).sum(axis=1)) == {1, 2}
        np.testing.assert_array_equal(row[row > 0], np.repeat(1 / options, options))
        place, karma = np.divmod(np.arange(game.n_observations), 15)
        if bids_of is bid_all:
            np.testing.assert_array_equal(bids, karma * (place > 0))
        if bids_of is bid_nothing:
            assert not bids.any()


# --- the contracts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"routes_per_trip": 2}, {"allocation": "turn"}], ids=str)
@pytest.mark.parametrize("choice", CHOICES)
def test_contracts(choice: str, fields: dict[str, Any]) -> None:
    check_game(GridCityGame(n_agents=6, rows=3, columns=2, route_choice=choice, **fields))


def test_the_game_of_its_own() -> None:
    game = karma_envs.make("grid_city_routes", n_agents=30)
    assert isinstance(game, GridCityGame)
    assert game.config.route_choice == "node"
    same = karma_envs.make("grid_city", "routes", n_agents=30)
    for each in (game, same):
        each.reset(np.random.default_rng(3))
    policy = baseline_policy("random", game)
    np.testing.assert_array_equal(game.rollout(policy, 50).rewards, same.rollout(policy, 50).rewards)
    assert karma_envs.make("grid_city_routes").n_observations == 1035


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"route_choice": "nodes"}, "route_choice = 'nodes' .* none, trip, node"),
        ({"routes_per_trip": 2}, "routes_per_trip = 2 .* null .* where route_choice is none"),
        ({"route_choice": "trip", "routes_per_trip": 0}, "routes_per_trip = 0 .* from 1 up"),
        ({"route_choice": "node", "paths_per_agent": 200}, "65535 observations"),
        ({"route_choice": "trip", "karma_max": 300, "n_agents": 50}, r"65535 .* \(routes_per_trip limits"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        GridCityGame(**fields)
