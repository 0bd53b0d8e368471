"""Random groups of agents that meet for one step, such as the bidders of an auction."""

from __future__ import annotations

from karma_envs.numerics.compile import kernel
from karma_envs.numerics.random import next_below


@kernel
def draw_groups(order, size, streams, stream):
    """Divide agents at random into groups of one size; those left over are in none.

    A Fisher-Yates shuffle (Durstenfeld 1964, Algorithm 235, CACM) that ends with the last group. Each
    division of the agents has the same probability, and so has each order within a group: where the first
    of a group is preferred among equals, ties are broken at random without another draw.

    Args:
        order: ``int[N]``, any permutation of the agents; left as another, in which places
            ``k * size … (k + 1) * size - 1`` are group k. The last N mod ``size`` agents are in no group.
        size: agents of a group, at least 1.
        streams: random streams.
        stream: index of the stream to draw from.

    Returns:
        the number of groups, floor(N / size).
    """
    n_agents = order.shape[0]
    n_groups = n_agents // size
    for place in range(min(n_groups * size, n_agents - 1)):
        pick = place + next_below(streams, stream, n_agents - place)
        agent = order[pick]
        order[pick] = order[place]
        order[place] = agent
    return n_groups
