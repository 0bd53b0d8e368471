"""The best that members can do who recognise each other: what to bid against strangers, and what to agree on.

    maximise  J_c(pi_c, c)  over the policy pi_c against outsiders and the agreement c of members who meet,

in the model of :mod:`karma_envs.games.matching.recognition`. The policy climbs by the planner's natural
gradient (:mod:`agents.solvers.control.social_optimum`). J_c is differentiable in the chances with which
members agree on this or that pair of bids: with lambda, the planner's value of karma after payment, its
derivative is what two who meet get together, so that the best agreement to first order is a maximum over
pairs of bids for each pair of states. The agreement goes some way towards it (Frank and Wolfe 1956, *An
algorithm for quadratic programming*, with a step that is halved until J_c rises), and the two take turns.

Ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.coalitions.optimum import CoalitionOptimum, members_weights, optimum_at
from agents.mean_field.units import InUnits, greatest_reward
from agents.solvers.control.social_optimum import ascend, planner_value
from agents.solvers.equilibrium import Assessment, assess
from karma_envs.games.matching.agreements import Agreement
from karma_envs.games.matching.recognition import RecognisingMeanField
from karma_envs.mean_field.dynamic_programming import greedy

_GRADIENTS = 20  # of the policy, before it is the agreement's turn
_HALVINGS = 12


def recognising_optimum(
    coalition: RecognisingMeanField, start: NDArray[np.float64], *, tolerance: float, iterations: int
) -> CoalitionOptimum:
    """A stationary point of the problem of members who recognise each other, uphill from a start.

    Args:
        coalition: the model, with the agreement to begin with.
        start: of outsiders, who keep it, and of members, ``float64[2 T, X, A]``.
        tolerance: of the gap, over the greatest reward.
        iterations: the most gradients of the policy.
    """
    unit = greatest_reward(coalition.model)
    weights = members_weights(coalition)
    here, gap = assess(InUnits(coalition, unit), start), np.inf
    for rounds_left in reversed(range(-(-iterations // _GRADIENTS))):
        own = InUnits(coalition, unit)
        here, _ = ascend(own, here.policy, weights, tolerance / 2, _GRADIENTS)
        ahead = look_ahead(coalition, own, here, weights)
        gap = ahead.gap_of_policy + ahead.gap_of_agreement
        if gap <= tolerance or rounds_left == 0:
            break
        if ahead.gap_of_policy > tolerance / 2:
            # A policy that is pure but for rounding moves by no gradient of its logits.
            here = _stepped(coalition, unit, weights, here, policy=ahead.policy)[1]
        if ahead.gap_of_agreement > tolerance / 2:
            coalition, here = _stepped(coalition, unit, weights, here, agreement=ahead.agreement)
    return optimum_at(coalition, unit, here, gap, tolerance, coalition.agreement)


@dataclass(frozen=True)
class Ahead:
    """The policy and the agreement that are best to first order, and how much better each is."""

    policy: NDArray[np.float64]
    agreement: Agreement
    gap_of_policy: float
    gap_of_agreement: float


def look_ahead(
    coalition: RecognisingMeanField, own: InUnits, here: Assessment, weights: NDArray[np.float64]
) -> Ahead:
    """What is best to first order where members are.

    Args:
        coalition: the model, with the agreement that is.
        own: the same with rewards in its own unit.
        here: a policy of outsiders and members, assessed in it.
        weights: ``float64[2 T]``, what a reward of each type counts for members.
    """
    planned = planner_value(own, here, weights)
    flow = here.mean_field[..., None] * here.policy
    # What the level of redistribution does to members: the last number of the statistic.
    worth_of_level = float((own.problem_moves(here.statistic).pushed(flow)[-1] * planned.value).sum())
    agreement, gap_of_agreement = coalition.better_agreement(
        here.mean_field, here.policy, planned.value, worth_of_level, own.unit
    )
    members = coalition.members[:, None, None]
    best = greedy(np.where(coalition.legal_actions, planned.q, -np.inf))
    policy = np.where(members, best, here.policy)
    gap = float((here.mean_field[..., None] * (policy - here.policy) * planned.q).sum())
    return Ahead(policy, agreement, gap, gap_of_agreement)


def _stepped(
    coalition: RecognisingMeanField,
    unit: float,
    weights: NDArray[np.float64],
    here: Assessment,
    *,
    policy: NDArray[np.float64] | None = None,
    agreement: Agreement | None = None,
) -> tuple[RecognisingMeanField, Assessment]:
    """A step towards a policy or an agreement, halved until members gain; none where they never do."""
    for halvings in range(_HALVINGS):
        share = 0.5**halvings
        moved = coalition
        if agreement is not None:
            moved = coalition.agreeing(coalition.agreement.towards(agreement, share))
        played = here.policy if policy is None else here.policy + share * (policy - here.policy)
        stepped = assess(InUnits(moved, unit), played, here.mean_field)
        if weights @ stepped.efficiency_by_type > weights @ here.efficiency_by_type:
            return moved, stepped
    return coalition, here
