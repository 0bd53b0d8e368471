"""Fairness in the limit of infinitely many agents and steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from karma_envs.mean_field.dynamic_programming import DecisionProblem
    from karma_envs.mean_field.model import FiniteMeanFieldModel


def long_run_fairness(
    model: FiniteMeanFieldModel,
    problem: DecisionProblem,
    policy: NDArray[np.float64],
    mean_field: NDArray[np.float64],
    of_a_step: Mapping[str, NDArray[np.float64]],
) -> dict[str, float]:
    """Minus the standard deviation over agents of what they have per step in the long run.

    As for N agents, of their mean reward, and of rates such as the share of contests that they win. In the
    limit luck evens out, and what is left is what agents differ in for good: their type, and states that they
    never leave. For one type of agents that may come to be in any state it is 0. Over a finite time luck
    makes agents unequal, which simulation tells.

    Args:
        model: the mean-field model.
        problem: what an agent faces in the population.
        policy: ``float64[types, X, A]``.
        mean_field: mu of a population at rest, ``float64[types, X]``.
        of_a_step: what an agent has of a step, ``float64[types, X, A]`` each, by name.

    Returns:
        by the names with ``_fairness`` behind them, such as ``reward_fairness``.
    """
    flow = mean_field[..., None] * policy
    visits = np.maximum(mean_field, 1e-300)
    fairness: dict[str, float] = {}
    for name, values_of_actions in of_a_step.items():
        values = (flow * values_of_actions).sum(axis=2) / visits
        groups = problem.long_run_means(policy, mean_field, values)
        shares = np.concatenate([mass * part[0] for mass, part in zip(model.masses, groups)])
        means = np.concatenate([part[1] for part in groups])
        fairness[f"{name}_fairness"] = 0.0 - float(np.sqrt(shares @ (means - shares @ means) ** 2))
    return fairness
