"""Plans of trips with a choice of routes, by hand: positions, options and what follows."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np

from karma_envs.games.grid_city import GridCityGame
from karma_envs.games.grid_city.network import grid, road_network
from karma_envs.games.grid_city.plans import ARRIVED, Layout, trip_positions
from tests.games.letter_roads import CROSSING, DIAMOND, new_game, roads


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
