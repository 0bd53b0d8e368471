"""What is known of equilibria of karma games before they are solved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import karma_envs
from agents.solvers import Equilibrium, solve
from karma_envs.mean_field import FiniteMeanFieldModel

SMALL = {"karma_max": 8, "karma_mean": 4}


def model_of(**fields: Any) -> FiniteMeanFieldModel:
    model = karma_envs.make("matching", **fields).mean_field()
    assert model is not None
    return model


def solved(fields: dict[str, Any], **options: Any) -> Equilibrium:
    found = solve(model_of(**fields), "homotopy", **options)
    assert found.converged
    return found


@pytest.mark.parametrize(
    ("payment", "rationality", "exploration", "efficiency", "tolerance"),
    [
        # computed independently
        ("pbp", 5, 0, -1.13688, 2e-5),
        ("pbp", 50, 0, -1.04724, 2e-5),
        ("pbs", 5, 0, -1.06067, 2e-5),
        ("pbs", 50, 0, -1.01379, 2e-5),
        ("pbp", 1000, 0.05, -1.0889, 1e-4),
        ("pbs", 1000, 0.05, -1.0513, 1e-4),
    ],
)
def test_logit_equilibria_of_the_default_game(
    payment: str, rationality: float, exploration: float, efficiency: float, tolerance: float
) -> None:
    found = solved({"payment": payment}, rationality=rationality, exploration=exploration)
    assert found.efficiency == pytest.approx(efficiency, abs=tolerance)


@pytest.mark.parametrize("payment", ["pbp", "pbs"])
def test_without_a_future_everything_is_bid(payment: str) -> None:
    model = model_of(payment=payment, discount=1e-3, **SMALL)
    found = solve(model)
    assert found.converged
    problem = model.decision_problem(found.statistic)
    flow = found.mean_field[..., None] * found.policy.probabilities
    best = np.where(model.legal_actions, problem.reward, -np.inf).max(axis=2)
    assert ((flow * (best[..., None] - problem.reward)).sum()) < 1e-3
    all_in = np.eye(model.n_actions)[np.tile(np.arange(model.n_actions), 2)]
    assert (flow * all_in).sum() > 0.999


@pytest.mark.parametrize("payment", ["pbp", "pbs", "pbp_capped", "second_price"])
def test_with_one_urgency_the_game_is_zero_sum(payment: str) -> None:
    fields = {"payment": payment, "urgencies": (3,), "discount": 0.9, "karma_max": 5, "karma_mean": 2}
    found = solve(model_of(**fields), rationality=20.0, method="homotopy")
    assert found.efficiency == pytest.approx(-1.5, abs=1e-12)


def test_two_identical_types_equal_one() -> None:
    one = solved(SMALL, rationality=20)
    kind = {"urgencies": (1, 5), "discount": 0.98}
    two = solved({**SMALL, "types": [{"share": 1, **kind}, {"share": 3, **kind}]}, rationality=20)
    np.testing.assert_allclose(
        two.policy.probabilities, np.repeat(one.policy.probabilities, 2, axis=0), atol=1e-8
    )
    np.testing.assert_allclose(two.mean_field, np.repeat(one.mean_field, 2, axis=0), atol=1e-9)
    assert two.efficiency == pytest.approx(one.efficiency, abs=1e-9)


def test_no_exploration_is_exploration_of_probability_zero() -> None:
    model = model_of(**SMALL)
    without = solve(model, "homotopy", rationality=30.0)
    none = solve(model, "homotopy", rationality=30.0, exploration=0.0)
    little = solve(model, "homotopy", rationality=30.0, exploration=1e-7)
    np.testing.assert_array_equal(without.policy.probabilities, none.policy.probabilities)
    assert little.efficiency == pytest.approx(none.efficiency, abs=1e-5)
    assert (little.policy.probabilities[0][model.legal_actions] >= 1e-7 / model.n_actions * 0.999).all()


def test_permuting_types_permutes_the_result() -> None:
    types = [
        {"share": 1, "discount": 0.7, "urgencies": (1, 5)},
        {"share": 2, "discount": 0.9, "urgencies": (2, 3)},
    ]
    found = [solved({**SMALL, "types": order}, rationality=20) for order in (types, types[::-1])]
    np.testing.assert_allclose(found[0].policy.probabilities, found[1].policy.probabilities[::-1], atol=1e-8)
    np.testing.assert_allclose(found[0].mean_field, found[1].mean_field[::-1], atol=1e-9)
    np.testing.assert_allclose(found[0].value, found[1].value[::-1], atol=1e-7)
    assert found[0].efficiency == pytest.approx(found[1].efficiency, abs=1e-9)


def test_payoffs_in_other_units_change_nothing_else() -> None:
    one = solved({**SMALL, "urgencies": (1, 5)}, rationality=20)
    ten = solved({**SMALL, "urgencies": (10, 50)}, rationality=2)
    np.testing.assert_allclose(one.policy.probabilities, ten.policy.probabilities, atol=1e-7)
    assert ten.efficiency == pytest.approx(10 * one.efficiency, rel=1e-8)
