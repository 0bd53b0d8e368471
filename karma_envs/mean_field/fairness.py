"""Fairness in the limit of infinitely many agents and steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from karma_envs.mean_field.dynamic_programming import DecisionProblem
    from karma_envs.mean_field.model import FiniteMeanFieldModel

_LEAST = 1e-300  # in place of 0, to divide by


def rates_by_type(
    model: FiniteMeanFieldModel,
    policy: NDArray[np.float64],
    mean_field: NDArray[np.float64],
    rates: Mapping[str, NDArray[np.float64]],
) -> dict[str, NDArray[np.float64]]:
    """What agents of each type have of a contest, ``float64[types]`` by name; arguments as below."""
    flow = mean_field[..., None] * policy
    contests = np.maximum(mean_field @ model.contests, _LEAST)
    return {name: (flow * rate).sum(axis=(1, 2)) / contests for name, rate in rates.items()}


def long_run_fairness(
    model: FiniteMeanFieldModel,
    problem: DecisionProblem,
    policy: NDArray[np.float64],
    mean_field: NDArray[np.float64],
    rates: Mapping[str, NDArray[np.float64]],
) -> dict[str, float]:
    """Minus the standard deviation over agents of what they have in the long run.

    As for N agents, of their mean reward per step, and of rates such as the share of contests that they win.
    In the limit luck evens out, and what is left is what agents differ in for good: their type, and states
    that they never leave. For one type of agents that may come to be in any state it is 0. Over a finite time
    luck makes agents unequal, which simulation tells.

    Args:
        model: the mean-field model.
        problem: what an agent faces in the population.
        policy: ``float64[types, X, A]``.
        mean_field: mu of a population at rest, ``float64[types, X]``.
        rates: what an agent has of a step besides, ``float64[types, X, A]`` each, by name, as the model's
            ``rates``; told per step in which it contests.

    Returns:
        ``reward_fairness``, then the rates' by their names with ``_fairness`` behind them.
    """
    flow = mean_field[..., None] * policy
    visits = np.maximum(mean_field, _LEAST)

    # What a state is worth per step: whether there is a contest in it, the reward, and each rate.
    worth = [np.broadcast_to(1.0 * model.contests, visits.shape)]
    worth += [(flow * one).sum(axis=2) / visits for one in (problem.reward, *rates.values())]
    groups = problem.long_run_means(policy, mean_field, np.stack(worth))
    shares = np.concatenate([mass * part[0] for mass, part in zip(model.masses, groups)])
    contests, *means_of = np.concatenate([part[1] for part in groups], axis=1)
    fairness: dict[str, float] = {}
    for name, means in zip(("reward", *rates), means_of):
        if name in rates:
            means = means / np.maximum(contests, _LEAST)
        fairness[f"{name}_fairness"] = 0.0 - float(np.sqrt(shares @ (means - shares @ means) ** 2))
    return fairness
