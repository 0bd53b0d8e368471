"""What the actions of an agent are worth, best responses, and single steps of a population, compiled."""

from __future__ import annotations

import numpy as np

from karma_envs.games.grid_city.mean_field.trips import find_values, place_of, renewal_of
from karma_envs.numerics.compile import kernel

_MOST_SWEEPS = 1000
_ROUNDING = 1e-13  # of values, over the greatest of them


@kernel
def _renewed_value(trips, kind, before, k, value):
    """The value of karma at the end of a trip (or of a dormant step), before what comes next is drawn."""
    m, n_slots, kind_type = trips.n_bids, trips.starts.shape[1], trips.type_of_kind[kind]
    total = trips.dormant * value[k]
    for urgency in range(trips.urgencies_of_type[kind_type]):
        chance = (1.0 - trips.dormant) * trips.next_urgency[kind_type, before, urgency] / n_slots
        for slot in range(n_slots):
            start = place_of(trips.starts[kind, slot], urgency, trips.n_urgencies)
            total += chance * value[start * m + k]
    return total


@kernel
def find_renewed(trips, kind, value, scratch):
    """The same for all karma, written to ``scratch.renewed``."""
    for before in range(trips.n_renewals):
        for k in range(trips.n_bids):
            scratch.renewed[before * trips.n_bids + k, 0] = _renewed_value(trips, kind, before, k, value)


@kernel
def option_values(trips, moves, kind, position, urgency, index, value, discount, cost, scratch):
    """What winning and losing a lane is worth, by karma: after paying, and where nothing is paid.

    Written to the first two columns of ``scratch.ahead``. ``scratch.renewed`` is that of ``value``.
    """
    m, ahead = trips.n_bids, scratch.ahead
    lane, following = trips.lanes[kind, index], trips.following[kind, index]
    won, lost = moves.won[lane], moves.lost[lane]
    place = place_of(position, urgency, trips.n_urgencies)
    after = place_of(following, urgency, trips.n_urgencies)
    renewed = renewal_of(urgency, trips.n_renewals) * m
    for k in range(m):
        winning, losing = 0.0, 0.0
        for held in range(moves.first[won, k], moves.last[won, k] + 1):
            to_come = scratch.renewed[renewed + held, 0] if following == 0 else value[after * m + held]
            winning += moves.matrix[won, k, held] * to_come
        for held in range(moves.first[lost, k], moves.last[lost, k] + 1):
            losing += moves.matrix[lost, k, held] * value[place * m + held]
        ahead[k, 0] = discount * winning
        ahead[k, 1] = discount * losing - cost


@kernel
def find_q(trips, moves, win, kinds, value, discounts, cost_scale, scratch, q):
    """What an action gives and leads to: cost_scale times its reward, and the discounted value then.

    Args:
        trips: :class:`~karma_envs.games.grid_city.mean_field.trips.Trips`.
        moves: what happens to karma.
        win: ``float64[L, classes]``, the chance to get into a lane by class of bids.
        kinds: ``(first, end)``.
        value: ``float64[G, X]``.
        discounts: ``float64[G]``.
        cost_scale: 1 for values of actions, 0 for what follows alone.
        scratch: room to work in.
        q: ``float64[G, X, A]``, written where the agents of a kind can be and the action is legal.
    """
    m = trips.n_bids
    for kind in range(kinds[0], kinds[1]):
        kind_type, discount = trips.type_of_kind[kind], discounts[kind]
        find_renewed(trips, kind, value[kind], scratch)
        none = (trips.n_renewals - 1) * m
        for k in range(m):
            total = 0.0
            for held in range(moves.first[moves.idle, k], moves.last[moves.idle, k] + 1):
                total += moves.matrix[moves.idle, k, held] * scratch.renewed[none + held, 0]
            q[kind, k, 0] = discount * total
        for number in range(trips.n_positions[kind]):
            position = trips.order[kind, number]
            for urgency in range(trips.urgencies_of_type[kind_type]):
                first = place_of(position, urgency, trips.n_urgencies) * m
                cost = cost_scale * trips.urgencies[kind_type, urgency]
                for option in range(trips.options[position]):
                    index = trips.first_option[position] + option
                    lane = trips.lanes[kind, index]
                    option_values(
                        trips, moves, kind, position, urgency, index, value[kind], discount, cost, scratch
                    )
                    for k in range(m):
                        losing = scratch.ahead[k, 1]
                        for bid in range(trips.most_bid[k] + 1):
                            chance = win[lane, trips.class_of_bid[kind_type, urgency, bid]]
                            winning = scratch.ahead[k - bid, 0]
                            q[kind, first + k, option * m + bid] = losing + chance * (winning - losing)


