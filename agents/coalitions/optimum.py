"""What members of a coalition do best in the mean field, the others' policy fixed: where searches lead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from agents.coalitions.model import CoalitionModel
from agents.mean_field.units import InUnits, greatest_reward
from agents.solvers.control.social_optimum import ascend
from agents.solvers.equilibrium import Assessment
from agents.solvers.first_order.iteration import logit_policy
from karma_envs.games.matching.agreements import Agreement
from karma_envs.games.matching.recognition import RecognisingMeanField
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import uniform_policy

_MIXED = 0.01  # share of the uniform policy in a start: a logit that is far down climbs for long

Coalition: TypeAlias = CoalitionModel | RecognisingMeanField
"""A model of 2 T types, outsiders and members, who recognise each other or do not."""


@dataclass(frozen=True)
class CoalitionOptimum:
    """What members came to.

    Attributes:
        coalition: the model.
        policy: of outsiders and members, ``float64[2 T, X, A]``.
        mean_field: at rest, ``float64[2 T, X]``.
        efficiency: mean reward of members per step.
        gap: by how much it rises at most, to first order, by a move to something else.
        stationary: whether ``gap`` reached the tolerance, and the population is at rest.
        agreement: of members who meet; None where they do not recognise each other.
    """

    coalition: Coalition
    policy: NDArray[np.float64]
    mean_field: NDArray[np.float64]
    efficiency: float
    gap: float
    stationary: bool
    agreement: Agreement | None


Search: TypeAlias = Callable[..., CoalitionOptimum]
"""Leads uphill from a start: takes a coalition, a policy ``[2 T, X, A]``, a tolerance and iterations."""


def members_weights(coalition: Coalition) -> NDArray[np.float64]:
    """What a reward of each type counts for members, ``float64[2 T]``."""
    return np.where(coalition.members, np.tile(coalition.model.masses, 2), 0.0)


def optimum_at(
    coalition: Coalition,
    unit: float,
    here: Assessment,
    gap: float,
    tolerance: float,
    agreement: Agreement | None = None,
) -> CoalitionOptimum:
    """What a search came to that worked in a unit of reward."""
    return CoalitionOptimum(
        coalition=coalition,
        policy=here.policy,
        mean_field=here.mean_field,
        efficiency=float(unit * (members_weights(coalition) @ here.efficiency_by_type)),
        gap=unit * gap,
        stationary=gap <= tolerance and here.exploitability.at_rest,
        agreement=agreement,
    )


def strangers_optimum(
    coalition: CoalitionModel, start: NDArray[np.float64], *, tolerance: float, iterations: int
) -> CoalitionOptimum:
    """A stationary point of the problem of members who know nobody, by the planner's natural gradient.

    Args:
        coalition: the model.
        start: of outsiders, who keep it, and of members, ``float64[2 T, X, A]``.
        tolerance: of the gap, over the greatest reward.
        iterations: the most gradients.
    """
    unit = greatest_reward(coalition.model)
    here, gap = ascend(InUnits(coalition, unit), start, members_weights(coalition), tolerance, iterations)
    return optimum_at(coalition, unit, here, gap, tolerance)


def starts_of(
    model: FiniteMeanFieldModel,
    policy: NDArray[np.float64],
    start: NDArray[np.float64] | None,
    number: int,
    seed: int,
) -> list[NDArray[np.float64]]:
    """Policies of outsiders and members to begin with, ``float64[2 T, X, A]`` each.

    Args:
        model: of the game, of T types.
        policy: of outsiders, ``float64[T, X, A]``, which is the first start of members.
        start: another one of members; None: none.
        number: of starts that do not look at it: the uniform policy, and random ones.
        seed: of the random ones.
    """
    uniform, rng = uniform_policy(model), np.random.default_rng(seed)
    near = [policy] if start is None else [policy, start]
    members = [(1 - _MIXED) * one + _MIXED * uniform for one in near]
    members.append(uniform)
    members += [logit_policy(model, 3 * rng.normal(size=uniform.shape)) for _ in range(1, number)]
    return [np.concatenate([policy, one]) for one in members]
