"""Collecting taxes and sharing out a surplus of whole karma: integer-preserving, nothing lost.

Source: Thesis, section 5.1.1 (integer-preserving redistribution) and 6.1 (what an agent at the cap
cannot take is offered to the others).

Differences from the source: the fraction of agents that are offered the lower share is
``ceil(p) - p``, not the printed ``floor(p) - p``.
"""

import numpy as np

from karma_envs.compile import kernel
from karma_envs.random import next_below, next_uniform


@kernel
def redistribute(karma, active, karma_max, surplus, order, rule, parameters, streams, stream):
    """Tax every agent by a redistribution rule, then share out the surplus.

    A round offers floor(S/M) to each of the M agents that share, and one more to S mod M of them
    drawn at random; an agent takes what it can hold. What is left is offered in further rounds to
    those below the cap until nothing is left or nobody can take any.

    Args:
        karma: ``int[N]``, 0 … karma_max; changed in place.
        active: ``uint8[N]``, who competed in this step.
        karma_max: the cap.
        surplus: ``int64[1]``, what was paid to society; what nobody could take remains.
        order: ``int32[N]``, any permutation of the agents; left as another.
        rule: a redistribution rule's function.
        parameters: the rule's parameters.
        streams: random streams.
        stream: index of the stream to draw from.
    """
    n_agents = karma.shape[0]
    total = surplus[0]
    for agent in range(n_agents):
        held = np.int64(karma[agent])
        tax, _ = rule(held, karma_max, active[agent] != 0, parameters)
        if tax > 0.0:
            due = np.int64(tax)
            due += next_uniform(streams, stream) < tax - due
            due = min(due, held)
            karma[agent] = held - due
            total += due

    first_round = True
    while total > 0:
        sharers = 0
        for agent in range(n_agents):
            held = np.int64(karma[agent])
            _, receives = rule(held, karma_max, active[agent] != 0, parameters)
            sharers += receives & (first_round | (held < karma_max))
        if sharers == 0:
            break
        each, extra = total // sharers, total % sharers
        # The extra first: it is drawn among those who shared at the start of the round, and whom it
        # fills up takes nothing of `each`.
        position = 0
        while extra > 0 and position < n_agents:
            pick = position + next_below(streams, stream, n_agents - position)
            agent = order[pick]
            order[pick] = order[position]
            order[position] = agent
            position += 1
            held = np.int64(karma[agent])
            _, receives = rule(held, karma_max, active[agent] != 0, parameters)
            if receives & (first_round | (held < karma_max)):
                extra -= 1
                taken = min(1, karma_max - held)
                karma[agent] = held + taken
                total -= taken
        if each > 0:
            for agent in range(n_agents):
                held = np.int64(karma[agent])
                _, receives = rule(held, karma_max, active[agent] != 0, parameters)
                taken = min(each, karma_max - held) * receives
                karma[agent] = held + taken
                total -= taken
        first_round = False
    surplus[0] = total