@kernel
def _improve(trips, moves, win, kind, value, discount, scratch, policy):
    """Take the best action wherever it is better than what a policy does, beyond rounding.

    Returns:
        whether it was so anywhere.
    """
    m, kind_type, improves = trips.n_bids, trips.type_of_kind[kind], False
    find_renewed(trips, kind, value, scratch)
    scale = 0.0
    for state in range(value.shape[0]):
        scale = max(scale, abs(value[state]))
    for number in range(trips.n_positions[kind]):
        position = trips.order[kind, number]
        for urgency in range(trips.urgencies_of_type[kind_type]):
            first = place_of(position, urgency, trips.n_urgencies) * m
            cost = trips.urgencies[kind_type, urgency]
            best, action = scratch.best[0], scratch.best[1]
            best[:] = -np.inf
            current = scratch.best[2]
            current[:] = 0.0
            for option in range(trips.options[position]):
                index = trips.first_option[position] + option
                lane = trips.lanes[kind, index]
                option_values(trips, moves, kind, position, urgency, index, value, discount, cost, scratch)
                for k in range(m):
                    losing = scratch.ahead[k, 1]
                    for bid in range(trips.most_bid[k] + 1):
                        chance = win[lane, trips.class_of_bid[kind_type, urgency, bid]]
                        worth = losing + chance * (scratch.ahead[k - bid, 0] - losing)
                        current[k] += policy[first + k, option * m + bid] * worth
                        if worth > best[k]:
                            best[k], action[k] = worth, option * m + bid
            for k in range(m):
                if best[k] > current[k] + _ROUNDING * scale:
                    policy[first + k, :] = 0.0
                    policy[first + k, int(action[k])] = 1.0
                    improves = True
    return improves


@kernel
def find_best(trips, moves, win, kinds, discounts, scratch, policy, value):
    """Best responses of some kinds by policy iteration (Howard 1960), and their values.

    Args:
        trips: as in :func:`find_q`, and so the others.
        moves: as there.
        win: as there.
        kinds: as there.
        discounts: as there.
        scratch: as there.
        policy: ``float64[G, X, A]``, what to begin with; improved in place where it can be.
        value: ``float64[G, X]``, written.
    """
    for kind in range(kinds[0], kinds[1]):
        discount = discounts[kind]
        for _ in range(_MOST_SWEEPS):
            find_values(trips, moves, win, kind, policy[kind], discount, scratch, value[kind])
            if not _improve(trips, moves, win, kind, value[kind], discount, scratch, policy[kind]):
                break


@kernel
def find_policy_values(trips, moves, win, kinds, discounts, policy, scratch, value):
    """Values of a policy of some kinds, written to ``value``, ``float64[G, X]``."""
    for kind in range(kinds[0], kinds[1]):
        find_values(trips, moves, win, kind, policy[kind], discounts[kind], scratch, value[kind])


@kernel
def push(trips, moves, win, kinds, flow, scratch, after):
    """Where agents are after a step.

    Args:
        trips: as in :func:`find_q`, and so the others.
        moves: as there.
        win: as there.
        kinds: as there.
        flow: ``float64[G, X, A]``, mu(x) pi(a | x).
        scratch: room to work in.
        after: ``float64[G, X]``, written.
    """
    m, n_slots = trips.n_bids, trips.starts.shape[1]
    for kind in range(kinds[0], kinds[1]):
        kind_type, none = trips.type_of_kind[kind], (trips.n_renewals - 1) * m
        target, ended = after[kind], scratch.renewed
        target[:] = 0.0
        ended[:] = 0.0
        for k in range(m):
            for held in range(moves.first[moves.idle, k], moves.last[moves.idle, k] + 1):
                ended[none + held, 0] += moves.matrix[moves.idle, k, held] * flow[kind, k, 0]
        for number in range(trips.n_positions[kind]):
            position = trips.order[kind, number]
            for urgency in range(trips.urgencies_of_type[kind_type]):
                place = place_of(position, urgency, trips.n_urgencies)
                renewed = renewal_of(urgency, trips.n_renewals) * m
                for option in range(trips.options[position]):
                    index = trips.first_option[position] + option
                    lane, following = trips.lanes[kind, index], trips.following[kind, index]
                    won, lost = moves.won[lane], moves.lost[lane]
                    won_first = place_of(following, urgency, trips.n_urgencies) * m
                    for k in range(m):
                        loses = 0.0
                        for bid in range(k + 1):
                            mass = flow[kind, place * m + k, option * m + bid]
                            if mass == 0.0:
                                continue
                            wins = mass * win[lane, trips.class_of_bid[kind_type, urgency, bid]]
                            loses += mass - wins
                            left = k - bid
                            for held in range(moves.first[won, left], moves.last[won, left] + 1):
                                if following == 0:
                                    ended[renewed + held, 0] += wins * moves.matrix[won, left, held]
                                else:
                                    target[won_first + held] += wins * moves.matrix[won, left, held]
                        for held in range(moves.first[lost, k], moves.last[lost, k] + 1):
                            target[place * m + held] += loses * moves.matrix[lost, k, held]
        for before in range(trips.n_renewals):
            for k in range(m):
                mass = ended[before * m + k, 0]
                target[k] += trips.dormant * mass
                for urgency in range(trips.urgencies_of_type[kind_type]):
                    chance = (1.0 - trips.dormant) * trips.next_urgency[kind_type, before, urgency] / n_slots
                    for slot in range(n_slots):
                        start = place_of(trips.starts[kind, slot], urgency, trips.n_urgencies)
                        target[start * m + k] += mass * chance
