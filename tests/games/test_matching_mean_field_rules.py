"""Mean fields of all rules, also with much karma: distributions without a probability below 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import karma_envs
from agents.evaluators import MirrorAscent, lasry_lions_sum
from agents.solvers import solve
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.stationary import stationary_mean_field
from karma_envs.mechanisms.rule import rules

PAYMENTS = sorted(rules("payment"))


def model_of(**fields: Any) -> FiniteMeanFieldModel:
    model = karma_envs.make("matching", **fields).mean_field()
    assert model is not None
    return model


@pytest.mark.parametrize("redistribution", ["uniform", "tax"])
@pytest.mark.parametrize("payment", PAYMENTS)
def test_mean_fields_are_distributions(payment: str, redistribution: str) -> None:
    model = model_of(karma_max=8, karma_mean=7, payment=payment, redistribution=redistribution)
    ascent, rng = MirrorAscent(model), np.random.default_rng(0)
    flows = []
    for _ in range(2):
        policy = ascent.random_policy(rng)
        field = stationary_mean_field(model, policy)
        assert field.mean_field.min() >= 0
        np.testing.assert_allclose(field.mean_field.sum(axis=1), 1, atol=1e-14)
        flows.append(field.mean_field[..., None] * policy)
    lasry_lions_sum(model, flows[0], flows[1])  # refuses what are no distributions


def test_a_state_that_is_hardly_ever_visited_has_no_negative_probability() -> None:
    # Newton's method leaves -1e-16 there.
    model = model_of(payment="second_price")
    ascent, rng = MirrorAscent(model), np.random.default_rng(0)
    for _ in range(37):
        policy = ascent.random_policy(rng)
    assert stationary_mean_field(model, policy).mean_field.min() >= 0


@pytest.mark.parametrize("payment", PAYMENTS)
def test_solutions_are_distributions(payment: str) -> None:
    found = solve(model_of(karma_max=5, karma_mean=2, payment=payment))
    assert found.converged
    assert found.policy.probabilities.min() >= 0
    assert found.mean_field.min() >= 0
