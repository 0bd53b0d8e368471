"""What the matching game shows to agents and takes from them, compiled."""

from __future__ import annotations

from karma_envs.numerics.compile import kernel


@kernel
def describe(state, type_of_agent, urgency_feature, karma_feature, features):
    """Observations in numbers: urgency, karma and, where there are several types, the type one-hot.

    Args:
        state: the game's state.
        type_of_agent: ``uint8[N]``.
        urgency_feature: ``float32[types, U]``, in [0, 1].
        karma_feature: ``float32[karma_max + 1]``, in [0, 1].
        features: ``float32[N, d]``, written; d is 2, or 2 + types.
    """
    for agent in range(features.shape[0]):
        agent_type = type_of_agent[agent]
        features[agent, 0] = urgency_feature[agent_type, state.urgency[agent]]
        features[agent, 1] = karma_feature[state.karma[agent]]
        for other in range(2, features.shape[1]):
            features[agent, other] = agent_type == other - 2


@kernel
def first_illegal(bids, karma, uses_bids):
    """The first agent whose bid is below 0 or above its karma (above 0 if bids are not used); or -1."""
    for agent in range(bids.shape[0]):
        if (bids[agent] < 0) | (bids[agent] > karma[agent] * uses_bids):
            return agent
    return -1
