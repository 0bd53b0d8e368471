"""Trips of one kind of agents, compiled: what an agent in a place does, and where that leads in the end.

A *place* is a position of a plan with an urgency, numbered as in the tabular observation; in each an agent
has some karma. It stays in its place until it has got in, then it is in the place that follows, and so on
to the end of its trip. So a place is a small system of equations over karma, and the places of a trip are
solved one after the other, backwards for what is to come, forwards for where agents are:

    stay(k, k') = discount * sum over a of pi(a | k) (1 - P(a)) L(k, k'),
    go(k, j)    = discount * sum over a of pi(a | k) P(a) W(k - b(a), j)

with L and W what happens to the karma of losers and winners (:class:`Moves`). What comes of the trip from
here on, H = (1 - stay)^-1 go H_following, is its *transfer*: the (discounted) chance to arrive with each
karma, and the reward until then. Where nobody ever loses karma by waiting, stay is triangular, and nothing
has to be eliminated.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.numerics.compile import kernel


class Trips(NamedTuple):
    """The trips of G kinds of agents: P positions with E options together, S slots, L lanes, U urgencies."""

    n_bids: int  # karma_max + 1
    n_urgencies: int  # U, of the type that has most
    n_renewals: int  # urgencies of the trip before that the next one's depends on, and none; 1 if on none
    dormant: float  # chance that an agent that has arrived, or was dormant, is dormant next
    lanes: NDArray[np.int32]  # [G, E]
    following: NDArray[np.int32]  # [G, E] the position after the lane, 0 on arrival
    options: NDArray[np.int32]  # [P]
    first_option: NDArray[np.int32]  # [P] where a position's options begin in a row of lanes
    order: NDArray[np.int32]  # [G, P] positions on the kind's trips, each before those that may follow
    n_positions: NDArray[np.int32]  # [G] how many those are
    starts: NDArray[np.int32]  # [G, S] where trips begin
    type_of_kind: NDArray[np.int32]  # [G]
    urgencies: NDArray[np.float64]  # [types, U]
    urgencies_of_type: NDArray[np.int32]  # [types] how many of them a type has
    next_urgency: NDArray[np.float64]  # [types, n_renewals, U] chances, by what the trip before had
    class_of_bid: NDArray[np.int32]  # [types, U, n_bids] which class of bids a bid is
    most_bid: NDArray[np.int32]  # [n_bids] by karma; 0 for all where bids do not matter


class Moves(NamedTuple):
    """What a step does to karma besides payments, M ways: chances of karma to become another."""

    matrix: NDArray[np.float64]  # [M, n_bids, n_bids]
    first: NDArray[np.int32]  # [M, n_bids] the lowest karma that there is a chance of
    last: NDArray[np.int32]  # [M, n_bids] the highest
    won: NDArray[np.int32]  # [L] which of them applies to who has got into a lane
    lost: NDArray[np.int32]  # [L] to who has not
    idle: int  # to the dormant


class Scratch(NamedTuple):
    """Room to work in for one kind at a time, of Z places, the dormant one included; m = n_bids."""

    stay: NDArray[np.float64]  # [Z, m, m] eliminated, see eliminate
    pivot: NDArray[np.float64]  # [Z, m]
    transfer: NDArray[np.float64]  # [Z, m, m + 1] H, and the reward until arrival
    ahead: NDArray[np.float64]  # [m, m + 1]
    best: NDArray[np.float64]  # [3, m] the value of the best action, which it is, and that of what is done
    inflow: NDArray[np.float64]  # [Z, m]
    renewal: NDArray[np.float64]  # [R m, R m] from the end of a trip to that of the next
    renewal_pivot: NDArray[np.float64]  # [R m]
    renewed: NDArray[np.float64]  # [R m, 1] values or masses at the end of a trip
    entry: NDArray[np.float64]  # [R m]


def new_scratch(trips: Trips) -> Scratch:
    """Scratch for the trips; about 8 Z m (2 m + 3) + 8 (R m)^2 bytes."""
    m = trips.n_bids
    places = 1 + (len(trips.options) - 1) * trips.n_urgencies
    renewals = trips.n_renewals * m
    return Scratch(
        stay=np.zeros((places, m, m)),
        pivot=np.zeros((places, m)),
        transfer=np.zeros((places, m, m + 1)),
        ahead=np.zeros((m, m + 1)),
        best=np.zeros((3, m)),
        inflow=np.zeros((places, m)),
        renewal=np.zeros((renewals, renewals)),
        renewal_pivot=np.zeros(renewals),
        renewed=np.zeros((renewals, 1)),
        entry=np.zeros(renewals),
    )


def as_table(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """The array as kernels take it: in order, and writable, as they would be compiled anew for others."""
    return np.require(array, np.float64, ["C", "W"])


@kernel
def place_of(position, urgency, n_urgencies):
    """The number of a place, 0 outside the city; its observations are those from place * n_bids on."""
    return 0 if position == 0 else 1 + (position - 1) * n_urgencies + urgency


@kernel
def renewal_of(urgency, n_renewals):
    """What the next trip depends on where one with an urgency has ended."""
    return urgency if n_renewals > 1 else 0


# --- linear equations over karma -------------------------------------------------------------------


@kernel
def eliminate(stay, pivot):
    """Factor 1 - stay, where stay is a chain that is left from everywhere sooner or later.

    Without a subtraction, so that chances to leave which are minute keep all their digits (Grassmann, Taksar
    and Heyman 1985): 1 - stay(k, k) is the chance to leave k, for elsewhere or for good.

    Args:
        stay: ``float64[m, m]``; its diagonal is not read. Afterwards above the diagonal what is left of it,
            and below the factors by which rows were added.
        pivot: ``float64[m]``, the chance to leave the chain for good; afterwards the pivots.
    """
    m = stay.shape[0]
    for k in range(m):
        leaving = pivot[k]
        for j in range(k + 1, m):
            leaving += stay[k, j]
        for i in range(k + 1, m):
            if stay[i, k] == 0.0:
                continue
            factor = stay[i, k] / leaving
            stay[i, k] = factor
            pivot[i] += factor * pivot[k]
            for j in range(k + 1, m):
                stay[i, j] += factor * stay[k, j]
        pivot[k] = leaving


@kernel
def solve_values(stay, pivot, values):
    """Solve (1 - stay) x = values for several columns, in place, ``float64[m, columns]``."""
    m, columns = values.shape
    for k in range(m):
        for i in range(k + 1, m):
            if stay[i, k] != 0.0:
                for c in range(columns):
                    values[i, c] += stay[i, k] * values[k, c]
    for k in range(m - 1, -1, -1):
        for j in range(k + 1, m):
            if stay[k, j] != 0.0:
                for c in range(columns):
                    values[k, c] += stay[k, j] * values[j, c]
        for c in range(columns):
            values[k, c] /= pivot[k]


@kernel
def solve_masses(stay, pivot, masses):
    """Solve x (1 - stay) = masses in place, ``float64[m]``."""
    m = masses.shape[0]
    for k in range(m):
        masses[k] /= pivot[k]
        for j in range(k + 1, m):
            masses[j] += stay[k, j] * masses[k]
    for k in range(m - 1, -1, -1):
        for i in range(k + 1, m):
            masses[k] += stay[i, k] * masses[i]


# --- backwards: what is to come --------------------------------------------------------------------


@kernel
def _fill_place(trips, moves, win, kind, position, urgency, policy, discount, scratch):
    """Write down stay of a place and, in the place of its transfer, go H_following and its rewards."""
    m, kind_type = trips.n_bids, trips.type_of_kind[kind]
    place = place_of(position, urgency, trips.n_urgencies)
    stay, pivot, transfer = scratch.stay[place], scratch.pivot[place], scratch.transfer[place]
    stay[:] = 0.0
    transfer[:] = 0.0
    pivot[:] = 1.0 - discount
    ahead, cost = scratch.ahead, trips.urgencies[kind_type, urgency]
    for option in range(trips.options[position]):
        index = trips.first_option[position] + option
        lane = trips.lanes[kind, index]
        won, lost = moves.won[lane], moves.lost[lane]
        after = scratch.transfer[place_of(trips.following[kind, index], urgency, trips.n_urgencies)]
        # What is ahead of an agent that has got in and paid.
        ahead[:] = 0.0
        for k in range(m):
            for held in range(moves.first[won, k], moves.last[won, k] + 1):
                chance = discount * moves.matrix[won, k, held]
                for c in range(m + 1):
                    ahead[k, c] += chance * after[held, c]
        for k in range(m):
            state, loses = place * m + k, 0.0
            for bid in range(k + 1):
                played = policy[state, option * m + bid]
                if played == 0.0:
                    continue
                wins = played * win[lane, trips.class_of_bid[kind_type, urgency, bid]]
                loses += played - wins
                pivot[k] += discount * wins
                for c in range(m + 1):
                    transfer[k, c] += wins * ahead[k - bid, c]
            transfer[k, m] -= cost * loses
            for held in range(moves.first[lost, k], moves.last[lost, k] + 1):
                stay[k, held] += discount * loses * moves.matrix[lost, k, held]


@kernel
def look_ahead(trips, moves, win, kind, policy, discount, scratch):
    """Find the transfers of all places of a kind that plays a policy, and factor their equations.

    Args:
        trips: :class:`Trips`.
        moves: :class:`Moves`.
        win: ``float64[L, classes]``, the chance to get into a lane by class of bids.
        kind: which.
        policy: ``float64[X, A]``, of that kind.
        discount: gamma; 1 for chances as they are.
        scratch: :class:`Scratch`; stay, pivot and transfer are written.
    """
    m = trips.n_bids
    scratch.transfer[0] = 0.0  # who has arrived arrives as it is
    for k in range(m):
        scratch.transfer[0, k, k] = 1.0
    for number in range(trips.n_positions[kind] - 1, -1, -1):
        position = trips.order[kind, number]
        for urgency in range(trips.urgencies_of_type[trips.type_of_kind[kind]]):
            place = place_of(position, urgency, trips.n_urgencies)
            _fill_place(trips, moves, win, kind, position, urgency, policy, discount, scratch)
            eliminate(scratch.stay[place], scratch.pivot[place])
            solve_values(scratch.stay[place], scratch.pivot[place], scratch.transfer[place])


@kernel
def join_trips(trips, moves, kind, discount, scratch):
    """From the end of a trip to the end of the next: write down the chain and the reward on the way.

    A state is what the next trip depends on, and karma; after a dormant step it is the last of them.
    """
    m, n_slots = trips.n_bids, trips.starts.shape[1]
    kind_type = trips.type_of_kind[kind]
    renewal, none = scratch.renewal, (trips.n_renewals - 1) * trips.n_bids
    renewal[:] = 0.0
    scratch.renewed[:] = 0.0
    for before in range(trips.n_renewals):
        for k in range(m):
            row = before * m + k
            for held in range(moves.first[moves.idle, k], moves.last[moves.idle, k] + 1):
                renewal[row, none + held] += discount * trips.dormant * moves.matrix[moves.idle, k, held]
            for urgency in range(trips.urgencies_of_type[kind_type]):
                chance = (1.0 - trips.dormant) * trips.next_urgency[kind_type, before, urgency] / n_slots
                column = renewal_of(urgency, trips.n_renewals) * m
                for slot in range(n_slots):
                    start = place_of(trips.starts[kind, slot], urgency, trips.n_urgencies)
                    for held in range(m):
                        renewal[row, column + held] += chance * scratch.transfer[start, k, held]
                    scratch.renewed[row, 0] += chance * scratch.transfer[start, k, m]


@kernel
def find_values(trips, moves, win, kind, policy, discount, scratch, value):
    """V of a policy in all states of a kind, written to ``value``, ``float64[X]``; discount below 1."""
    m = trips.n_bids
    look_ahead(trips, moves, win, kind, policy, discount, scratch)
    join_trips(trips, moves, kind, discount, scratch)
    for row in range(scratch.renewal.shape[0]):
        ended = 1.0
        for column in range(scratch.renewal.shape[0]):
            ended -= scratch.renewal[row, column]
        scratch.renewal_pivot[row] = ended
    eliminate(scratch.renewal, scratch.renewal_pivot)
    solve_values(scratch.renewal, scratch.renewal_pivot, scratch.renewed)
    value[:] = 0.0
    none = (trips.n_renewals - 1) * m
    for k in range(m):
        for held in range(moves.first[moves.idle, k], moves.last[moves.idle, k] + 1):
            value[k] += discount * moves.matrix[moves.idle, k, held] * scratch.renewed[none + held, 0]
    for number in range(trips.n_positions[kind]):
        for urgency in range(trips.urgencies_of_type[trips.type_of_kind[kind]]):
            place = place_of(trips.order[kind, number], urgency, trips.n_urgencies)
            first = renewal_of(urgency, trips.n_renewals) * m
            for k in range(m):
                total = scratch.transfer[place, k, m]
                for held in range(m):
                    total += scratch.transfer[place, k, held] * scratch.renewed[first + held, 0]
                value[place * m + k] = total
