"""What the city shows to agents and takes from them, compiled."""

from __future__ import annotations

from karma_envs.numerics.compile import kernel


@kernel
def describe(state, tables, urgency_feature, karma_feature, features):
    """Observations in numbers: urgency, karma, position on the trip, the trip one-hot, the type one-hot.

    Args:
        state: the game's state.
        tables: the game's tables.
        urgency_feature: ``float32[types, U]``, in [0, 1].
        karma_feature: ``float32[karma_max + 1]``, in [0, 1].
        features: ``float32[N, d]``, written; d is 3 + n_slots, and as many as there are types if several.
            Of a dormant agent only karma and type differ from 0.
    """
    n_slots = tables.n_slots
    for agent in range(features.shape[0]):
        position, agent_type = int(state.position[agent]), tables.type_of_agent[agent]
        active = position > 0
        slot, place = divmod(max(position - 1, 0), tables.per_slot)
        features[agent, 0] = urgency_feature[agent_type, state.urgency[agent]] * active
        features[agent, 1] = karma_feature[state.karma[agent]]
        features[agent, 2] = (place + 1) / tables.per_slot * active
        for other in range(n_slots):
            features[agent, 3 + other] = active & (slot == other)
        for other in range(3 + n_slots, features.shape[1]):
            features[agent, other] = agent_type == other - 3 - n_slots


@kernel
def first_illegal(actions, karma, position, options, karma_max, uses_bids):
    """Find the first agent that takes an option which its position lacks, or bids what it may not.

    A bid may be as high as the agent's karma; only 0 where it is dormant or the rules take no bids.

    Args:
        actions: ``int64[N]``, option * (karma_max + 1) + bid.
        karma: ``int[N]``.
        position: ``int[N]``.
        options: ``int64[P]``, how many options a position has.
        karma_max: the cap.
        uses_bids: whether bids above 0 are allowed.

    Returns:
        the agent; -1 if all is legal.
    """
    for agent in range(actions.shape[0]):
        option, bid = divmod(actions[agent], karma_max + 1)
        limit = karma[agent] * (uses_bids & (position[agent] != 0))
        if (option < 0) | (option >= options[position[agent]]) | (bid > limit):
            return agent
    return -1
