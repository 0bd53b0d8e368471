"""Where the agents of a kind are in the long run, and what the population brings to every lane, compiled."""

from __future__ import annotations

from karma_envs.games.grid_city.mean_field.trips import (
    join_trips,
    look_ahead,
    place_of,
    renewal_of,
    solve_masses,
)
from karma_envs.numerics.compile import kernel

_RESTART = 1e-14
"""The chance of an agent to be put back to where it began, per trip: none but for rounding, and so agents
whose karma never mixes with others' (as nobody bids) stay at theirs."""


@kernel
def _rest_of_chain(chain, entry, masses):
    """The stationary distribution of a chain that begins anew, now and then, with ``entry``.

    By elimination without a subtraction (Grassmann, Taksar and Heyman 1985), so that it is exact however
    rarely. Chains with several closed classes so give each the mass that sooner or later gets there.

    Args:
        chain: ``float64[n, n]``, overwritten.
        entry: ``float64[n]``, sum 1, overwritten.
        masses: ``float64[n, 1]``, written.
    """
    n = chain.shape[0]
    # The most probable entry comes first, as what is left last must be reached from everywhere.
    top = 0
    for i in range(1, n):
        top = i if entry[i] > entry[top] else top
    for i in range(n):
        chain[i, 0], chain[i, top] = chain[i, top], chain[i, 0]
    for j in range(n):
        chain[0, j], chain[top, j] = chain[top, j], chain[0, j]
    entry[0], entry[top] = entry[top], entry[0]
    for i in range(n):
        for j in range(n):
            chain[i, j] += _RESTART * entry[j]
    for k in range(n - 1, 0, -1):
        leaving = 0.0
        for j in range(k):
            leaving += chain[k, j]
        for i in range(k):
            chain[i, k] /= leaving
            if chain[i, k] != 0.0:
                for j in range(k):
                    chain[i, j] += chain[i, k] * chain[k, j]
    masses[0, 0] = 1.0
    total = 1.0
    for k in range(1, n):
        mass = 0.0
        for i in range(k):
            mass += masses[i, 0] * chain[i, k]
        masses[k, 0] = mass
        total += mass
    for k in range(n):
        masses[k, 0] /= total
    masses[0, 0], masses[top, 0] = masses[top, 0], masses[0, 0]


@kernel
def _find_entry(trips, kind, start, scratch):
    """With what agents end the trip that they are on where they begin, written to ``scratch.entry``."""
    m, entry, total = trips.n_bids, scratch.entry, 0.0
    entry[:] = 0.0
    none = (trips.n_renewals - 1) * m
    for k in range(m):
        entry[none + k] += start[k]
    for number in range(trips.n_positions[kind]):
        for urgency in range(trips.urgencies_of_type[trips.type_of_kind[kind]]):
            place = place_of(trips.order[kind, number], urgency, trips.n_urgencies)
            first = renewal_of(urgency, trips.n_renewals) * m
            for k in range(m):
                mass = start[place * m + k]
                if mass > 0.0:
                    for held in range(m):
                        entry[first + held] += mass * scratch.transfer[place, k, held]
    for index in range(entry.shape[0]):
        total += entry[index]
    for index in range(entry.shape[0]):
        entry[index] /= total


@kernel
def _leave_place(trips, moves, win, kind, position, urgency, policy, scratch):
    """Send the masses in a place, ``scratch.inflow`` of it, to the places that follow."""
    m, kind_type = trips.n_bids, trips.type_of_kind[kind]
    place = place_of(position, urgency, trips.n_urgencies)
    paid = scratch.ahead[:, 0]
    for option in range(trips.options[position]):
        index = trips.first_option[position] + option
        following, lane = trips.following[kind, index], trips.lanes[kind, index]
        if following == 0:
            continue  # how many end their trips is known
        paid[:] = 0.0
        for k in range(m):
            mass = scratch.inflow[place, k]
            for bid in range(k + 1):
                played = policy[place * m + k, option * m + bid]
                if played > 0.0:
                    chance = win[lane, trips.class_of_bid[kind_type, urgency, bid]]
                    paid[k - bid] += mass * played * chance
        target = scratch.inflow[place_of(following, urgency, trips.n_urgencies)]
        won = moves.won[lane]
        for k in range(m):
            if paid[k] > 0.0:
                for held in range(moves.first[won, k], moves.last[won, k] + 1):
                    target[held] += paid[k] * moves.matrix[won, k, held]


