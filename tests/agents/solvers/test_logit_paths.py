"""Paths of logit equilibria: they turn where beta does, and every point on them is one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import karma_envs
from agents.solvers import solve
from agents.solvers.continuation import homotopy as homotopy_module
from agents.solvers.continuation.quantal_response import LogitPoint, LogitSystem
from agents.solvers.equilibrium import assess
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.numerics.linear import solve_scaled


def model_of(**fields: Any) -> FiniteMeanFieldModel:
    model = karma_envs.make("matching", **fields).mean_field()
    assert model is not None
    return model


def first_on(system: LogitSystem) -> LogitPoint:
    found = system.solve(system.start(), 0.02)
    assert found is not None
    return found


def gap_of(model: FiniteMeanFieldModel, point: LogitPoint, policy: np.ndarray[Any, Any]) -> float:
    """How far a policy is from softmax(beta Q) in its own stationary mean field, computed anew."""
    found = assess(model, policy)
    problem = model.decision_problem(found.statistic)
    following = np.einsum("txay,ty->txa", problem.dense(anew=True), found.value)
    q = problem.reward + model.discounts[:, None, None] * following
    scores = np.where(model.legal_actions, point.rationality * q, -np.inf)
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    softmax = weights / weights.sum(axis=2, keepdims=True)
    return float((found.mean_field[..., None] * np.abs(policy - softmax)).sum(axis=(1, 2)).max())


@pytest.mark.parametrize("payment", ["pbp", "pbs", "pbp_capped"])
def test_every_point_is_a_logit_equilibrium(payment: str) -> None:
    model = model_of(karma_max=5, karma_mean=2, discount=0.9, payment=payment)
    system = LogitSystem(model)
    points = list(system.path(first_on(system), until=300.0))
    assert len(points) > 5
    assert points[-1].rationality == 300.0
    for point in points:
        assert gap_of(model, point, system.policy(point.logits)[0]) < 1e-3
    assert gap_of(model, points[-1], system.policy(points[-1].logits)[0]) < 1e-5


def test_a_path_is_followed_through_a_fold() -> None:
    """Where beta turns back, stepping in beta ends: PBP at discount .9, near beta = 3600."""
    model = model_of(discount=0.9)
    system = LogitSystem(model)
    rationalities = [point.rationality for point in system.path(first_on(system), until=20_000.0)]
    steps = np.diff(rationalities)
    assert (steps < 0).any()
    assert rationalities[-1] == 20_000.0
    found = solve(model)
    assert found.converged
    assert found.exploitability_normalised <= 1e-10


def test_a_path_leads_back_to_where_it_came_from() -> None:
    system = LogitSystem(model_of(karma_max=5, karma_mean=2, discount=0.9))
    *_, last = system.path(first_on(system), until=50.0)
    on_the_way = next(point for point in system.path(last, direction=-1.0) if point.rationality < 5.0)
    direct = system.solve(system.start(), on_the_way.rationality)
    assert direct is not None
    np.testing.assert_allclose(on_the_way.statistic, direct.statistic, atol=1e-5)


def test_a_shift_of_payoffs_is_the_equilibrium_of_the_shifted_game() -> None:
    model = model_of(karma_max=4, karma_mean=2, discount=0.8)
    bonus = np.random.default_rng(0).normal(size=(1, model.n_states, model.n_actions)) / 10
    plain, system = LogitSystem(model), LogitSystem(model, direction=bonus)
    *_, first = plain.path(first_on(plain), until=20.0)
    shifted = next(point for point in system.path(first) if point.shift > 0.5)
    assert shifted.rationality == 20.0

    class Shifted(type(model)):  # type: ignore[misc]
        def decision_problem(self, statistic: np.ndarray[Any, Any]) -> Any:
            found = super().decision_problem(statistic)
            return replace(found, reward=found.reward + shifted.shift * bonus)

    other = Shifted(model.config)  # type: ignore[attr-defined]
    found = LogitSystem(other).solve(shifted, 20.0)
    assert found is not None
    np.testing.assert_allclose(found.statistic, shifted.statistic, atol=1e-5)


@pytest.mark.parametrize("redistribution", ["none", "uniform", "tax"])
def test_capped_payment_is_solved(redistribution: str) -> None:
    fields = {"karma_max": 6, "karma_mean": 3, "discount": 0.9}
    found = solve(model_of(payment="pbp_capped", redistribution=redistribution, **fields))
    assert found.converged
    assert found.exploitability_normalised <= 1e-10


def test_where_the_path_is_lost_another_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homotopy_module, "_path", lambda system, first, last: iter([first]))
    found = solve(model_of(karma_max=5, karma_mean=2, discount=0.9))
    assert found.converged
    assert found.exploitability_normalised <= 1e-10
    assert len(found.history) == 2


def test_from_a_neighbouring_equilibrium_newton_s_method_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"karma_max": 5, "karma_mean": 2}
    model = model_of(discount=0.9, **fields)
    whole = solve(model)
    before = solve(model_of(discount=0.8999, **fields))
    logit = solve(model, rationality=20.0)
    monkeypatch.setattr(homotopy_module, "_path", lambda system, first, last: iter(()))
    beside = solve(model, start=before)
    assert beside.converged
    np.testing.assert_allclose(beside.policy.probabilities, whole.policy.probabilities, atol=1e-6)
    again = solve(model, rationality=20.0, start=solve(model, rationality=19.9, start=logit))
    assert again.converged
    np.testing.assert_allclose(again.policy.probabilities, logit.policy.probabilities, atol=1e-9)


def test_far_from_an_equilibrium_a_start_leads_to_one_all_the_same() -> None:
    model = model_of(karma_max=5, karma_mean=2, discount=0.9)
    nothing = np.zeros((1, model.n_states, model.n_actions))
    nothing[..., 0] = 1.0
    found = solve(model, start=nothing)
    assert found.converged
    assert found.exploitability_normalised <= 1e-10


def test_an_unknown_that_nothing_depends_on_stays() -> None:
    jacobian = np.array([[2.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(solve_scaled(jacobian, np.array([4.0, 0.0])), [2.0, 0.0], atol=1e-12)


def test_one_urgency_is_worth_half_of_it() -> None:
    found = solve(model_of(urgencies=(3,), discount=0.9, karma_max=6, karma_mean=3))
    assert found.efficiency == pytest.approx(-1.5, abs=1e-9)
    assert found.converged == (found.exploitability_normalised <= 1e-10)
