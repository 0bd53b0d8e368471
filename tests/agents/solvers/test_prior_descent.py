"""Prior descent: linear equations against dense ones, and equilibria of a dense and of a structured model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import agents
import karma_envs
from agents.solvers.continuation.krylov import newton_step
from karma_envs.config import ConfigError

if TYPE_CHECKING:
    from agents.solvers import Step


def test_a_newton_step_solves_the_linear_equations() -> None:
    rng = np.random.default_rng(0)
    matrix, right = np.eye(12) + 0.3 * rng.normal(size=(12, 12)) / np.sqrt(12), rng.normal(size=12)
    point = rng.normal(size=12)
    value = matrix @ point - right
    step = newton_step(lambda place: matrix @ place - right, point, value)
    assert np.linalg.norm(matrix @ (point + step) - right) <= 0.1 * np.linalg.norm(value)


def test_a_step_of_a_square_root() -> None:
    """x² = 4 from x = 3: the step is -(9 - 4) / 6."""
    step = newton_step(lambda x: x**2 - 4, np.array([3.0]), np.array([5.0]))
    assert step == pytest.approx([-5 / 6], rel=1e-4)


def test_solves_the_matching_game() -> None:
    """The equilibria known have efficiencies in -1.048 … -1.029 (tolerance: what 1e-4 of |J| leaves open)."""
    steps: list[Step] = []
    found = agents.solve(karma_envs.make("matching"), "prior_descent", tolerance=1e-4, observer=steps.append)
    assert found.converged
    assert found.exploitability_normalised <= 1e-4
    assert -1.05 < found.efficiency < -1.025
    assert [step.exploitability_normalised for step in steps] == [
        step.exploitability_normalised for step in found.history
    ]


def test_solves_a_city_by_default() -> None:
    city = karma_envs.make("grid_city", n_agents=20, rows=1, columns=2, karma_max=6, karma_mean=3.0)
    found = agents.solve(city, tolerance=3e-3)
    model = city.mean_field()
    assert found.method == "prior_descent"
    assert found.converged, found
    assert found.exploitability_normalised == pytest.approx(
        model.exploitability(found.policy).normalised, abs=1e-6
    )
    assert found.policy.n_rows == len(model.masses)


def test_a_start_nearby_spares_most_rounds() -> None:
    first = agents.solve(karma_envs.make("matching"), "prior_descent", tolerance=1e-3)
    near = karma_envs.make("matching", discount=0.979)
    anew, warm = (
        agents.solve(near, "prior_descent", tolerance=1e-3, start=start) for start in (None, first.policy)
    )
    assert anew.converged
    assert warm.converged
    assert len(warm.history) <= len(anew.history) / 2


def test_the_least_exploitable_policy_is_returned() -> None:
    """At fast rising rationality rounds get worse, here the last ones; they are nearly at rest."""
    city = karma_envs.make("grid_city", n_agents=20, rows=1, columns=2, karma_max=6, karma_mean=3.0)
    found = agents.solve(city, "prior_descent", tolerance=1e-12, memory=0.5, growth=4.0, iterations=25)
    said = [step.exploitability_normalised for step in found.history]
    assert not found.converged
    assert said[-1] > 1.5 * min(said)
    assert found.exploitability_normalised == pytest.approx(min(said), rel=0.3)


def test_an_interrupt_keeps_the_last_point() -> None:
    def stop(step: Step) -> None:
        if step.iteration == 2:
            raise KeyboardInterrupt

    found = agents.solve(karma_envs.make("matching"), "prior_descent", observer=stop)
    assert found.interrupted
    assert len(found.history) == 3
    assert not found.converged


def test_says_why_it_ended() -> None:
    found = agents.solve(karma_envs.make("matching"), "prior_descent", last_rationality=1.0)
    assert not found.converged
    assert found.reason == "the last rationality 1 was reached"


def test_refuses_options_out_of_range() -> None:
    with pytest.raises(ConfigError, match="first_rationality"):
        agents.solve(karma_envs.make("matching"), "prior_descent", first_rationality=0.0)
