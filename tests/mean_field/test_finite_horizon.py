"""Games that end after T steps: by hand, against dense equations, a convex programme and brute force."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, minimize

import agents
from agents.solvers.control.social_optimum import social_optimum
from agents.solvers.three_step.inner import QLearning
from karma_envs.config import ConfigError
from karma_envs.mean_field import DecisionProblem, FiniteHorizonModel, FiniteMeanFieldModel
from karma_envs.mean_field.chains import stationary_distribution
from karma_envs.mean_field.dynamic_programming import best_response, policy_value, q_values, uniform_policy
from karma_envs.mean_field.finite_horizon import EpisodeProblem
from karma_envs.mean_field.stationary import stationary_mean_field
from tests.strangers.beach_bar import BeachBarConfig, BeachBarGame, BeachBarStep


class Benches(FiniteMeanFieldModel):
    """Two benches: an agent goes to the one it chooses, and minds the share of all on its own."""

    def __init__(self, discount: float, bonus: float) -> None:
        self.masses, self.discounts, self.bonus = np.ones(1), np.array([discount]), bonus
        self.legal_actions, self.initial_mean_field = np.ones((2, 2), bool), np.array([[1.0, 0.0]])

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(mean_field[0])

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        reward = np.repeat((np.array([0.0, self.bonus]) - statistic)[:, None], 2, axis=1)
        return DecisionProblem(reward[None], np.tile(np.eye(2), (1, 2, 1, 1)))


class RandomStep(FiniteMeanFieldModel):
    """Random rewards, transitions and legal actions of two types, both moved by the share of each action."""

    def __init__(self, seed: int, n_states: int = 2, n_actions: int = 2, n_types: int = 2) -> None:
        rng = np.random.default_rng(seed)
        self.masses, self.discounts = rng.dirichlet(np.ones(n_types)), rng.uniform(0.3, 1.0, n_types)
        self.legal_actions = rng.random((n_states, n_actions)) < 0.8
        self.legal_actions[:, 0] = True
        self.initial_mean_field = rng.dirichlet(np.ones(n_states), n_types)
        self._reward = rng.normal(size=(n_types, n_states, n_actions))
        self._kernels = rng.dirichlet(np.ones(n_states), (2, n_types, n_states, n_actions))

    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.einsum("t,tx,txa->a", self.masses, mean_field, policy))

    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        kernel = (1 - statistic[0]) * self._kernels[0] + statistic[0] * self._kernels[1]
        return DecisionProblem(self._reward - statistic, kernel * self.legal_actions[None, :, :, None])


def random_policy(model: FiniteMeanFieldModel, seed: int) -> NDArray[np.float64]:
    shape = (model.n_types, model.n_states, model.n_actions)
    policy = np.random.default_rng(seed).random(shape) * model.legal_actions
    return policy / policy.sum(axis=2, keepdims=True)


@pytest.mark.parametrize(
    ("method", "tolerance", "near"),
    [
        ("homotopy", 1e-10, 1e-9),
        ("mirror_descent", 1e-6, 1e-5),
        ("fictitious_play", 1e-3, 5e-3),
        ("policy_mirror_ascent", 1e-3, 5e-3),
    ],
)
@pytest.mark.parametrize("discount", [1.0, 0.5])
def test_two_steps_by_hand(method: str, tolerance: float, near: float, discount: float) -> None:
    """All begin on bench 0 and get -1; then -s and b - (1 - s) are equal: s, on bench 0, is (1 - b) / 2."""
    bonus = 0.2
    found = agents.solve(FiniteHorizonModel([Benches(discount, bonus)] * 2), method, tolerance=tolerance)
    assert found.converged
    share = (1 - bonus) / 2
    np.testing.assert_allclose(found.statistic, [1, 0, share, 1 - share], atol=near)
    np.testing.assert_allclose(found.mean_field, [[1 / 2, 0, share / 2, (1 - share) / 2]], atol=near)
    assert found.payoff == pytest.approx(-1 - discount * share, abs=near)
    assert found.efficiency == pytest.approx((-1 - share) / 2, abs=near)
    assert found.stationary_residual == pytest.approx(0, abs=1e-15)


def test_what_is_gained_by_hand() -> None:
    """Where all stay an agent that goes gets gamma b in place of -gamma in the second step."""
    model = FiniteHorizonModel([Benches(0.5, 0.2)] * 2)
    stay = np.tile([[[1.0, 0.0]]], (1, 4, 1))
    distance = model.exploitability(stay)
    assert distance.payoff == pytest.approx(-1.5)
    assert distance.absolute == pytest.approx(0.5 * 1.2)
    assert distance.at_rest
    assert model.exploitability(stay[:, :2]) == distance  # the same policy in every step
    assert model.discounted_length == 1.5


def test_the_planner_of_two_steps() -> None:
    """-s^2 + (1 - s) (b - (1 - s)) is greatest where s is (2 - b) / 4: more of them bear the worse bench."""
    found = social_optimum(FiniteHorizonModel([Benches(1.0, 0.2)] * 2))
    share = (2 - 0.2) / 4
    best = -(share**2) + (1 - share) * (0.2 - (1 - share))
    assert found.efficiency == pytest.approx((-1 + best) / 2, abs=1e-7)
    assert found.stationary


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), length=st.integers(1, 4), n_states=st.integers(1, 3))
def test_it_is_the_dense_problem_whose_last_step_leads_nowhere(seed: int, length: int, n_states: int) -> None:
    """Values, Q, flows and the population's chain against the equations of a problem without structure."""
    model = FiniteHorizonModel([RandomStep(seed + step, n_states) for step in range(length)])
    policy = random_policy(model, seed)
    field = stationary_mean_field(model, policy)
    problem = field.problem
    over = DecisionProblem(problem.reward, problem.dense(anew=False))
    again = DecisionProblem(problem.reward, problem.dense(anew=True))
    value = policy_value(model, problem, policy)
    np.testing.assert_allclose(value, policy_value(model, over, policy), atol=1e-12)
    np.testing.assert_allclose(q_values(model, problem, value), q_values(model, over, value), atol=1e-12)
    flow = field.mean_field[..., None] * policy
    np.testing.assert_allclose(problem.pushed(flow), again.pushed(flow), atol=1e-14)
    np.testing.assert_allclose(problem.pushed(flow), field.mean_field, atol=1e-14)  # at rest
    np.testing.assert_allclose(problem.at_rest(policy), field.mean_field, atol=1e-14)
    np.testing.assert_allclose(
        stationary_distribution(again.chain(policy), field.mean_field), field.mean_field, atol=1e-10
    )
    assert field.residual <= 1e-15
    # The expected payoff is that of the start, and also all discounted rewards along the flow.
    steps = np.repeat(np.arange(length), n_states)
    along = (flow * problem.reward).sum(axis=2) * length * model.discounts[:, None] ** steps
    np.testing.assert_allclose((problem.entry(field.mean_field) * value).sum(axis=1), along.sum(axis=1))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_backward_induction_is_as_good_as_the_best_of_all_policies(seed: int) -> None:
    model = FiniteHorizonModel([RandomStep(seed, n_types=1), RandomStep(seed + 1, n_types=1)])
    problem = model.decision_problem(model.initial_statistic)
    policy, value = best_response(model, problem)
    np.testing.assert_allclose(policy_value(model, problem, policy), value, atol=1e-13)
    choices = [np.flatnonzero(legal) for legal in model.legal_actions]
    values = [
        policy_value(model, problem, np.eye(model.n_actions)[None, list(each)])
        for each in itertools.product(*choices)
    ]
    np.testing.assert_allclose(value, np.max(values, axis=0), atol=1e-13)
    # A policy that is optimal already is left as it is, even where an action is as good as another.
    level = replace(problem, reward=np.zeros_like(problem.reward))
    uniform = uniform_policy(model)
    np.testing.assert_array_equal(best_response(model, level, uniform)[0], uniform)


