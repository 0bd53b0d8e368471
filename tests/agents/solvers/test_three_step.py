"""The three-step framework: its parts, one by one, and its settings."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

import karma_envs
from agents.solvers import solve
from agents.solvers.three_step.inner import Exact, QLearning
from agents.solvers.three_step.net import project, units_of
from agents.solvers.three_step.rounds import rounds
from agents.solvers.three_step.smoothing import SMOOTHINGS, argmax_e, boltzmann, mellowmax
from agents.solvers.three_step.three_step import FOLLOWING, TabularMap
from karma_envs.config import ConfigError
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import q_values

PUBLISHED = [0.209, 0.2266, 0.2785, 0.1897, 0.0564, 0.0194, 0.0093, 0.0054, 0.0034, 0.0023]
"""Bids of the auction where all play softmax(4 Q*), as printed."""

KARMA: dict[str, Any] = {"karma_max": 5, "karma_mean": 2, "discount": 0.9}


def model_of(game: str = "auction", **fields: Any) -> FiniteMeanFieldModel:
    model = karma_envs.make(game, **fields).mean_field()
    assert isinstance(model, FiniteMeanFieldModel)
    return model


def map_of(model: FiniteMeanFieldModel, smoothing: str, rationality: float = 4.0) -> TabularMap:
    return TabularMap(model, Exact().start(), SMOOTHINGS[smoothing], rationality, FOLLOWING["step"])


def changes(world: TabularMap, number: int) -> list[float]:
    going = rounds(world.respond, world.follow, world.start())
    return [world.distance(each.after, each.before) for each in itertools.islice(going, number)]


# --- smoothing -------------------------------------------------------------------------------------------


def test_argmax_e_gives_equals_the_same_and_knows_rounding_from_a_gain() -> None:
    q = np.array(
        [[[1.0, 1.0, 0.0], [1.0, 1.0 - 1e-6, 0.0], [1.0, 1.0 + 1e-15, -np.inf], [-3.0, -np.inf, -2.0]]]
    )
    expected = [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    np.testing.assert_array_equal(argmax_e(q), [expected])


tables = arrays(np.float64, (1, 3, 4), elements=st.floats(-5, 5, width=32))
rationalities = st.floats(0.01, 50)


@given(tables, rationalities, st.sampled_from(sorted(SMOOTHINGS)))
def test_smoothings_give_policies_that_rise_with_q(
    q: NDArray[np.float64], rationality: float, name: str
) -> None:
    q[0, 1, 2] = -np.inf  # illegal
    policy = SMOOTHINGS[name](q, rationality)
    np.testing.assert_allclose(policy.sum(axis=2), 1)
    assert policy.min() >= 0
    assert policy[0, 1, 2] == 0
    for row, values in zip(policy[0], q[0]):
        assert (np.diff(row[np.argsort(values)]) >= -1e-9).all()


@given(tables, rationalities)
def test_the_mean_q_of_mellowmax_is_what_it_is_called(q: NDArray[np.float64], rationality: float) -> None:
    """Asadi and Littman's definition: of the softmax policies that whose mean is mm_c."""
    policy = mellowmax(q, rationality)
    expected = np.log(np.exp(rationality * q).mean(axis=2)) / rationality
    np.testing.assert_allclose((policy * q).sum(axis=2), expected, atol=1e-6)
    # It is a softmax: logs of probabilities are a linear function of Q, so that differences go together.
    logs = np.log(np.maximum(policy, 1e-300))
    one, other = np.diff(logs, axis=2), np.diff(q, axis=2)
    cross = one[..., :-1] * other[..., 1:] - one[..., 1:] * other[..., :-1]
    np.testing.assert_allclose(cross, 0, atol=1e-4)


def test_the_limits_of_smoothings_are_random_play_and_argmax_e() -> None:
    q = np.array([[[0.0, 1.0, 1.0, -np.inf], [2.0, -1.0, 0.5, 1.0]]])
    random = np.array([[[1 / 3, 1 / 3, 1 / 3, 0], [0.25, 0.25, 0.25, 0.25]]])
    for smoothing in (boltzmann, mellowmax):
        np.testing.assert_allclose(smoothing(q, 1e-7), random, atol=1e-6)
        np.testing.assert_allclose(smoothing(q, 1e5), argmax_e(q), atol=1e-4)
        np.testing.assert_array_equal(smoothing(q, np.inf), argmax_e(q))


