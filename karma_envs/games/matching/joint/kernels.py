"""A step of the matching game, piece by piece, on functions of where everybody is; compiled.

Each kernel applies a linear map either forwards in time, to measures of where everybody is, or (its
transpose) backwards, to values of it. Both are the same loops, so that one cannot differ from the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.numerics.compile import kernel


class Contest(NamedTuple):
    """What a contest of two comes to. A *group* is a kind with one of its urgencies.

    Attributes:
        win: ``float64[groups, A, groups, A]``, the chance that the first wins, by both groups and bids.
        to_loser: ``int64[A, A, A]``, by the winner's bid, the loser's and the loser's karma.
        to_society: the same.
    """

    win: NDArray[np.float64]
    to_loser: NDArray[np.int64]
    to_society: NDArray[np.int64]


class Waiting(NamedTuple):
    """Labels of agents before the contest, (kind, row, karma); they draw their urgency u when they meet.

    Attributes:
        karma: ``int64[L]``.
        group: ``int64[L, U]``, by the urgency drawn.
        drawn: ``float64[L, U]``, its chance.
        bids: ``float64[L, U, A]``, that chance times the chance to bid so much.
        active: ``int64[L, U]``, the label after a contest that leaves the agent without karma; the labels of
            1, 2 … karma follow.
        idle: the same of an agent that sits out.
    """

    karma: NDArray[np.int64]
    group: NDArray[np.int64]
    drawn: NDArray[np.float64]
    bids: NDArray[np.float64]
    active: NDArray[np.int64]
    idle: NDArray[np.int64]


class Stage(NamedTuple):
    """Where things are in a step in which some of the others still wait for their contest, and some have met.

    Of r, a multiset of those who wait, and d, one of those who have met, the numbers for each state of the
    deviating agent stand at ``base[r] + d * own`` and behind.

    Attributes:
        members: ``int64[M, m]``, labels of those who wait.
        base: ``int64[M]``.
        low: ``int64[M]``, the first d that can be.
        high: ``int64[M]``, the one after the last.
        after_pair: ``int32[M, m - 1]``, who waits when the first member has met each of the others.
        after_idle: ``int32[M]``, who waits when the first member sits out.
    """

    members: NDArray[np.int64]
    base: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    after_pair: NDArray[np.int32]
    after_idle: NDArray[np.int32]


class Pairs(NamedTuple):
    """How contests of two who play their policies end: entries ``start[x L + y] …`` for labels x <= y.

    Attributes:
        start: ``int64[L * L + 1]``.
        first: ``int32[entries]``, the label of the first afterwards.
        second: of the second.
        chance: ``float64[entries]``.
    """

    start: NDArray[np.int64]
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    chance: NDArray[np.float64]


class Deviator(NamedTuple):
    """The urgencies of the deviating agent.

    Attributes:
        group: ``int64[U]``.
        row: ``int64[U]``, which of the different rows of its urgency's chain it goes on by.
        n_rows: how many these are.
    """

    group: NDArray[np.int64]
    row: NDArray[np.int64]
    n_rows: int


class States(NamedTuple):
    """Numbers of the states (c, u, k): the others' multiset, and own urgency and karma.

    Those of one c, which may be none, follow each other from ``start[c]`` on, by u and then by k, which goes
    from ``low[c]`` to ``high[c]`` - 1.
    """

    start: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]


@kernel
def pair_outcomes(contest, waiting, start, after, first, second, chance):
    """How contests of two who play their policies end, see :class:`Pairs`.

    Args:
        contest: the rules.
        waiting: the labels.
        start: ``int64[L * L + 1]``, written.
        after: ``float64[L', L']``, scratch, zero; L' labels after the contest.
        first: written, if it is long enough; so are ``second`` and ``chance``.

    Returns:
        how many entries there are.
    """
    n_labels, n_urgencies, n_actions = waiting.bids.shape
    count = 0
    for x in range(n_labels):
        for y in range(n_labels):
            start[x * n_labels + y] = count
            if y < x:
                continue
            karma_x, karma_y = waiting.karma[x], waiting.karma[y]
            for u in range(n_urgencies):
                for v in range(n_urgencies):
                    if waiting.drawn[x, u] * waiting.drawn[y, v] == 0.0:
                        continue
                    group_x, group_y = waiting.group[x, u], waiting.group[y, v]
                    after_x, after_y = waiting.active[x, u], waiting.active[y, v]
                    for bid_x in range(karma_x + 1):
                        for bid_y in range(karma_y + 1):
                            weight = waiting.bids[x, u, bid_x] * waiting.bids[y, v, bid_y]
                            if weight == 0.0:
                                continue
                            wins = contest.win[group_x, bid_x, group_y, bid_y]
                            if wins > 0.0:
                                gets = contest.to_loser[bid_x, bid_y, karma_y]
                                pays = gets + contest.to_society[bid_x, bid_y, karma_y]
                                after[after_x + karma_x - pays, after_y + karma_y + gets] += weight * wins
                            if wins < 1.0:
                                gets = contest.to_loser[bid_y, bid_x, karma_x]
                                pays = gets + contest.to_society[bid_y, bid_x, karma_x]
                                after[after_x + karma_x + gets, after_y + karma_y - pays] += weight * (
                                    1.0 - wins
                                )
            for u in range(n_urgencies):
                for v in range(n_urgencies):
                    if waiting.drawn[x, u] * waiting.drawn[y, v] == 0.0:
                        continue
                    for label_x in range(waiting.active[x, u], waiting.active[x, u] + n_actions):
                        for label_y in range(waiting.active[y, v], waiting.active[y, v] + n_actions):
                            if after[label_x, label_y] > 0.0:
                                if count < first.shape[0]:
                                    first[count], second[count] = label_x, label_y
                                    chance[count] = after[label_x, label_y]
                                count += 1
                                after[label_x, label_y] = 0.0
    start[n_labels * n_labels] = count
    return count


@kernel
def meet(stage, pairs, n_labels, add_one, add_two, base_after, own, later, now, forwards):
    """One of those who wait meets another of them.

    The first member meets each of the others with the same chance: whoever is taken first, the matching is
    uniform.

    Args:
        stage: before the contest.
        pairs: how contests end.
        n_labels: L.
        add_one: ``int32[met, met labels]``, who has met when one more has.
        add_two: the same with one more than that.
        base_after: ``base`` of the stage after the contest.
        own: numbers for each pair (r, d).
        later: numbers after the contest; written if forwards, added to.
        now: numbers before it; written if backwards, added to.
        forwards: whether measures move forwards in time.
    """
    n_waiting = stage.members.shape[1]
    odd = n_waiting & 1
    for r in range(stage.members.shape[0]):
        x = stage.members[r, 0]
        partner = 1
        while partner < n_waiting:
            y = stage.members[r, partner]
            r_after = stage.after_pair[r, partner - 1]
            alike = 1  # partners with the same label are met in one go
            while partner + alike < n_waiting and stage.members[r, partner + alike] == y:
                alike += 1
            partner += alike
            share = alike / (n_waiting - 1 + odd)
            for entry in range(pairs.start[x * n_labels + y], pairs.start[x * n_labels + y + 1]):
                weight = share * pairs.chance[entry]
                first, second = pairs.first[entry], pairs.second[entry]
                for d in range(stage.low[r], stage.high[r]):
                    here = stage.base[r] + d * own
                    there = base_after[r_after] + add_two[add_one[d, first], second] * own
                    if forwards:
                        for k in range(own):
                            later[there + k] += weight * now[here + k]
                    else:
                        for k in range(own):
                            now[here + k] += weight * later[there + k]


@kernel
def sit_out(stage, waiting, add_one, base_after, own, later, now, forwards):
    """The first member of an odd number who wait sits out, with its chance; see :func:`meet`."""
    n_urgencies = waiting.drawn.shape[1]
    for r in range(stage.members.shape[0]):
        x, r_after = stage.members[r, 0], stage.after_idle[r]
        for u in range(n_urgencies):
            weight = waiting.drawn[x, u] / stage.members.shape[1]
            if weight == 0.0:
                continue
            label = waiting.idle[x, u] + waiting.karma[x]
            for d in range(stage.low[r], stage.high[r]):
                here = stage.base[r] + d * own
                there = base_after[r_after] + add_one[d, label] * own
                for k in range(own):
                    if forwards:
                        later[there + k] += weight * now[here + k]
                    else:
                        now[here + k] += weight * later[there + k]


@kernel
def meet_deviator(
    states,
    members,
    after_peer,
    contest,
    waiting,
    deviator,
    one,
    base_after,
    own,
    weights,
    later,
    now,
    forwards,
):
    """The deviating agent meets one of the others, who plays its policy.

    Args:
        states: where everybody is before the contest.
        members: ``int64[M, N - 1]``, labels of the others.
        after_peer: ``int32[M, N - 1]``, who waits when each of them has met the agent.
        contest: the rules.
        waiting: the labels.
        deviator: its urgencies.
        one: ``int32[met labels]``, the number of the multiset of one label.
        base_after: ``base`` of the stage after the contest, with the place of an agent that has met.
        own: numbers for each pair (r, d).
        weights: ``float64[S, A]``; bids of weight 0 are left out.
        later: numbers after the contest; written if forwards, added to.
        now: ``float64[S, A]``; written if backwards, added to.
        forwards: whether measures move forwards in time.
    """
    n_others, n_urgencies = members.shape[1], waiting.drawn.shape[1]
    n_possible = n_others + (n_others + 1 & 1)  # with an odd number of agents it may sit out instead
    for c in range(members.shape[0]):
        width = states.high[c] - states.low[c]
        peer = 0
        while peer < n_others:
            y = members[c, peer]
            base, karma_y = base_after[after_peer[c, peer]], waiting.karma[y]
            alike = 1  # peers with the same label are met in one go
            while peer + alike < n_others and members[c, peer + alike] == y:
                alike += 1
            peer += alike
            share = alike / n_possible
            for v in range(n_urgencies):
                group_y, active = waiting.group[y, v], waiting.active[y, v]
                for bid_y in range(karma_y + 1):
                    weight = share * waiting.bids[y, v, bid_y]
                    if weight == 0.0:
                        continue
                    for u in range(deviator.group.shape[0]):
                        group, row = deviator.group[u], deviator.row[u]
                        for k in range(states.low[c], states.high[c]):
                            state = states.start[c] + u * width + k - states.low[c]
                            for bid in range(k + 1):
                                if weights[state, bid] == 0.0:
                                    continue
                                wins = contest.win[group, bid, group_y, bid_y]
                                if wins > 0.0:
                                    gets = contest.to_loser[bid, bid_y, karma_y]
                                    left = k - gets - contest.to_society[bid, bid_y, karma_y]
                                    label = active + karma_y + gets
                                    place = base + one[label] * own + left * deviator.n_rows + row
                                    if forwards:
                                        later[place] += weight * wins * now[state, bid]
                                    else:
                                        now[state, bid] += weight * wins * later[place]
                                if wins < 1.0:
                                    gets = contest.to_loser[bid_y, bid, k]
                                    label = active + karma_y - gets - contest.to_society[bid_y, bid, k]
                                    place = base + one[label] * own + (k + gets) * deviator.n_rows + row
                                    if forwards:
                                        later[place] += weight * (1.0 - wins) * now[state, bid]
                                    else:
                                        now[state, bid] += weight * (1.0 - wins) * later[place]


@kernel
def sit_out_deviator(states, deviator, base_after, n_agents, weights, later, now, forwards):
    """The deviating agent sits out, with its chance of 1/N; see :func:`meet_deviator`."""
    for c in range(states.start.shape[0]):
        width = states.high[c] - states.low[c]
        for u in range(deviator.row.shape[0]):
            for k in range(states.low[c], states.high[c]):
                state = states.start[c] + u * width + k - states.low[c]
                place = base_after[c] + k * deviator.n_rows + deviator.row[u]
                for bid in range(k + 1):
                    if weights[state, bid] != 0.0:
                        if forwards:
                            later[place] += now[state, bid] / n_agents
                        else:
                            now[state, bid] += later[place] / n_agents


@kernel
def chance_to_lose(states, members, contest, waiting, deviator, lose):
    """The chance to lose a contest, ``float64[S, A]``, by state and bid; added to ``lose``."""
    n_others = members.shape[1]
    n_possible = n_others + (n_others + 1 & 1)
    for c in range(members.shape[0]):
        width = states.high[c] - states.low[c]
        for peer in range(n_others):
            y = members[c, peer]
            for v in range(waiting.drawn.shape[1]):
                for bid_y in range(waiting.karma[y] + 1):
                    weight = waiting.bids[y, v, bid_y] / n_possible
                    if weight == 0.0:
                        continue
                    for u in range(deviator.group.shape[0]):
                        for k in range(states.low[c], states.high[c]):
                            state = states.start[c] + u * width + k - states.low[c]
                            for bid in range(k + 1):
                                wins = contest.win[deviator.group[u], bid, waiting.group[y, v], bid_y]
                                lose[state, bid] += weight * (1.0 - wins)


@kernel
def draw_urgency(states, transition, later, now, forwards):
    """The deviating agent's next urgency.

    Args:
        states: where everybody is afterwards.
        transition: ``float64[rows, U]``, the different rows of its urgency's chain.
        later: ``float64[S]``; written if forwards, added to.
        now: ``float64[M, A, rows]``, by the others' multiset, own karma and row; written if backwards.
        forwards: whether measures move forwards in time.
    """
    for c in range(states.start.shape[0]):
        width = states.high[c] - states.low[c]
        for k in range(states.low[c], states.high[c]):
            for row in range(transition.shape[0]):
                for u in range(transition.shape[1]):
                    state = states.start[c] + u * width + k - states.low[c]
                    if forwards:
                        later[state] += transition[row, u] * now[c, k, row]
                    else:
                        now[c, k, row] += transition[row, u] * later[state]