def equilibrium_flow(config: BeachBarConfig) -> NDArray[np.float64]:
    """mu_t of the beach bar by the convex programme of its potential, ``float64[T, X]``.

    Flows m_t(x, a) >= 0 from the start on that maximise the sum over t of gamma^t times the sum of m_t r less
    aversion / 2 times |mu_t|^2, whose derivative by m_t(x, a) is what an agent gets there.
    """
    duration, n_places, kernel = config.duration, config.n_places, config.kernel
    shape = (duration, n_places, 3)
    reward, discounts = config.own_reward, config.discount ** np.arange(duration)
    rows = []
    for step, place in itertools.product(range(duration), range(n_places)):
        row = np.zeros(shape)
        row[step, place] = 1.0
        if step > 0:
            row[step - 1] -= kernel[:, :, place]
        rows.append(row.ravel())
    start = np.eye(duration * n_places)[0]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        flow = flat.reshape(shape)
        field = flow.sum(axis=2)
        potential = (flow * reward).sum(axis=(1, 2)) - config.aversion / 2 * (field**2).sum(axis=1)
        slope = discounts[:, None, None] * (reward - config.aversion * field[..., None])
        return -float(discounts @ potential), -slope.ravel()

    first = np.full(shape, 1 / (3 * n_places)).ravel()
    limits = [(0.0, 1.0)] * first.size
    found = minimize(
        loss,
        first,
        jac=True,
        bounds=limits,
        method="SLSQP",
        constraints=LinearConstraint(np.array(rows), start, start),
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.success, found.message
    return np.asarray(found.x.reshape(shape).sum(axis=2))


@pytest.mark.parametrize("discount", [1.0, 0.8])
def test_the_equilibrium_is_the_greatest_potential(discount: float) -> None:
    config = BeachBarConfig(n_places=5, duration=4, discount=discount)
    found = agents.solve(FiniteHorizonModel([BeachBarStep(config)] * 4))
    assert found.converged
    assert found.exploitability_normalised < 1e-10
    np.testing.assert_allclose(found.statistic.reshape(4, 5), equilibrium_flow(config), atol=2e-5)


@pytest.mark.parametrize("method", ["fictitious_play", "mirror_descent", "logit_dynamics", "annealed_logit"])
def test_learning_leaves_less_and_less_to_gain(method: str) -> None:
    """In a monotone game (the crowd costs) as proven for fictitious play and mirror descent."""
    model = BeachBarGame(n_places=7, duration=6, discount=1.0).mean_field()
    found = agents.solve(model, method, tolerance=2e-2)
    assert found.converged
    assert found.history[0].exploitability_normalised > 0.1
    assert found.exploitability_normalised < 2e-2


def test_types_and_steps_of_all_kinds() -> None:
    """Steps that differ, types with discounts of their own, actions that are illegal in some steps."""
    model = FiniteHorizonModel([RandomStep(seed, n_states=3, n_actions=3) for seed in (3, 4, 5, 6)])
    found = agents.solve(model)
    assert (found.method, found.converged) == ("homotopy", True)
    assert (found.policy.probabilities[:, ~model.legal_actions] == 0).all()
    assert found.efficiency == pytest.approx(float(model.masses @ model.efficiency(found.policy)))


def test_many_states_need_little_memory() -> None:
    """Of 30 steps, 100 states and 10 actions: kernels by step, 24 MB and not 720."""
    model = FiniteHorizonModel([RandomStep(0, 100, 10, 1)] * 30)
    problem = model.decision_problem(model.initial_statistic)
    assert isinstance(problem, EpisodeProblem)
    assert problem.kernel.nbytes == 30 * 100 * 10 * 100 * 8
    assert model.solver == "fictitious_play"
    value = best_response(model, problem)[1]
    assert value.shape == (1, 3000)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([], "stages = 'none' is not allowed; allowed: a mean-field model for each step, at least one"),
        ([RandomStep(0), RandomStep(0, n_states=3)], r"stages\[1\].*as many as stages\[0\] has"),
    ],
)
def test_what_makes_no_game_is_refused(stages: list[Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        FiniteHorizonModel(stages)


def test_smoothed_rounds_come_to_rest_in_a_softmax_of_the_best_q() -> None:
    """Q* is that of the flow which the policy makes; by Q-learning it is the same but for its noise."""
    model = BeachBarGame(duration=3).mean_field()
    found = agents.solve(model, "smoothed", rationality=1.0)
    assert found.converged
    problem = model.decision_problem(found.statistic)
    q = q_values(model, problem, best_response(model, problem)[1])
    weights = np.exp(q - q.max(axis=2, keepdims=True))
    np.testing.assert_allclose(
        found.policy.probabilities, weights / weights.sum(axis=2, keepdims=True), atol=1e-7
    )
    learned = QLearning(sweeps=20_000, exponent=1.0).start()(model, problem)
    np.testing.assert_allclose(learned, q, atol=0.02)


def test_what_is_for_games_without_an_end_says_so() -> None:
    with pytest.raises(ConfigError, match="allowed: a model of a game without an end"):
        agents.solve(BeachBarGame(), "mean_field_control")