# --- the net ---------------------------------------------------------------------------------------------

weights = arrays(np.float64, (7,), elements=st.floats(0, 1)).filter(lambda row: row.sum() > 1e-3)


@given(weights, st.integers(1, 200))
def test_the_net_keeps_mass_and_support_and_moves_nothing_by_a_unit(
    weight: NDArray[np.float64], n_units: int
) -> None:
    distribution = weight / weight.sum()
    point = project(distribution, n_units)
    units = point * n_units
    np.testing.assert_allclose(units, np.rint(units), atol=1e-9)
    assert np.rint(units).sum() == n_units
    assert (np.abs(point - distribution) < 1 / n_units + 1e-9).all()
    assert (point[distribution == 0] == 0).all()
    np.testing.assert_array_equal(project(point, n_units), point)  # points of the net stay


@given(weights, st.integers(1, 6))
def test_no_point_of_the_net_is_nearer(weight: NDArray[np.float64], n_units: int) -> None:
    distribution = (weight / weight.sum())[:3] + np.array([weight[3:].sum() / weight.sum(), 0, 0])
    distance = np.abs(project(distribution, n_units) - distribution).sum()
    for first in range(n_units + 1):
        for second in range(n_units + 1 - first):
            other = np.array([first, second, n_units - first - second]) / n_units
            assert np.abs(other - distribution).sum() >= distance - 1e-8


def test_remainders_that_tie_go_to_the_front_whatever_the_rounding() -> None:
    for noise in (0.0, 1e-14, -1e-14):
        thirds = np.array([1 / 3 + noise, 1 / 3, 1 / 3 - noise])
        np.testing.assert_allclose(project(thirds, 10), [0.4, 0.3, 0.3])
    assert [units_of(epsilon) for epsilon in (1, 0.1, 0.3, 1e-4)] == [1, 10, 4, 10_000]


# --- the inner solver ------------------------------------------------------------------------------------


def test_q_learning_comes_nearer_to_the_exact_q_with_more_sweeps() -> None:
    """Relative l_2 error; 5 seeds each. Seen: .0087 ± .0003, .0025 ± .0002, .0009 ± .0001."""
    model = model_of()
    problem = model.decision_problem(np.array(PUBLISHED) / sum(PUBLISHED))
    exact = Exact().start()(model, problem)
    errors = [
        np.mean(
            [
                np.linalg.norm(QLearning(sweeps=sweeps, seed=seed).start()(model, problem) - exact)
                for seed in range(5)
            ]
        )
        / np.linalg.norm(exact)
        for sweeps in (1000, 3000, 10_000)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2] > 0
    assert errors[2] < 0.002


def test_with_rate_one_a_sweep_is_a_sampled_bellman_update() -> None:
    """From Q_0 = 0 the first sweep gives the rewards; illegal actions keep -inf."""
    model = model_of("matching", **KARMA)
    problem = model.decision_problem(model.initial_statistic)
    learned = QLearning(sweeps=1).start()(model, problem)
    legal = np.broadcast_to(model.legal_actions, learned.shape)
    np.testing.assert_allclose(learned[legal], problem.reward[legal])
    assert (learned[~legal] == -np.inf).all()


def test_a_seed_is_one_course_of_draws() -> None:
    model = model_of()
    problem = model.decision_problem(model.initial_statistic)
    one, same, other = (QLearning(sweeps=1500, seed=seed).start() for seed in (3, 3, 4))
    first = one(model, problem)
    np.testing.assert_array_equal(first, same(model, problem))
    assert (first != one(model, problem)).any()  # the draws go on
    assert (first != other(model, problem)).any()


def test_the_exact_q_is_optimal() -> None:
    model = model_of("matching", **KARMA)
    problem = model.decision_problem(model.initial_statistic)
    q = Exact().start()(model, problem)
    np.testing.assert_allclose(q, q_values(model, problem, q.max(axis=2)), atol=1e-10)


