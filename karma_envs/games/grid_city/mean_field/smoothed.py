"""Smoothed best responses of a city's agents, compiled.

Policy iteration on a payoff from which the distance of the policy to a prior one is taken off, see
:mod:`karma_envs.mean_field.smoothed`. What is taken off of a place is passed on through the equations that
:func:`~karma_envs.games.grid_city.mean_field.trips.look_ahead` has factored already, so a step costs hardly
more than the value of a policy. And the policies of agents who explore, from whose payoff nothing is taken
off.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.grid_city.mean_field.decisions import find_renewed, option_values
from karma_envs.games.grid_city.mean_field.trips import (
    eliminate,
    find_values,
    join_trips,
    look_ahead,
    place_of,
    renewal_of,
    solve_values,
)
from karma_envs.numerics.compile import kernel

_MOST_SWEEPS = 200
_NEAR = 1e-7  # change of values, over the greatest of them; the step after it is exact but for rounding
_VERY_NEAR = 1e-11  # the same where errors fall by steps alike: what is left of them stays


class Softness(NamedTuple):
    """Room to work in besides :class:`~karma_envs.games.grid_city.mean_field.trips.Scratch`."""

    cost: NDArray[np.float64]  # [X] what is taken off in a step
    until: NDArray[np.float64]  # [X] the same until the end of the trip
    value: NDArray[np.float64]  # [X]
    column: NDArray[np.float64]  # [m, 1]


def new_softness(n_states: int, n_bids: int) -> Softness:
    """Room for X states, karma_max + 1 bids."""
    return Softness(
        cost=np.zeros(n_states),
        until=np.zeros(n_states),
        value=np.zeros(n_states),
        column=np.zeros((n_bids, 1)),
    )


@kernel
def _soften(trips, moves, win, kind, value, discount, rationality, scores, scratch, policy, cost):
    """The policy proportional to exp(score + rationality Q), and its distance to the one of exp(score).

    Args:
        trips: :class:`~karma_envs.games.grid_city.mean_field.trips.Trips`.
        moves: what happens to karma.
        win: ``float64[L, classes]``.
        kind: which.
        value: ``float64[X]``, V that Q is of.
        discount: gamma.
        rationality: beta > 0.
        scores: ``float64[X, A]``, log of the policy that distances are told from, but for a constant.
        scratch: room to work in.
        policy: ``float64[X, A]``, written.
        cost: ``float64[X]``, written: that distance over beta.
    """
    m, kind_type = trips.n_bids, trips.type_of_kind[kind]
    find_renewed(trips, kind, value, scratch)
    for number in range(trips.n_positions[kind]):
        position = trips.order[kind, number]
        for urgency in range(trips.urgencies_of_type[kind_type]):
            first = place_of(position, urgency, trips.n_urgencies) * m
            delay = trips.urgencies[kind_type, urgency]
            best = scratch.best[0]
            best[:] = -np.inf
            for option in range(trips.options[position]):
                index = trips.first_option[position] + option
                lane = trips.lanes[kind, index]
                option_values(trips, moves, kind, position, urgency, index, value, discount, delay, scratch)
                for k in range(m):
                    losing = scratch.ahead[k, 1]
                    for bid in range(trips.most_bid[k] + 1):
                        chance = win[lane, trips.class_of_bid[kind_type, urgency, bid]]
                        worth = losing + chance * (scratch.ahead[k - bid, 0] - losing)
                        policy[first + k, option * m + bid] = worth
                        best[k] = max(best[k], worth)
            for k in range(m):
                # Exponentials of what is at most 0.
                most, most_score = -np.inf, -np.inf
                for option in range(trips.options[position]):
                    for bid in range(trips.most_bid[k] + 1):
                        action = option * m + bid
                        above = rationality * (policy[first + k, action] - best[k])
                        policy[first + k, action] = above
                        most = max(most, above + scores[first + k, action])
                        most_score = max(most_score, scores[first + k, action])
                total, mean, prior = 0.0, 0.0, 0.0
                for option in range(trips.options[position]):
                    for bid in range(trips.most_bid[k] + 1):
                        action = option * m + bid
                        above, score = policy[first + k, action], scores[first + k, action]
                        weight = np.exp(above + score - most)
                        policy[first + k, action] = weight
                        total += weight
                        mean += weight * above
                        prior += np.exp(score - most_score)
                for option in range(trips.options[position]):
                    for bid in range(trips.most_bid[k] + 1):
                        policy[first + k, option * m + bid] /= total
                gap = most - most_score + np.log(total) - np.log(prior)
                cost[first + k] = (mean / total - gap) / rationality


@kernel
def _find_cost_to_come(trips, moves, win, kind, policy, discount, scratch, soft):
    """What is taken off from here to the end of the trip, after ``look_ahead`` of the same policy.

    Args:
        trips: as in :func:`_soften`, and so the others.
        moves: as there.
        win: as there.
        kind: as there.
        policy: as there.
        discount: as there.
        scratch: as there.
        soft: room to work in; ``until`` is written, of ``cost``.
    """
    m, kind_type = trips.n_bids, trips.type_of_kind[kind]
    cost, until, column = soft.cost, soft.until, soft.column
    until[:] = 0.0
    for number in range(trips.n_positions[kind] - 1, -1, -1):
        position = trips.order[kind, number]
        for urgency in range(trips.urgencies_of_type[kind_type]):
            place = place_of(position, urgency, trips.n_urgencies)
            for k in range(m):
                column[k, 0] = cost[place * m + k]
            for option in range(trips.options[position]):
                index = trips.first_option[position] + option
                lane, following = trips.lanes[kind, index], trips.following[kind, index]
                if following == 0:
                    continue
                won = moves.won[lane]
                after = place_of(following, urgency, trips.n_urgencies) * m
                for k in range(m):
                    scratch.ahead[k, 0] = 0.0
                    for held in range(moves.first[won, k], moves.last[won, k] + 1):
                        scratch.ahead[k, 0] += discount * moves.matrix[won, k, held] * until[after + held]
                for k in range(m):
                    for bid in range(trips.most_bid[k] + 1):
                        chance = win[lane, trips.class_of_bid[kind_type, urgency, bid]]
                        column[k, 0] += (
                            policy[place * m + k, option * m + bid] * chance * scratch.ahead[k - bid, 0]
                        )
            solve_values(scratch.stay[place], scratch.pivot[place], column)
            for k in range(m):
                until[place * m + k] = column[k, 0]


@kernel
def _find_smoothed_values(trips, moves, win, kind, policy, discount, scratch, soft):
    """V of a policy less the discounted costs, written to ``soft.value``."""
    until, value = soft.until, soft.value
    m, n_slots, kind_type = trips.n_bids, trips.starts.shape[1], trips.type_of_kind[kind]
    look_ahead(trips, moves, win, kind, policy, discount, scratch)
    _find_cost_to_come(trips, moves, win, kind, policy, discount, scratch, soft)
    join_trips(trips, moves, kind, discount, scratch)
    for row in range(scratch.renewal.shape[0]):
        ended = 1.0
        before, k = row // m, row % m
        for column in range(scratch.renewal.shape[0]):
            ended -= scratch.renewal[row, column]
        scratch.renewal_pivot[row] = ended
        for urgency in range(trips.urgencies_of_type[kind_type]):
            chance = (1.0 - trips.dormant) * trips.next_urgency[kind_type, before, urgency] / n_slots
            for slot in range(n_slots):
                start = place_of(trips.starts[kind, slot], urgency, trips.n_urgencies)
                scratch.renewed[row, 0] -= chance * until[start * m + k]
    eliminate(scratch.renewal, scratch.renewal_pivot)
    solve_values(scratch.renewal, scratch.renewal_pivot, scratch.renewed)
    value[:] = 0.0
    none = (trips.n_renewals - 1) * m
    for k in range(m):
        for held in range(moves.first[moves.idle, k], moves.last[moves.idle, k] + 1):
            value[k] += discount * moves.matrix[moves.idle, k, held] * scratch.renewed[none + held, 0]
    for number in range(trips.n_positions[kind]):
        for urgency in range(trips.urgencies_of_type[kind_type]):
            place = place_of(trips.order[kind, number], urgency, trips.n_urgencies)
            first = renewal_of(urgency, trips.n_renewals) * m
            for k in range(m):
                total = scratch.transfer[place, k, m] - until[place * m + k]
                for held in range(m):
                    total += scratch.transfer[place, k, held] * scratch.renewed[first + held, 0]
                value[place * m + k] = total


@kernel
def find_smoothed(trips, moves, win, kinds, discounts, rationality, scores, scratch, soft, policy, value):
    """Smoothed best responses of some kinds, and their values, by policy iteration.

    Args:
        trips: as in :func:`_soften`, and so the others.
        moves: as there.
        win: as there.
        kinds: ``(first, end)``.
        discounts: ``float64[G]``.
        rationality: as there.
        scores: ``float64[G, X, A]``.
        scratch: as there.
        soft: room to work in.
        policy: ``float64[G, X, A]``, written where the agents of a kind can be.
        value: ``float64[G, X]``, to begin with; written.
    """
    for kind in range(kinds[0], kinds[1]):
        discount, prior, own, worth = discounts[kind], scores[kind], policy[kind], value[kind]
        for _ in range(_MOST_SWEEPS):
            _soften(trips, moves, win, kind, worth, discount, rationality, prior, scratch, own, soft.cost)
            _find_smoothed_values(trips, moves, win, kind, own, discount, scratch, soft)
            change, scale = 0.0, 0.0
            for state in range(worth.shape[0]):
                change = max(change, abs(soft.value[state] - worth[state]))
                scale = max(scale, abs(soft.value[state]))
                worth[state] = soft.value[state]
            if change <= _NEAR * scale:
                break
        # Errors of policy iteration are squared from step to step: one more step of the policy is exact.
        _soften(trips, moves, win, kind, worth, discount, rationality, prior, scratch, own, soft.cost)


@kernel
def find_exploring(
    trips, moves, win, kinds, discounts, rationality, exploration, scores, scratch, soft, policy, value
):
    """What agents do who choose by the values of actions under this very policy, and explore.

    Args:
        trips: as in :func:`find_smoothed`, and so the others.
        moves: as there.
        win: as there.
        kinds: as there.
        discounts: as there.
        rationality: beta > 0, of the softmax.
        exploration: share of what is done at random.
        scores: ``float64[G, X, A]``, what is added to rationality Q.
        scratch: as there.
        soft: as there.
        policy: ``float64[G, X, A]``, written where the agents of a kind can be.
        value: ``float64[G, X]``, to begin with; written.
    """
    m = trips.n_bids
    for kind in range(kinds[0], kinds[1]):
        discount, own, worth, kind_type = discounts[kind], policy[kind], value[kind], trips.type_of_kind[kind]
        prior = scores[kind]
        for _ in range(_MOST_SWEEPS):
            _soften(trips, moves, win, kind, worth, discount, rationality, prior, scratch, own, soft.cost)
            for number in range(trips.n_positions[kind]):
                position = trips.order[kind, number]
                for urgency in range(trips.urgencies_of_type[kind_type]):
                    first = place_of(position, urgency, trips.n_urgencies) * m
                    for k in range(m):
                        each = exploration / (trips.options[position] * (trips.most_bid[k] + 1))
                        for option in range(trips.options[position]):
                            for bid in range(trips.most_bid[k] + 1):
                                chosen = (1.0 - exploration) * own[first + k, option * m + bid]
                                own[first + k, option * m + bid] = chosen + each
            find_values(trips, moves, win, kind, own, discount, scratch, soft.value)
            change, scale = 0.0, 0.0
            for state in range(worth.shape[0]):
                change = max(change, abs(soft.value[state] - worth[state]))
                scale = max(scale, abs(soft.value[state]))
                worth[state] = soft.value[state]
            if change <= _VERY_NEAR * scale:
                break
