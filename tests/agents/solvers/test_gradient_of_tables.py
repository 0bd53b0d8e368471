"""Policy gradients in games with tables: against the exact derivative, and down to little exploitability."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import karma_envs
from agents import solve
from agents.policies.softmax import SoftmaxPolicy
from agents.solvers.gradient.simulator import simulator_of
from karma_envs.finite import as_finite
from karma_envs.mean_field import FiniteMeanFieldModel, as_finite_model
from karma_envs.mean_field.dynamic_programming import policy_value

SMALL: dict[str, Any] = {"karma_max": 2, "karma_mean": 1, "discount": 0.5}
TWO_TYPES = ({"share": 1, "discount": 0.5}, {"share": 3, "discount": 0.6, "urgencies": (2, 3)})


def payoff(model: FiniteMeanFieldModel, policy: SoftmaxPolicy, statistic: np.ndarray) -> float:
    """J of agents who begin in the model's initial mean field."""
    table = np.broadcast_to(policy.probabilities, (model.n_types, *policy.probabilities.shape[1:]))
    value = policy_value(model, model.decision_problem(statistic), np.asarray(table, np.float64))
    return float(model.masses @ (model.initial_mean_field * value).sum(axis=1))


@pytest.mark.parametrize("fields", [SMALL, {"karma_max": 1, "karma_mean": 1, "types": TWO_TYPES}])
def test_likelihood_ratios_have_the_exact_derivative_as_their_mean(fields: dict[str, Any]) -> None:
    """Mean of 30 estimates, seeds 0 to 29, within 4 standard errors for each parameter."""
    game = as_finite(karma_envs.make("matching", **fields))
    model = as_finite_model(simulator_of(game).model)
    runs = [
        solve(
            game, "likelihood_ratio", iterations=1, n_agents=800, population_steps=20, horizon=25, seed=seed
        )
        for seed in range(30)
    ]
    traces = [run.trace for run in runs if run.trace is not None]
    policy = SoftmaxPolicy.uniform(game)
    theta, width = policy.parameters, 1e-5
    differences = []
    for trace in traces:
        exact = np.empty(len(theta))
        for index in range(len(theta)):
            move = width * (np.arange(len(theta)) == index)
            up, down = (
                payoff(model, policy.with_parameters(theta + sign * move), trace.statistic[0])
                for sign in (1, -1)
            )
            exact[index] = (up - down) / (2 * width)
        differences.append(trace.gradient[0] - exact)
    error = np.std(differences, axis=0, ddof=1) / np.sqrt(len(differences))
    assert np.abs(exact).max() > 10 * error.max()
    assert (np.abs(np.mean(differences, axis=0)) <= 4 * error + 1e-6).all()


def test_the_statistic_of_a_population_is_the_models() -> None:
    """1000 agents who play at random for 50 steps, and the same at rest; five times the noise of a share."""
    game = as_finite(karma_envs.make("matching", **SMALL))
    simulated = simulator_of(game)
    policy = SoftmaxPolicy.uniform(game)
    made = simulated.stationary(simulated.population(1000), policy, 50, seed=0)
    exact = as_finite_model(simulated.model).statistic_of(simulated.in_model(policy))
    assert np.abs(made - exact).max() < 5 * np.sqrt(0.25 / 1000)


@pytest.mark.parametrize("method", ["likelihood_ratio", "spsa"])
def test_exploitability_falls(method: str) -> None:
    found = solve(
        karma_envs.make("matching", karma_max=3, karma_mean=2, discount=0.8),
        method,
        n_agents=400,
        population_steps=20,
        horizon=20,
        iterations=60,
        learning_rate=0.1,
        **({"common_random_numbers": True, "perturbation": 0.3} if method == "spsa" else {}),
    )
    first, last = found.history[0], found.history[-1]
    assert last.exploitability_normalised < first.exploitability_normalised / 2
    assert found.exploitability_normalised == last.exploitability_normalised
    assert found.policy.probabilities.shape[0] == 1
