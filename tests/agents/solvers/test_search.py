"""The search for several equilibria."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import karma_envs
from agents.policies.tabular import TabularPolicy
from agents.solvers.continuation.branches import Explorer
from agents.solvers.continuation.search import Found, continuation, distance, search
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.exploitability import exploitability


def model_of(**fields: Any) -> FiniteMeanFieldModel:
    model = karma_envs.make("matching", **fields).mean_field()
    assert model is not None
    return model


@pytest.fixture(scope="module")
def model() -> FiniteMeanFieldModel:
    return model_of(karma_max=8, karma_mean=4, discount=0.95)


def test_what_is_found_is_exact_and_distinct(model: FiniteMeanFieldModel) -> None:
    seen: list[tuple[str, tuple[Found, ...]]] = []
    report = search(model, starts=4, seed=1, observer=lambda origin, found: seen.append((origin, found)))
    assert report.attempts == 5
    assert not report.interrupted
    assert [origin for origin, _ in seen] == ["homotopy", "start 0", "start 1", "start 2", "start 3"]
    assert len(report.found) >= 1
    assert sum(one.times_found for one in report.found) == sum(len(found) for _, found in seen)
    for one in report.found:
        assert exploitability(model, one.policy, one.mean_field).normalised <= 1e-10
        assert one.exploitability_normalised <= 1e-10
    n = len(report.found)
    assert report.distances.shape == report.mean_action_differences.shape == (n, n)
    np.testing.assert_array_equal(np.diag(report.distances), 0)
    np.testing.assert_array_equal(report.distances, report.distances.T)
    assert (report.distances[~np.eye(n, dtype=bool)] >= 1e-6).all()
    efficiencies = [one.efficiency for one in report.found]
    assert efficiencies == sorted(efficiencies, reverse=True)
    assert report.path == ()


def test_starts_are_reproducible_one_by_one(model: FiniteMeanFieldModel) -> None:
    few, more = (search(model, starts=starts, seed=7) for starts in (1, 2))
    for one in few.found:
        assert any(distance(model, one, other) < 1e-6 for other in more.found)


def test_continuation_follows_an_equilibrium_to_other_models(model: FiniteMeanFieldModel) -> None:
    models = [model_of(karma_max=8, karma_mean=4, discount=gamma) for gamma in (0.93, 0.94)]
    report = search(model, starts=0, along=models)
    assert report.attempts == 2
    assert len(report.path) == 3
    for on_the_way, its_model in zip(report.path, [*models, model]):
        assert on_the_way is not None
        assert exploitability(its_model, on_the_way.policy).normalised <= 1e-9
    assert any("continuation" in one.origins for one in report.found)
    back = continuation([model], start=report.path[1])[0]
    assert back is not None
    assert back.exploitability.normalised <= 1e-10


def test_a_search_that_is_interrupted_keeps_what_it_found(model: FiniteMeanFieldModel) -> None:
    def stop(origin: str, found: tuple[Found, ...]) -> None:
        if origin == "start 0":
            raise KeyboardInterrupt

    report = search(model, starts=50, observer=stop)
    assert report.interrupted
    assert report.attempts == 2
    assert len(report.found) >= 1


def test_what_differs_only_where_nobody_is_counts_as_one() -> None:
    model = model_of(karma_max=8, karma_mean=4, redistribution="tax(rate=1)")
    (known,) = search(model, starts=0).found
    nobody = known.mean_field.min(axis=0) < 1e-12
    assert nobody.any(), "the test needs states that nobody is ever in"
    policy = known.policy.probabilities.copy()
    policy[:, nobody] = np.eye(model.n_actions)[0]
    other = replace(known, policy=TabularPolicy(policy))
    assert np.abs(policy - known.policy.probabilities).max() > 0.5
    assert distance(model, known, other) < 1e-11


def test_shifting_payoffs_leads_to_equilibria_that_the_homotopy_does_not() -> None:
    model = model_of(karma_max=8, karma_mean=4)
    explorer = Explorer(model, 1e-10)
    (known,) = explorer.from_uniform()
    for seed in range(6):  # most of them do
        met = explorer.around(known, np.random.default_rng(seed))
        efficiencies = {round(one.equilibrium.efficiency, 6) for one in (known, *met)}
        if len(efficiencies) > 1:
            break
    else:
        pytest.fail("nothing but the equilibrium that was known")
    for one in met:
        assert exploitability(model, one.equilibrium.policy).normalised <= 1e-10
