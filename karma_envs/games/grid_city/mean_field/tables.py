"""The trips of the kinds of agents in a city, as the model's kernels read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.grid_city.mean_field.trips import Trips, place_of
from karma_envs.games.grid_city.plans import Plans
from karma_envs.karma.level import karma_at_start

if TYPE_CHECKING:
    from karma_envs.games.grid_city import GridCityGame
    from karma_envs.games.grid_city.config import GridCityConfig


def make_trips(game: GridCityGame, examples: NDArray[np.int64], class_of_bid: NDArray[np.int32]) -> Trips:
    """The trips of some agents, each of another kind.

    Args:
        game: the city.
        examples: ``int64[G]``, an agent of each kind.
        class_of_bid: ``int32[types, U, karma_max + 1]``.
    """
    config, plans = game.config, game.plans
    types, n_urgencies, n_bids = config.agent_types, config.n_urgencies, config.karma_max + 1
    lanes, following = plans.unpacked(examples)
    order, n_positions = _in_order(plans, following, plans.exists[examples])

    urgencies, chances = (
        np.zeros((len(types), n_urgencies)),
        np.zeros((len(types), n_urgencies + 1, n_urgencies)),
    )
    for index, one in enumerate(types):
        size = len(one.urgencies)
        urgencies[index, :size] = one.urgencies
        chances[index, :size, :size] = one.transition_matrix
        chances[index, n_urgencies, :size] = one.stationary_urgency
        if (one.transition_matrix == one.transition_matrix[0]).all():  # drawn anew, also after no trip
            chances[index, :, :size] = one.transition_matrix[0]
    if (chances == chances[:, :1]).all():
        chances = chances[:, :1]
    uses_bids = config.rule("allocation").uses_bids
    return Trips(
        n_bids=n_bids,
        n_urgencies=n_urgencies,
        n_renewals=chances.shape[1],
        dormant=float(config.dormant_probability),
        lanes=lanes,
        following=following,
        options=plans.options.astype(np.int32),
        first_option=plans.first_option.astype(np.int32),
        order=order,
        n_positions=n_positions,
        starts=plans.starts[examples].astype(np.int32),
        type_of_kind=game.type_of_agent[examples].astype(np.int32),
        urgencies=urgencies,
        urgencies_of_type=np.array([len(one.urgencies) for one in types], np.int32),
        next_urgency=np.ascontiguousarray(chances),
        class_of_bid=class_of_bid,
        most_bid=(np.arange(n_bids) * uses_bids).astype(np.int32),
    )


def _in_order(
    plans: Plans, following: NDArray[np.int32], exists: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The positions of each kind, but the dormant one, each before those that may follow: ``order``.

    Returns:
        ``int32[G, P]``, what is beyond the last position is 0; and how many positions a kind has.
    """
    n_kinds, n_positions = exists.shape
    # How many lanes there are still to come at most: it falls with every lane.
    to_come = np.zeros((n_kinds, n_positions), np.int64)
    position_of_step = np.repeat(np.arange(n_positions), plans.options)
    while True:
        ahead = np.take_along_axis(to_come, following.astype(np.int64), axis=1) + 1
        longest = np.zeros_like(to_come)
        np.maximum.at(longest.T, position_of_step, ahead.T)
        longest[~exists] = longest[:, 0] = 0
        if (longest == to_come).all():
            break
        to_come = longest
    order = np.argsort(-to_come, axis=1, kind="stable").astype(np.int32)
    numbers = exists[:, 1:].sum(axis=1).astype(np.int32)
    order[np.arange(n_positions) >= numbers[:, None]] = 0
    return order, numbers


def initial_mean_field(trips: Trips, config: GridCityConfig, n_observations: int) -> NDArray[np.float64]:
    """Where the population starts, as if after a dormant step, ``float64[G, X]``."""
    n_kinds, n_slots = trips.starts.shape
    field = np.zeros((n_kinds, n_observations // trips.n_bids, trips.n_bids))
    karma = karma_at_start(config)
    field[:, 0] = trips.dormant * karma
    for kind in range(n_kinds):
        for urgency, chance in enumerate(trips.next_urgency[trips.type_of_kind[kind], -1]):
            for start in trips.starts[kind]:
                place = place_of(int(start), urgency, trips.n_urgencies)
                field[kind, place] += (1 - trips.dormant) * chance / n_slots * karma
    return field.reshape(n_kinds, -1)
