"""Redistribution that looks at lanes, by hand: what is paid for a lane, and how crowded it was."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np

from karma_envs.games.grid_city import GridCityGame
from karma_envs.games.grid_city.network import RoadNetwork
from karma_envs.numerics.compile import kernel


def city(capacity: int, n_lanes: int = 1, **fields: Any) -> GridCityGame:
    """Lanes that have nothing to do with each other, each of which is a path."""
    graph = nx.DiGraph()
    lanes = tuple((2 * lane, 2 * lane + 1) for lane in range(n_lanes))
    for index, lane in enumerate(lanes):
        graph.add_edge(*lane, lane=index)
    network = RoadNetwork(
        graph=graph,
        lanes=lanes,
        paths=tuple((lane,) for lane in range(n_lanes)),
        weights=np.full(n_lanes, 1 / n_lanes),
        capacity=np.full(n_lanes, capacity),
    )
    game = GridCityGame(network=lambda n_agents: network, paths_per_agent=1, dormant_probability=0, **fields)
    game.reset(np.random.default_rng(0))
    return game


def step(game: GridCityGame, karma: Any, active: Any, bids: Any) -> list[int]:
    """Karma after one step of agents that have ``karma``; the active bid."""
    state = game.state_dict()
    state["karma"][:], state["position"][:], state["urgency"][:] = karma, active, 0
    game.load_state_dict(state)
    game.step(np.array(bids))
    after: list[int] = game.arrays.karma.tolist()
    assert sum(after) + game.arrays.surplus[0] == game.config.total_karma
    return after


def test_by_lane_gives_back_to_those_who_bid_for_the_lane() -> None:
    # Three bid for the one place of lane 0 and two for that of lane 1; nobody else shares.
    game = city(1, n_lanes=2, n_agents=100, redistribution="by_lane")
    path = game.paths_of_agent[:, 0]
    first, second = np.flatnonzero(path == 0)[:3], np.flatnonzero(path == 1)[:2]
    active, bids = np.zeros((2, 100), np.int64)
    active[[*first, *second]] = 1
    bids[first], bids[second] = (6, 2, 0), (3, 4)
    karma = np.array(step(game, 9, active, bids))
    assert karma[first].tolist() == [5, 11, 11]  # 9 - 6, 9, 9, and 2 each
    assert karma[second].tolist() == [11, 7]
    assert (karma[active == 0] == 9).all()


def test_what_the_bidders_of_a_lane_cannot_hold_is_for_all() -> None:
    game = city(1, n_agents=4, karma_max=10, karma_mean=7, redistribution="by_lane")
    # 9 units for two with room for 9 and 0: the winner has all of it back.
    assert step(game, (10, 10, 4, 4), (1, 1, 0, 0), (9, 0, 0, 0)) == [10, 10, 4, 4]
    # Another 2 units in the surplus are for all who have room.
    state = game.state_dict()
    state["karma"][:], state["surplus"][:] = (8, 10, 4, 4), 2
    game.load_state_dict(state)
    after = step(game, (8, 10, 4, 4), (1, 1, 0, 0), (0, 0, 0, 0))
    assert after[1] == 10
    assert sorted(np.subtract(after, (8, 10, 4, 4)).tolist()) == [0, 0, 1, 1]


def test_congestion_is_paid_for_by_those_who_have_none() -> None:
    rule = "congestion_tax(rate=1, threshold=1.4)"
    game = city(2, n_agents=4, karma_max=10, karma_mean=5, redistribution=rule)
    # 3 agents for 2 places: 5 - 3, 5 - 1, 5, and 3 + 1 + 5 units for these, 3 each; the fourth pays 5.
    assert step(game, 5, (1, 1, 1, 0), (3, 1, 0, 0)) == [5, 7, 8, 0]


def test_a_congestion_tax_waits_for_congestion() -> None:
    game = city(3, n_agents=4, karma_max=10, karma_mean=5, redistribution="congestion_tax(rate=1)")
    assert step(game, 5, (1, 1, 1, 0), (3, 1, 0, 0)) == [0, 0, 0, 0]
    assert game.arrays.surplus.tolist() == [20]


def test_crowding_is_bids_for_each_place() -> None:
    game = city(2, n_agents=5, karma_max=10, karma_mean=4, redistribution=four_times_the_crowding)
    # 3 bids for 2 places: 1.5, so each of the three is taxed 6 of its 8, and the dormant nothing.
    state = game.state_dict()
    state["karma"][:], state["surplus"][:] = (8, 8, 2, 1, 1), 0
    game.load_state_dict(state)
    assert step(game, (8, 8, 2, 1, 1), (1, 1, 0, 0, 1), (0, 0, 0, 0, 0)) == [2, 2, 2, 1, 0]


@kernel
def four_times_the_crowding(karma, karma_max, crowding, parameters):  # type: ignore[no-untyped-def]
    return min(4.0 * crowding, 1.0 * karma), False
