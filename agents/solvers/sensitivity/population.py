"""A population at rest, or nearly, and what there is to ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from karma_envs.axes import Axis, axis_values
from karma_envs.config import choice
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import q_values
from karma_envs.mean_field.fairness import long_run_fairness, rates_by_type

_MOST_GROUPS = 12  # of states by whose mean actions a population is described
_MOST_TYPES = 12  # that are told apart: where each agent has paths of its own there are a thousand
NEVER_VISITED = 1e-12
"""A state, or several, with at most this share of its type counts as one that nobody is in."""


@dataclass(frozen=True)
class Population:
    """A population of a finite mean-field model: what outputs are functions of.

    Attributes:
        model: the mean-field model.
        policy: ``float64[types, X, A]``. On the way to a derivative probabilities may be a little below 0.
        mean_field: mu, ``float64[types, X]``.
        statistic: z, which agents face.
        value: V, ``float64[types, X]``.
        problem: what an agent faces.
    """

    model: FiniteMeanFieldModel
    policy: NDArray[np.float64]
    mean_field: NDArray[np.float64]
    statistic: NDArray[np.float64]
    value: NDArray[np.float64]
    problem: DecisionProblem

    @cached_property
    def flow(self) -> NDArray[np.float64]:
        """mu(x) pi(a | x), ``float64[types, X, A]``."""
        return np.asarray(self.mean_field[..., None] * self.policy)

    @cached_property
    def q(self) -> NDArray[np.float64]:
        """Q(x, a), ``float64[types, X, A]``, -inf where illegal."""
        return q_values(self.model, self.problem, self.value)


Output = Callable[[Population], float]
"""A number of a population: an output of one's own."""

Outputs = Callable[[Population], dict[str, float]]


def outputs_of(chosen: Sequence[str] | Mapping[str, Output] | None, population: Population) -> Outputs:
    """The function that gives all outputs asked for.

    Args:
        chosen: names of :func:`standard_outputs`, functions of the user's by name, or None for all of the
            former.
        population: one that they are asked of.

    Raises:
        ConfigError: for a name that is none of them.
    """
    if isinstance(chosen, Mapping):
        functions = dict(chosen)
        return lambda each: {name: float(function(each)) for name, function in functions.items()}
    if chosen is None:
        return standard_outputs
    known = standard_outputs(population)
    names = [choice("output", name, known) for name in chosen]

    def selected(each: Population) -> dict[str, float]:
        every = standard_outputs(each)
        return {name: every[name] for name in names}

    return selected


def standard_outputs(population: Population) -> dict[str, float]:
    """What is asked of an equilibrium unless something else is, by name.

    - ``efficiency`` (mean reward per agent and step) and ``payoff`` (J, discounted, mean over the
      population); where there are several types, up to twelve, also ``efficiency_type_0``,
      ``payoff_type_0`` and so on;
    - ``reward_fairness`` and that of the model's rates, in the matching game ``access_fairness``: in the long
      run, see :func:`karma_envs.mean_field.fairness.long_run_fairness`;
    - the rates themselves by type, as ``access_type_0``, likewise;
    - means of what actions mean, in the matching game ``mean_bid``; and by all but the last of the
      quantities that a state is made of, and by type, as ``mean_bid_type_0_urgency_5``.
    """
    model = population.model
    several = 1 < model.n_types <= _MOST_TYPES
    by_type = {
        "efficiency": (population.flow * population.problem.reward).sum(axis=(1, 2)),
        "payoff": (population.problem.entry(population.mean_field) * population.value).sum(axis=1),
    }
    rates = model.rates(population.statistic)
    results: dict[str, float] = {}
    for name, values in by_type.items():
        results[name] = float(model.masses @ values)
        if several:
            results |= _of_types(name, values)
    results |= long_run_fairness(
        model,
        population.problem,
        population.policy,
        population.mean_field,
        rates,
    )
    if several:
        by_rate = rates_by_type(model, population.policy, population.mean_field, rates)
        for name, values in by_rate.items():
            results |= _of_types(name, values)
    shares = (population.flow * model.masses[:, None, None]).sum(axis=1)
    groups = _groups(model.axes, model.n_types, model.n_states) if model.n_types <= _MOST_TYPES else {}
    for feature, worth in model.action_features.items():
        results[f"mean_{feature}"] = float(shares.sum(axis=0) @ worth)
        actions = population.flow @ worth
        for kind in range(model.n_types):
            for name, members in groups.items() if several or len(groups) > 1 else ():
                where = "_".join(filter(None, [f"type_{kind}" if several else "", name]))
                mass = float(population.mean_field[kind] @ members)
                done = float(actions[kind] @ members) / mass if mass > NEVER_VISITED else 0.0
                results[f"mean_{feature}_{where}"] = done
    return results


def _of_types(name: str, values: NDArray[np.float64]) -> dict[str, float]:
    return {f"{name}_type_{kind}": float(value) for kind, value in enumerate(values)}


@lru_cache(maxsize=4)
def _groups(axes: tuple[Axis, ...], n_types: int, n_states: int) -> dict[str, NDArray[np.bool_]]:
    """The states that agree in all quantities but the last, ``bool[X]`` by what they agree in.

    One group, of all states, where there would be too many to list.
    """
    quantities = axis_values(axes[:-1]) if len(axes) > 1 else {}
    n_groups = len(next(iter(quantities.values()))) if quantities else 1
    everybody = {"": np.ones(n_states, np.bool_)}
    if not 1 < n_groups * n_types <= _MOST_GROUPS:
        return everybody
    number = np.arange(n_states) // (n_states // n_groups)
    return {
        "_".join(f"{name}_{_short(values[group])}" for name, values in quantities.items()): number == group
        for group in range(n_groups)
    }


def _short(value: object) -> str:
    """A value as it stands in a name: 5 for 5.0."""
    return f"{value:g}" if isinstance(value, float) else str(value)
