"""Collecting taxes and sharing out a surplus of whole karma: integer-preserving, nothing lost.

Source: Thesis, section 5.1.1 (integer-preserving redistribution) and 6.1 (what an agent at the cap
cannot take is offered to the others).

Differences from the source: the fraction of agents that are offered the lower share is
``ceil(p) - p``, not the printed ``floor(p) - p``. How what was not taken is offered again is not said;
here it raises the share of all who can take more, so that no two offers differ by more than one. That
is the rule whose limit for many agents has a single level.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.numerics.compile import kernel
from karma_envs.numerics.random import next_below, next_uniform


class Purses(NamedTuple):
    """The karma of N agents and of society."""

    karma: NDArray[Any]  # [N] 0 … karma_max, of whole numbers
    karma_max: int  # the cap
    surplus: NDArray[np.int64]  # [1] what was paid to society, and what nobody could take
    order: NDArray[np.int32]  # [N] any permutation of the agents, in which extra units are dealt out


@kernel
def _with_room_above(level, karma, resource, crowding, karma_max, rule, parameters):
    """How many agents share and can take more than ``level`` units."""
    count = 0
    for agent in range(karma.shape[0]):
        held = np.int64(karma[agent])
        _, receives = rule(held, karma_max, crowding[resource[agent]], parameters)
        count += receives & (karma_max - held > level)
    return count


@kernel
def redistribute(purses, resource, crowding, rule, parameters, streams, stream):
    """Tax every agent by a redistribution rule, then share out the surplus.

    Everyone who shares is offered the same whole number of units, a level, and takes what it can hold:
    the level is the highest that the surplus pays for. The units left over, fewer than there are agents
    with room above the level, go one each to some of these drawn at random. Without a cap that is
    floor(S/N) for everyone and one more for S mod N of them.

    Args:
        purses: :class:`Purses`; karma, surplus and order are changed in place, and what nobody could take
            remains in the surplus.
        resource: ``int[N]``, what each agent competed for in this step.
        crowding: ``float64[resources]``, agents per place there; 0 for what is none.
        rule: a redistribution rule's function.
        parameters: the rule's parameters.
        streams: random streams.
        stream: index of the stream to draw from.
    """
    karma, karma_max, surplus, order = purses
    n_agents = karma.shape[0]
    total = surplus[0]
    for agent in range(n_agents):
        held = np.int64(karma[agent])
        tax, _ = rule(held, karma_max, crowding[resource[agent]], parameters)
        if tax > 0.0:
            due = np.int64(tax)
            due += next_uniform(streams, stream) < tax - due
            due = min(due, held)
            karma[agent] = held - due
            total += due
    if total == 0:
        surplus[0] = 0
        return

    level = 0
    takers = _with_room_above(level, karma, resource, crowding, karma_max, rule, parameters)
    while takers > 0 and takers <= total:
        total -= takers
        level += 1
        takers = _with_room_above(level, karma, resource, crowding, karma_max, rule, parameters)

    # The extra units first, to agents in random order. Each agent is asked once, with the karma that it has
    # before it gets anything: whoever comes by here gets its share of the level at once.
    extra = total if takers > 0 else 0
    position = 0
    while extra > 0:  # there are more takers than extra units, so the walk ends
        pick = position + next_below(streams, stream, n_agents - position)
        agent = order[pick]
        order[pick] = order[position]
        order[position] = agent
        position += 1
        held = np.int64(karma[agent])
        _, receives = rule(held, karma_max, crowding[resource[agent]], parameters)
        lucky = receives & (karma_max - held > level)
        karma[agent] = held + min(level, karma_max - held) * receives + lucky
        extra -= lucky
        total -= lucky
    if level > 0:
        for agent in order[position:]:
            held = np.int64(karma[agent])
            _, receives = rule(held, karma_max, crowding[resource[agent]], parameters)
            karma[agent] = held + min(level, karma_max - held) * receives
    surplus[0] = total


@kernel
def share_by_resource(purses, resource, paid, rooms, levels, streams, stream):
    """Share out what was paid for each resource among those who competed for it.

    The level of :func:`redistribute`, one for each resource; what its competitors cannot hold joins the
    surplus.

    Args:
        purses: :class:`Purses`; karma is changed in place, and the surplus grows by what is left.
        resource: ``int[N]``, what each agent competed for in this step.
        paid: ``int64[resources]``, what was paid for each; 0 for what is none.
        rooms: ``int32[resources, karma_max + 1]``, scratch.
        levels: ``int64[resources, 3]``, scratch.
        streams: random streams.
        stream: index of the stream to draw from.
    """
    karma, karma_max, surplus, _ = purses
    rooms[:] = 0
    for agent in range(karma.shape[0]):
        rooms[resource[agent], karma_max - np.int64(karma[agent])] += 1
    for place in range(paid.shape[0]):
        total, level, takers = paid[place], 0, 0
        for room in range(1, karma_max + 1):
            takers += rooms[place, room]
        while takers > 0 and takers <= total:
            total -= takers
            level += 1
            takers -= rooms[place, level]
        levels[place, 0] = level
        levels[place, 1] = total if takers > 0 else 0  # one unit each for so many of the takers
        levels[place, 2] = takers
        surplus[0] += total if takers == 0 else 0
    for agent in range(karma.shape[0]):
        place = resource[agent]
        held, level = np.int64(karma[agent]), levels[place, 0]
        room = karma_max - held
        share = min(level, room)
        if room > level and levels[place, 1] > 0:
            chosen = next_below(streams, stream, levels[place, 2]) < levels[place, 1]
            levels[place, 1] -= chosen
            levels[place, 2] -= 1
            share += chosen
        karma[agent] = held + share
