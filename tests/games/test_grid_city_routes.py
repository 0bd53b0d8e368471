"""Plans by hand, and that agents who choose their way drive allowed paths and nothing else."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import karma_envs
from karma_envs.baselines import BASELINES, baseline_policy
from karma_envs.checks import check_game
from karma_envs.config import ConfigError
from karma_envs.game import IllegalActionError
from karma_envs.games.grid_city import GridCityGame
from karma_envs.games.grid_city.network import RoadNetwork, grid, road_network
from karma_envs.games.grid_city.plans import ARRIVED, Layout, trip_positions

CHOICES = ("trip", "node")


def roads(lanes: Sequence[str], paths: Sequence[str], capacity: int = 1) -> RoadNetwork:
    """A network of nodes a, b, c …, its paths as the nodes they visit."""
    graph = nx.DiGraph()
    for index, lane in enumerate(lanes):
        graph.add_edge(*lane, lane=index)
    number = {lane: index for index, lane in enumerate(lanes)}
    return RoadNetwork(
        graph=graph,
        lanes=tuple((lane[0], lane[1]) for lane in lanes),
        paths=tuple(tuple(number[a + b] for a, b in itertools.pairwise(path)) for path in paths),
        weights=np.full(len(paths), 1 / len(paths)),
        capacity=np.full(len(lanes), capacity),
    )


DIAMOND = roads(["ab", "bd", "ac", "cd"], ["abd", "acd"])
CROSSING = roads(["sa", "am", "mc", "ct", "sb", "bm", "md", "dt"], ["samct", "sbmdt"])
"""Two paths that cross in m; the ways from a to d and from b to c are no paths."""


def new_game(network: RoadNetwork | None = None, seed: int = 0, **fields: Any) -> GridCityGame:
    if network is not None:
        fields["network"] = lambda n_agents: network
    game = GridCityGame(**fields)
    game.reset(np.random.default_rng(seed))
    return game


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


# --- plans by hand ---------------------------------------------------------------------------------


def test_a_single_path_is_a_chain() -> None:
    for at_every_node in (False, True):
        chain = trip_positions([(4, 2, 7)], at_every_node=at_every_node)
        assert chain == [[(4, 1)], [(2, 2)], [(7, ARRIVED)]]


def test_a_diamond() -> None:
    expected = [[(0, 1), (2, 2)], [(1, ARRIVED)], [(3, ARRIVED)]]
    for at_every_node in (False, True):
        assert trip_positions(DIAMOND.paths, at_every_node=at_every_node) == expected
    swapped = [[(2, 1), (0, 2)], [(3, ARRIVED)], [(1, ARRIVED)]]
    assert trip_positions(DIAMOND.paths[::-1], at_every_node=True) == swapped


def test_across_two_by_two() -> None:
    """From above the first junction to the right of the last: in, then two ways, then out."""
    network = road_network(grid(2, 2), capacity=1)
    nodes = [
        [(-1, 0), (0, 0), *middle, (1, 1), (1, 2)] for middle in ([(0, 1)], [(1, 0)])
    ]  # by the right, by the left
    lane = {pair: index for index, pair in enumerate(network.lanes)}
    right, left = ([lane[pair] for pair in itertools.pairwise(way)] for way in nodes)
    assert {tuple(right), tuple(left)} <= set(network.paths)
    entry, out = right[0], right[3]
    assert trip_positions([right, left], at_every_node=True) == [
        [(entry, 1)],
        [(right[1], 2), (left[1], 3)],
        [(right[2], 4)],
        [(left[2], 4)],
        [(out, ARRIVED)],
    ]
    assert trip_positions([right, left], at_every_node=False) == [
        [(entry, 1), (entry, 2)],
        [(right[1], 3)],
        [(left[1], 4)],
        [(right[2], 5)],
        [(left[2], 5)],
        [(out, ARRIVED)],
    ]


def test_a_node_is_two_positions_where_one_would_make_a_path_that_is_not_allowed() -> None:
    assert trip_positions(CROSSING.paths, at_every_node=True) == [
        [(0, 1), (4, 2)],
        [(1, 3)],
        [(5, 4)],
        [(2, 5)],  # m from a
        [(6, 6)],  # m from b
        [(3, ARRIVED)],
        [(7, ARRIVED)],
    ]
    further = [*CROSSING.paths, (0, 1, 6, 7)]  # now from a to d, too, but still not from b to c
    assert trip_positions(further, at_every_node=True) == [
        [(0, 1), (4, 2)],
        [(1, 3)],
        [(5, 4)],
        [(2, 5), (6, 6)],
        [(6, 6)],
        [(3, ARRIVED)],
        [(7, ARRIVED)],
    ]


def test_all_shortest_paths_have_a_position_per_node() -> None:
    network = road_network(grid(), n_agents=1000)
    ends = [(network.lanes[path[0]][0], network.lanes[path[-1]][1]) for path in network.paths]
    for pair in [((-1, 0), (4, 3)), ((-1, 1), (4, 1)), ((2, -1), (-1, 3))]:
        paths = [path for path, ends_of_path in zip(network.paths, ends) if ends_of_path == pair]
        between = {network.lanes[lane][0] for path in paths for lane in path}
        positions = trip_positions(paths, at_every_node=True)
        assert len(positions) == len(between)
        leaving = Counter(network.lanes[lane][0] for lane in {lane for path in paths for lane in path})
        assert Counter(map(len, positions)) == Counter(leaving.values())


def test_positions_stand_in_blocks_by_their_options() -> None:
    forked = trip_positions(DIAMOND.paths, at_every_node=True)
    chain = trip_positions([(0, 1, 2, 3)], at_every_node=True)
    layout = Layout.of([forked, chain], longest=0)
    assert layout.options.tolist() == [1, 1, 1, 1, 2]
    assert layout.numbers(forked) == [4, 0, 1]
    assert layout.numbers(chain) == [0, 1, 2, 3]
    assert Layout.of([chain], longest=7).options.tolist() == [1] * 7


def test_the_plan_of_a_diamond() -> None:
    game = new_game(DIAMOND, n_agents=4, paths_per_agent=1, route_choice="node")
    plans = game.plans
    assert plans.options.tolist() == [1, 1, 1, 2]
    assert plans.first_option.tolist() == [0, 1, 2, 3]
    assert plans.starts.tolist() == [[3]] * 4
    assert (game.n_observations, game.n_actions) == ((1 + 3 * 2) * 15, 30)
    for agent, path in enumerate(game.paths_of_agent[:, 0]):
        assert plans.routes[plans.routes_of_agent[agent, 0]] == (path, 1 - path)
        wanted = [int(plans.lanes(np.full(4, 3), np.full(4, option))[agent]) for option in (0, 1)]
        assert wanted == [DIAMOND.paths[path][0], DIAMOND.paths[1 - path][0]]
    assert game.reachable().all()


def test_the_small_city() -> None:
    game = GridCityGame(**GridCityGame.presets["small"], route_choice="node")
    assert game.plans.options.tolist() == [1, *[1, 1, 1, 1, 2] * 2]
    assert (game.n_observations, game.n_actions) == ((1 + 2 * 5 * 2) * 15, 30)
    reachable, network = game.reachable().reshape(100, -1, 15)[:, 1:].reshape(100, 2, 5, 2, 15), game.network
    assert (reachable == reachable[..., :1, :1]).all()
    for agent, slot in np.ndindex(100, 2):
        path = network.paths[game.paths_of_agent[agent, slot]]
        across = len(path) == 4
        assert reachable[agent, slot, :, 0, 0].tolist() == [True, True, True, across, across]


def test_routes_of_a_trip() -> None:
    game = GridCityGame(n_agents=200, route_choice="trip", routes_per_trip=3)
    network, plans = game.network, game.plans
    of_pair: dict[Any, set[int]] = {}
    pairs = [(network.lanes[path[0]][0], network.lanes[path[-1]][1]) for path in network.paths]
    for path, pair in enumerate(pairs):
        of_pair.setdefault(pair, set()).add(path)
    for agent, slot in np.ndindex(200, 2):
        drawn = game.paths_of_agent[agent, slot]
        routes = plans.routes[plans.routes_of_agent[agent, slot]]
        assert routes[0] == drawn
        assert len(set(routes)) == len(routes) == min(3, len(of_pair[pairs[drawn]]))
        assert set(routes) <= of_pair[pairs[drawn]]
        assert plans.options[plans.starts[agent, slot]] == len(routes)
    np.testing.assert_array_equal(game.paths_of_agent, GridCityGame(n_agents=200).paths_of_agent)
    again, other = (
        GridCityGame(n_agents=200, route_choice="trip", routes_per_trip=3, path_seed=seed) for seed in (0, 1)
    )
    assert again.plans.routes == plans.routes
    assert other.plans.routes != plans.routes
    every = GridCityGame(n_agents=200, route_choice="node")
    for agent, slot in np.ndindex(200, 2):
        routes = every.plans.routes[every.plans.routes_of_agent[agent, slot]]
        assert set(routes) == of_pair[pairs[routes[0]]]


def test_many_routes_are_drawn_evenly() -> None:
    # 1000 trips, each with 1 of the 5 routes besides the drawn one: each of the 30 pairs of routes has
    # probability 1/30, standard error 5.7 of 33.3 trips. Seed 0.
    way = [f"s{middle}t" for middle in "abcdef"]
    network = roads([lane for path in way for lane in (path[:2], path[1:])], way)
    game = new_game(network, n_agents=1000, paths_per_agent=1, route_choice="trip", routes_per_trip=2)
    drawn = Counter(game.plans.routes[index] for index in game.plans.routes_of_agent[:, 0])
    assert set(drawn) == set(itertools.permutations(range(6), 2))
    assert all(abs(count - 1000 / 30) < 4.5 * 5.7 for count in drawn.values())


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
    for name in ("bid_all", "bid_nothing", "proportional"):
        (row,) = BASELINES[name](game)
        np.testing.assert_array_equal((row > 0).sum(axis=1), options)
        bids = row @ game.bid_of_action
        assert set((row > 0).sum(axis=1)) == {1, 2}
        np.testing.assert_array_equal(row[row > 0], np.repeat(1 / options, options))
        place, karma = np.divmod(np.arange(game.n_observations), 15)
        if name == "bid_all":
            np.testing.assert_array_equal(bids, karma * (place > 0))
        if name == "bid_nothing":
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
