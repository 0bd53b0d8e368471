"""A contest: the W highest priorities win, ties broken by fair chance."""

from __future__ import annotations

from karma_envs.numerics.compile import kernel
from karma_envs.numerics.random import next_below


@kernel
def select_winners(priorities, n_winners, streams, stream, order, won):
    """Mark the ``n_winners`` contestants of highest priority; all of them if there are no more.

    The contestants are shuffled and then sorted by priority with a stable sort, so that each
    way to fill the last places among equals has the same probability.

    Args:
        priorities: number of each contestant, ``[M]``.
        n_winners: W >= 0, the capacity of the resource.
        streams: random streams.
        stream: index of the stream to draw from.
        order: ``int64[M]``, scratch; left as the ranking.
        won: ``bool[M]``, written.
    """
    n = priorities.shape[0]
    for position in range(n):
        pick = next_below(streams, stream, position + 1)
        order[position] = order[pick]
        order[pick] = position
    for position in range(1, n):  # insertion sort: stable, and contests are small
        contestant = order[position]
        place = position
        while place > 0 and priorities[order[place - 1]] < priorities[contestant]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = contestant
    for rank in range(n):
        won[order[rank]] = rank < n_winners


@kernel
def first_wins(first_priority, second_priority, coin):
    """Whether the first of two contestants wins the one resource; ``coin`` decides a tie."""
    return (first_priority > second_priority) | ((first_priority == second_priority) & coin)