# --- the settings ----------------------------------------------------------------------------------------


def test_the_naive_algorithm_cycles_for_ever() -> None:
    assert changes(map_of(model_of(), "argmax_e"), 60)[2:] == pytest.approx([2.0] * 58)
    found = solve(model_of(), "naive", iterations=30)
    assert not found.converged
    assert found.reason == "a round still changes the population by 2.0e+00, in l_1"
    assert [step.iteration for step in found.history] == [0, 1, 2, 4, 8, 16, 29]


def test_smoothing_converges_at_the_published_pace() -> None:
    seen = changes(map_of(model_of(), "boltzmann"), 20)
    assert seen[9] == pytest.approx(2.8e-2, abs=5e-4)
    assert seen[19] == pytest.approx(5.5e-3, abs=5e-5)


@pytest.mark.parametrize(
    ("method", "options", "within"),
    [
        ("gmf_v", {}, 2e-4),
        ("gmf_v", {"net": 1e-3}, 1e-3),
        ("gmf_q", {"sweeps": 3000}, 5e-3),  # the change of a round at which it stops, over 1 - .85
        ("three_step", {}, 1e-4),
        ("three_step", {"step": 0.5}, 1e-4),
        ("three_step", {"population": "rest"}, 1e-4),
        ("three_step", {"population": "own_step", "population_steps": 2}, 1e-4),
    ],
)
def test_the_published_fixed_point_of_the_auction(
    method: str, options: dict[str, Any], within: float
) -> None:
    found = solve(model_of(), method, rationality=4.0, **options)
    assert found.converged
    assert found.method == method
    assert found.reason == ""
    np.testing.assert_allclose(found.statistic, PUBLISHED, atol=within)
    assert found.exploitability > 0.01  # no equilibrium, and no claim to be one


def test_mellowmax_has_a_fixed_point_of_its_own() -> None:
    model = model_of()
    found = solve(model, "three_step", smoothing="mellowmax", rationality=4.0)
    assert found.converged
    q = Exact().start()(model, model.decision_problem(found.statistic))
    np.testing.assert_allclose(mellowmax(q, 4.0), found.policy.probabilities, atol=1e-6)
    assert np.abs(found.statistic - PUBLISHED).max() > 0.05


def test_where_karma_is_not_conserved_it_says_so() -> None:
    lost = solve(model_of("matching"), "naive")
    assert not lost.converged
    assert "population = own_step" in lost.reason
    kept = solve(model_of("matching", **KARMA), "gmf_v", population="own_step")
    assert kept.converged
    karma = kept.mean_field[0].reshape(2, -1).sum(axis=0) @ np.arange(6)
    assert karma == pytest.approx(2)


def test_ctrl_c_keeps_the_last_policy() -> None:
    def stop(step: Any) -> None:
        if step.iteration == 4:
            raise KeyboardInterrupt

    found = solve(model_of(), "gmf_v", observer=stop)
    assert found.interrupted
    assert not found.converged
    assert found.history[-1].iteration == 4


@pytest.mark.parametrize(
    ("method", "options", "named"),
    [
        ("three_step", {"inner": "td"}, "inner"),
        ("three_step", {"inner_options": {"sweeps": 3}}, "sweeps"),
        ("three_step", {"inner": "q_learning", "inner_options": {"sweeps": 0}}, "sweeps"),
        ("three_step", {"smoothing": "max"}, "smoothing"),
        ("three_step", {"population": "leap"}, "population"),
        ("three_step", {"population_steps": 0}, "population_steps"),
        ("three_step", {"step": 0}, "step"),
        ("gmf_v", {"net": 0}, "net"),
        ("gmf_v", {"net": 1.5}, "net"),
        ("gmf_q", {"exponent": 1.1}, "exponent"),
        ("gmf_q", {"rationality": -1}, "rationality"),
        ("naive", {"iterations": 0}, "iterations"),
    ],
)
def test_options_out_of_range(method: str, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        solve(model_of(), method, **options)