@kernel
def find_rest(trips, moves, win, kinds, policy, start, scratch, mean_field):
    """Where agents are in the long run, of some kinds.

    Args:
        trips: :class:`~karma_envs.games.grid_city.mean_field.trips.Trips`.
        moves: what happens to karma.
        win: ``float64[L, classes]``, the chance to get into a lane by class of bids.
        kinds: ``(first, end)``.
        policy: ``float64[G, X, A]``.
        start: ``float64[G, X]``, where agents begin; only where karma never mixes does it matter.
        scratch: room to work in.
        mean_field: ``float64[G, X]``, written.
    """
    m, n_slots = trips.n_bids, trips.starts.shape[1]
    for kind in range(kinds[0], kinds[1]):
        field, inflow, kind_type = mean_field[kind], scratch.inflow, trips.type_of_kind[kind]
        look_ahead(trips, moves, win, kind, policy[kind], 1.0, scratch)
        join_trips(trips, moves, kind, 1.0, scratch)
        _find_entry(trips, kind, start[kind], scratch)
        _rest_of_chain(scratch.renewal, scratch.entry, scratch.renewed)
        field[:] = 0.0
        inflow[:] = 0.0
        for before in range(trips.n_renewals):
            for k in range(m):
                mass = scratch.renewed[before * m + k, 0]
                field[k] += trips.dormant * mass
                for urgency in range(trips.urgencies_of_type[kind_type]):
                    chance = (1.0 - trips.dormant) * trips.next_urgency[kind_type, before, urgency] / n_slots
                    for slot in range(n_slots):
                        place = place_of(trips.starts[kind, slot], urgency, trips.n_urgencies)
                        inflow[place, k] += mass * chance
        for number in range(trips.n_positions[kind]):
            position = trips.order[kind, number]
            for urgency in range(trips.urgencies_of_type[kind_type]):
                place = place_of(position, urgency, trips.n_urgencies)
                solve_masses(scratch.stay[place], scratch.pivot[place], inflow[place])
                _leave_place(trips, moves, win, kind, position, urgency, policy[kind], scratch)
                for k in range(m):
                    field[place * m + k] = inflow[place, k]
        total = 0.0
        for state in range(field.shape[0]):
            total += field[state]
        for state in range(field.shape[0]):
            field[state] /= total


@kernel
def meet(trips, mean_field, policy, weights, meetings, idle):
    """What a population brings to every lane, with which bids and karma.

    Args:
        trips: as above.
        mean_field: ``float64[G, X]``.
        policy: ``float64[G, X, A]``.
        weights: ``float64[G]``, agents of the kind.
        meetings: ``float64[L, classes, n_bids]``, written: agents per step by lane, class of bids and karma.
        idle: ``float64[n_bids]``, written: dormant agents by karma.
    """
    m = trips.n_bids
    meetings[:] = 0.0
    idle[:] = 0.0
    for kind in range(mean_field.shape[0]):
        kind_type = trips.type_of_kind[kind]
        for k in range(m):
            idle[k] += weights[kind] * mean_field[kind, k]
        for number in range(trips.n_positions[kind]):
            position = trips.order[kind, number]
            for urgency in range(trips.urgencies_of_type[kind_type]):
                first = place_of(position, urgency, trips.n_urgencies) * m
                for option in range(trips.options[position]):
                    lane = trips.lanes[kind, trips.first_option[position] + option]
                    for k in range(m):
                        mass = weights[kind] * mean_field[kind, first + k]
                        if mass == 0.0:
                            continue
                        for bid in range(k + 1):
                            played = policy[kind, first + k, option * m + bid]
                            if played != 0.0:
                                bids = trips.class_of_bid[kind_type, urgency, bid]
                                meetings[lane, bids, k] += mass * played


@kernel
def find_totals(trips, win, kinds, mean_field, policy, totals):
    """Rewards and accesses per agent and step of some kinds.

    Args:
        trips: as above.
        win: as above.
        kinds: as above.
        mean_field: ``float64[G, X]``.
        policy: ``float64[G, X, A]``.
        totals: ``float64[G, 2]``, written.
    """
    m = trips.n_bids
    for kind in range(kinds[0], kinds[1]):
        kind_type, reward, accesses = trips.type_of_kind[kind], 0.0, 0.0
        for number in range(trips.n_positions[kind]):
            position = trips.order[kind, number]
            for urgency in range(trips.urgencies_of_type[kind_type]):
                first = place_of(position, urgency, trips.n_urgencies) * m
                for option in range(trips.options[position]):
                    lane = trips.lanes[kind, trips.first_option[position] + option]
                    for k in range(m):
                        for bid in range(k + 1):
                            mass = mean_field[kind, first + k] * policy[kind, first + k, option * m + bid]
                            wins = mass * win[lane, trips.class_of_bid[kind_type, urgency, bid]]
                            reward -= (mass - wins) * trips.urgencies[kind_type, urgency]
                            accesses += wins
        totals[kind, 0], totals[kind, 1] = reward, accesses


@kernel
def find_chances(trips, win, kinds, chances):
    """The chances of actions to get into a lane, of some kinds, ``float64[G, X, A]``, written."""
    m = trips.n_bids
    for kind in range(kinds[0], kinds[1]):
        kind_type = trips.type_of_kind[kind]
        for number in range(trips.n_positions[kind]):
            position = trips.order[kind, number]
            for urgency in range(trips.urgencies_of_type[kind_type]):
                first = place_of(position, urgency, trips.n_urgencies) * m
                for option in range(trips.options[position]):
                    lane = trips.lanes[kind, trips.first_option[position] + option]
                    for k in range(m):
                        for bid in range(trips.most_bid[k] + 1):
                            of_bid = trips.class_of_bid[kind_type, urgency, bid]
                            chances[kind, first + k, option * m + bid] = win[lane, of_bid]
