"""What the city shows to agents and takes from them, compiled."""

from __future__ import annotations

from karma_envs.compile import kernel


@kernel
def describe(state, tables, urgency_feature, karma_feature, features):
    """Observations in numbers: urgency, karma, place on the path, the path one-hot, the type one-hot.

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
        leg, agent_type = int(state.leg[agent]), tables.type_of_agent[agent]
        active = leg > 0
        slot, place = divmod(max(leg - 1, 0), tables.longest)
        features[agent, 0] = urgency_feature[agent_type, state.urgency[agent]] * active
        features[agent, 1] = karma_feature[state.karma[agent]]
        features[agent, 2] = (place + 1) / tables.longest * active
        for other in range(n_slots):
            features[agent, 3 + other] = active & (slot == other)
        for other in range(3 + n_slots, features.shape[1]):
            features[agent, other] = agent_type == other - 3 - n_slots


@kernel
def first_illegal(bids, karma, leg, uses_bids):
    """The first agent whose bid is below 0 or above its karma (above 0 if it may not bid); or -1."""
    for agent in range(bids.shape[0]):
        if (bids[agent] < 0) | (bids[agent] > karma[agent] * (uses_bids & (leg[agent] != 0))):
            return agent
    return -1
