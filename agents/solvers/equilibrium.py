"""What a solver returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.dynamic_programming import policy_value
from agents.mean_field.exploitability import Exploitability, exploitability_in
from agents.mean_field.stationary import stationary_mean_field
from agents.policy import TabularPolicy
from karma_envs.game import MeanFieldModel


@dataclass(frozen=True)
class Step:
    """One step of a solver: how many it has made, and how exploitable its policy then was."""

    iteration: int
    exploitability_normalised: float
    efficiency: float


@dataclass(frozen=True)
class Equilibrium:
    """A stationary policy with its mean field, and how near to an equilibrium it is.

    Attributes:
        method: the solver's name.
        policy: one row per type; ``policy.for_agents(game.type_of_agent)`` plays it in a game.
        mean_field: mu, ``float64[types, X]``, each row sums to 1.
        statistic: z, what an agent feels of the population, such as the distribution of bids.
        value: V of the policy, ``float64[types, X]``.
        efficiency: mean reward per agent and step.
        exploitability: exact, in discounted payoff (mean over the population).
        exploitability_normalised: the same over |J|.
        exploitability_by_type: ``float64[types]``.
        converged: whether ``exploitability_normalised`` reached the tolerance.
        tolerance: what was asked for.
        history: the solver's steps.
        seconds: wall time.
    """

    method: str
    policy: TabularPolicy
    mean_field: NDArray[np.float64]
    statistic: NDArray[np.float64]
    value: NDArray[np.float64]
    efficiency: float
    exploitability: float
    exploitability_normalised: float
    exploitability_by_type: NDArray[np.float64]
    converged: bool
    tolerance: float
    history: tuple[Step, ...]
    seconds: float


@dataclass(frozen=True)
class Assessment:
    """A policy's stationary mean field and what follows from it."""

    policy: NDArray[np.float64]
    mean_field: NDArray[np.float64]
    statistic: NDArray[np.float64]
    value: NDArray[np.float64]
    efficiency: float
    exploitability: Exploitability


def assess(
    model: MeanFieldModel, policy: NDArray[np.float64], start: NDArray[np.float64] | None = None
) -> Assessment:
    """Everything exact that is to be said of ``policy[types, X, A]``."""
    field = stationary_mean_field(model, policy, start)
    flow = model.masses[:, None, None] * field.mean_field[:, :, None] * policy
    return Assessment(
        policy=policy,
        mean_field=field.mean_field,
        statistic=field.statistic,
        value=policy_value(model, field.environment, policy),
        efficiency=float((flow * field.environment.reward).sum()),
        exploitability=exploitability_in(model, policy, field.mean_field, field.environment),
    )


def as_equilibrium(
    method: str, found: Assessment, tolerance: float, history: list[Step], seconds: float
) -> Equilibrium:
    """The result of a solver whose best policy was ``found``."""
    distance = found.exploitability
    return Equilibrium(
        method=method,
        policy=TabularPolicy(found.policy),
        mean_field=found.mean_field,
        statistic=found.statistic,
        value=found.value,
        efficiency=found.efficiency,
        exploitability=distance.absolute,
        exploitability_normalised=distance.normalised,
        exploitability_by_type=distance.by_type,
        converged=distance.normalised <= tolerance,
        tolerance=tolerance,
        history=tuple(history),
        seconds=seconds,
    )
