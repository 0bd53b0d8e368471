"""Every solver: it lowers exploitability, stops where it should and tells the truth about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import karma_envs
from agents.solvers import Step, solve
from agents.solvers.first_order.policy_mirror_ascent import _projection
from karma_envs.config import ConfigError
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import uniform_policy
from karma_envs.mean_field.exploitability import exploitability
from karma_envs.plugins import defined_in
from tests.agents.solvers.method_groups import SEEKING_EQUILIBRIA

TWO_TYPES = ({"discount": 0.7}, {"discount": 0.9, "urgencies": (1, 2, 9)})
FIRST_ORDER = sorted(name.rpartition(".")[2] for name in defined_in("agents.solvers.first_order", "SOLVER"))


def model_of(**fields: Any) -> FiniteMeanFieldModel:
    model = karma_envs.make("matching", **fields).mean_field()
    assert model is not None
    return model


@pytest.mark.parametrize("method", SEEKING_EQUILIBRIA)
@pytest.mark.parametrize(
    "fields",
    [
        {"karma_max": 6, "karma_mean": 3, "discount": 0.9},
        {"karma_max": 6, "karma_mean": 3, "discount": 0.9, "payment": "pbs"},
        {"karma_max": 6, "karma_mean": 3, "types": TWO_TYPES, "redistribution": "tax"},
    ],
    ids=["pbp", "pbs", "two types, tax"],
)
def test_every_method_lowers_exploitability(method: str, fields: dict[str, Any]) -> None:
    model = model_of(**fields)
    start = exploitability(model, uniform_policy(model)).normalised
    seen: list[Step] = []
    found = solve(model, method, tolerance=5e-3, observer=seen.append)
    assert found.method == method
    assert found.exploitability_normalised < start / 5
    assert found.converged == (found.exploitability_normalised <= 5e-3)
    assert tuple(seen) == found.history
    again = exploitability(model, found.policy, found.mean_field)
    assert again.normalised == pytest.approx(found.exploitability_normalised, abs=1e-9)
    np.testing.assert_allclose(again.by_type, found.exploitability_by_type, atol=1e-9)
    assert found.exploitability == pytest.approx(model.masses @ found.exploitability_by_type, abs=1e-12)
    np.testing.assert_allclose(found.mean_field.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("method", FIRST_ORDER)
def test_who_is_stopped_early_does_not_claim_to_have_converged(method: str) -> None:
    found = solve(model_of(karma_max=6, karma_mean=3), method, tolerance=1e-9, iterations=7)
    assert not found.converged
    assert found.exploitability_normalised > 1e-9
    assert found.tolerance == 1e-9
    assert [step.iteration for step in found.history] == [0, 1, 2, 4, 6]


@pytest.mark.parametrize("method", FIRST_ORDER)
def test_a_looser_tolerance_takes_no_longer(method: str) -> None:
    model = model_of(karma_max=6, karma_mean=3, discount=0.9)
    loose, tight = (solve(model, method, tolerance=tolerance) for tolerance in (5e-2, 5e-3))
    assert loose.converged
    assert loose.history[-1].iteration <= tight.history[-1].iteration


@pytest.mark.parametrize("payment", ["pbp", "pbs"])
def test_fictitious_play_reaches_a_thousandth_on_the_default_game(payment: str) -> None:
    found = solve(model_of(payment=payment), "fictitious_play", tolerance=1e-3)
    assert found.converged
    assert found.history[-1].iteration < 1000
    # The figure shows how it came there, also where the first look that is due is the last.
    assert [step.iteration for step in found.history][:6] == [0, 1, 2, 4, 8, 16]
    assert found.history[0].exploitability_normalised > 0.2


@pytest.mark.parametrize("payment", ["pbp", "pbs"])
def test_the_homotopy_lands_on_an_equilibrium_of_the_default_game(payment: str) -> None:
    found = solve(model_of(payment=payment))
    assert found.converged
    assert found.exploitability_normalised <= 1e-10


def test_fictitious_play_with_the_classical_average_is_slower() -> None:
    model = model_of(karma_max=6, karma_mean=3, discount=0.9)
    fast, slow = (solve(model, "fictitious_play", tolerance=2e-3, power=power) for power in (0.7, 1.0))
    assert fast.converged
    assert fast.history[-1].iteration < slow.history[-1].iteration


@pytest.mark.parametrize(("payment", "efficiency"), [("pbp", -1.13688), ("pbs", -1.06067)])
def test_logit_dynamics_rest_at_the_logit_equilibrium(payment: str, efficiency: float) -> None:
    found = solve(model_of(payment=payment), "logit_dynamics", rationality=5.0, step_size=0.1, tolerance=1e-5)
    assert found.converged
    assert found.efficiency == pytest.approx(efficiency, abs=2e-5)
    assert found.exploitability_normalised > 0.05
    unfinished = solve(model_of(payment=payment), "logit_dynamics", rationality=5.0, iterations=5)
    assert not unfinished.converged


def test_a_start_is_where_a_method_begins() -> None:
    model = model_of(karma_max=6, karma_mean=3)
    exact = solve(model)
    for method in FIRST_ORDER:
        if method != "annealed_logit":  # begins at low rationality, and leaves
            found = solve(model, method, tolerance=1e-8, start=exact.policy.probabilities, iterations=5)
            assert found.exploitability_normalised < 0.05, method


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("fictitious_play", {"power": 0}),
        ("fictitious_play", {"power": 1.1}),
        ("logit_dynamics", {"step_size": 0}),
        ("logit_dynamics", {"rationality": -1}),
        ("annealed_logit", {"growth": 0.9}),
        ("mirror_descent", {"step_size": -1}),
        ("policy_mirror_ascent", {"regulariser": "l1"}),
        ("policy_mirror_ascent", {"strength": 1, "step_size": 1}),
        ("fictitious_play", {"iterations": 0}),
        ("newton", {}),
        ("homotopy", {"tolerance": 0}),
    ],
)
def test_options_out_of_range_are_refused(method: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        solve(model_of(karma_max=2, karma_mean=1), method, **options)


def test_the_projection_on_the_simplex_is_the_nearest_point() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 6)) * 3
    points[:, 4:] = -np.inf
    found = _projection(points)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()
    assert (found[:, 4:] == 0).all()
    legal = points[:, :4]
    distance = ((found[:, :4] - legal) ** 2).sum(axis=1)
    for _ in range(300):
        others = rng.dirichlet(np.ones(4) * 0.3, size=50)
        assert (((others - legal) ** 2).sum(axis=1) >= distance - 1e-12).all()


def test_mirror_ascent_finds_the_regularised_policy_of_a_single_state() -> None:
    # A karma game without a future: Q = r, and with a strong regulariser the fixed points are known.
    model = model_of(karma_max=2, karma_mean=1, discount=0)
    for regulariser, step_size in (("kl", 0.5), ("l2", 0.5)):
        found = solve(
            model,
            "policy_mirror_ascent",
            tolerance=1e-12,
            regulariser=regulariser,
            strength=1.0,
            step_size=step_size,
            iterations=400,
        )
        rewards = model.decision_problem(found.statistic).reward
        policy = found.policy.probabilities
        state = 5  # urgency 5, karma 2: all bids are legal
        if regulariser == "kl":
            expected = np.exp(rewards[0, state]) / np.exp(rewards[0, state]).sum()
        else:
            expected = _projection(rewards[:, state])[0]
        np.testing.assert_allclose(policy[0, state], expected, atol=1e-6)
