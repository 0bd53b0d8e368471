"""Policy gradients: estimates against known gradients, and where they come to rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import karma_envs
from agents import solve
from agents.solvers.gradient import simulator
from agents.solvers.gradient.adam import Adam
from agents.solvers.gradient.likelihood_ratio import above_others, discounted_sums
from agents.solvers.gradient.perturbation import Direction, Perturbation
from agents.solvers.gradient.sfsa import standard_normal
from agents.solvers.gradient.simulator import simulator_of
from agents.solvers.gradient.spsa import rademacher
from karma_envs.config import ConfigError
from karma_envs.game import PopulationGame
from karma_envs.games.malware import smfe, smfto
from karma_envs.tabulated import tabulated
from tests.agents.solvers.crowd_game import CrowdGame, GaussianPoint, HalvingGame, PointPolicy
from tests.own_games import DriftGame, RoadsGame

QUICK: dict[str, Any] = {"n_agents": 20, "population_steps": 1, "horizon": 1, "seed": 3}
THETA = np.array([0.4, 0.3])


def estimator(game: CrowdGame, direction: Direction, objective: str, **options: Any) -> Perturbation:
    chosen = {"width": 0.1, "common_random_numbers": False, **options}
    return Perturbation(
        simulator_of(game),
        direction,
        objective,
        **chosen,
        population_steps=1,
        n_agents=20,
        horizon=1,
        rng=np.random.default_rng(1),
    )


def gradients(
    game: CrowdGame, direction: Direction, objective: str, number: int = 200, **options: Any
) -> NDArray[np.float64]:
    estimate, rng = estimator(game, direction, objective, **options), np.random.default_rng(5)
    return np.array([estimate(PointPolicy(THETA), rng).gradient for _ in range(number)])


def test_adams_steps_by_hand() -> None:
    """Its first step is alpha, up to where the gradient points; the second from the moments' definition."""
    adam = Adam(2, 0.1, first_decay=0.9, second_decay=0.99)
    np.testing.assert_allclose(adam.step(np.array([3.0, -4.0])), [0.1, -0.1], rtol=1e-8)
    mean = (0.9 * 0.1 * 3 + 0.1 * 1) / (1 - 0.9**2)
    square = (0.99 * 0.01 * 9 + 0.01 * 1) / (1 - 0.99**2)
    assert adam.step(np.array([1.0, 0.0]))[0] == pytest.approx(0.1 * mean / np.sqrt(square), rel=1e-8)
    assert adam.step(np.zeros(2)).shape == (2,)


def test_adam_stays_where_there_is_no_slope() -> None:
    assert Adam(1).step(np.zeros(1)).tolist() == [0.0]


@pytest.mark.parametrize("direction", [rademacher, standard_normal])
@pytest.mark.parametrize(("objective", "coupling"), [("equilibrium", 0.5), ("team", 1.0)])
def test_perturbations_have_the_gradient_as_their_mean(
    direction: Direction, objective: str, coupling: float
) -> None:
    """A quadratic has no bias of finite differences; 4 standard errors of the mean of 200, seeds 1 and 5."""
    game = CrowdGame(noise=0.1)
    made = gradients(game, direction, objective)
    error = made.std(axis=0, ddof=1) / np.sqrt(len(made))
    assert (error < 0.35).all()
    assert (np.abs(made.mean(axis=0) - game.gradient(THETA, coupling)) < 4 * error).all()


def test_a_perturbation_by_hand() -> None:
    """Without noise G = eta (eta . gradient): with two parameters, the gradients' sum or difference."""
    game = CrowdGame()
    slope = game.gradient(THETA, 0.5)
    for made in gradients(game, rademacher, "equilibrium", number=5):
        assert abs(made[0]) == pytest.approx(abs(slope.sum()), abs=1e-4) or abs(made[0]) == pytest.approx(
            abs(slope[0] - slope[1]), abs=1e-4
        )


def test_common_random_numbers_take_the_noise_away() -> None:
    game = CrowdGame(noise=5.0)
    own, common = (
        gradients(game, rademacher, "team", number=100, common_random_numbers=common).var(axis=0)
        for common in (False, True)
    )
    exact = gradients(CrowdGame(), rademacher, "team", number=100).var(axis=0)
    np.testing.assert_allclose(common, exact, rtol=0.01)
    assert (own > 5 * common).all()


def test_at_a_bound_the_pair_is_moved_inside() -> None:
    """Slope 2 (b - theta) + z / 2 at 9.5, the centre of a pair of width .5; z = 10 is made at the bound."""
    game = CrowdGame()
    estimate = estimator(game, rademacher, "equilibrium", width=0.5)
    slope = np.array([2 * (1 - 9.5) + 5, 2 * (-1 - 9.5) + 5])
    made = estimate(PointPolicy([10.0, 10.0]), np.random.default_rng(0)).gradient
    expected = [abs(slope.sum()), abs(slope[0] - slope[1])]
    assert min(abs(abs(made[0]) - each) for each in expected) < 1e-4


@pytest.mark.parametrize("method", ["spsa", "sfsa"])
@pytest.mark.parametrize(("cooperative", "optimum"), [(False, 4 / 3), (True, 2.0)])
def test_they_come_to_the_equilibrium_or_the_teams_optimum(
    method: str, cooperative: bool, optimum: float
) -> None:
    found = solve(CrowdGame(cooperative=cooperative), method, **QUICK, iterations=150, learning_rate=0.1)
    assert found.policy.parameters == pytest.approx(optimum * CrowdGame.target, abs=0.15)
    named = solve(
        CrowdGame(cooperative=not cooperative),
        method,
        **QUICK,
        iterations=150,
        learning_rate=0.1,
        objective="team" if cooperative else "equilibrium",
    )
    assert named.policy.parameters.tolist() == found.policy.parameters.tolist()


def test_likelihood_ratios_have_the_gradient_as_their_mean() -> None:
    """Over 200 runs of one iteration, seeds 0 to 199: z is theta but for noise; 4 standard errors."""
    game = CrowdGame(noise=0.5, steps=2)
    game.family = GaussianPoint(THETA, 0.5)
    options = {**QUICK, "iterations": 1, "horizon": 2}
    runs = [solve(game, "likelihood_ratio", **{**options, "seed": seed}).trace for seed in range(200)]
    made = np.array([trace.gradient[0] for trace in runs if trace is not None])
    error = made.std(axis=0, ddof=1) / np.sqrt(len(made))
    assert (error < 0.2).all()
    # Two steps, the second counts half.
    assert (np.abs(made.mean(axis=0) - 1.5 * game.gradient(THETA, 0.5)) < 4 * error).all()


def test_what_is_yet_to_come_by_hand() -> None:
    rewards = np.array([[1.0, 2.0], [4.0, 0.0], [8.0, 1.0]])
    sums = discounted_sums(rewards, np.array([0.5, 1.0]))
    assert sums.tolist() == [[5.0, 3.0], [4.0, 1.0], [2.0, 1.0]]
    above = above_others(np.array([[1.0, 3.0, 8.0, 7.0]]), np.array([0, 0, 0, 1], np.uint8))
    assert above.tolist() == [[1 - 5.5, 3 - 4.5, 8 - 2, 7.0]]


def test_a_population_goes_on_or_starts_anew() -> None:
    """From x = 0 under a = 1, x = 2 (1 - 2^-B) after B steps."""
    game = simulator_of(HalvingGame())
    population, policy = game.population(3), PointPolicy([1.0, 0.0])
    population.reset(np.random.default_rng(0))
    for steps in (2, 4, 6):
        assert game.update(population, policy, 2)[0] == pytest.approx(2 * (1 - 2.0**-steps))
    assert game.stationary(population, policy, 3, seed=0)[0] == pytest.approx(2 * (1 - 2.0**-3))


def test_where_a_game_ends_the_statistic_is_the_mean_flow_of_episodes() -> None:
    game = simulator_of(CrowdGame(steps=3))
    population, policy = game.population(50), PointPolicy([1.0, 2.0], width=0.1)
    population.reset(np.random.default_rng(0))
    flow = game.update(population, policy, 7)
    assert flow.shape == (3, 2)
    assert population.outcome().steps == game.steps_of_update(7) == 6
    assert game.steps_of_update(1) == 3
    # Of 2 episodes of 50 agents: a standard error of .01.
    assert np.abs(flow - [1.0, 2.0]).max() < 0.05


def test_payoffs_are_discounted_whatever_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    game, policy = simulator_of(HalvingGame()), PointPolicy([0.0, 0.0])
    whole = game.payoffs(policy, np.zeros(1), 4, 7, seed=0)
    assert whole == pytest.approx([2 * (1 - 0.5**7)] * 4)
    monkeypatch.setattr(simulator, "_PIECE", 1)
    assert game.payoffs(policy, np.zeros(1), 4, 7, seed=0).tolist() == whole.tolist()
    ended = simulator_of(CrowdGame(steps=2)).payoffs(policy, np.zeros(2), 2, 7, seed=0)
    assert ended == pytest.approx([-3.0, -3.0])


@pytest.mark.parametrize(("objective", "updates"), [("equilibrium", 1), ("team", 2)])
def test_the_trace_tells_every_iteration(objective: str, updates: int) -> None:
    options = {**QUICK, "population_steps": 30, "horizon": 40}
    found = solve(HalvingGame(), "spsa", **options, objective=objective, iterations=3)
    trace = found.trace
    assert trace is not None
    assert trace.samples.tolist() == [20 * (30 * updates + 2 * 40) * iteration for iteration in (1, 2, 3)]
    assert trace.parameters[0].tolist() == [0.0, 0.0]
    assert trace.parameters.shape == trace.gradient.shape == (3, 2)
    assert trace.statistic.shape == (3, 1)
    assert trace.payoff == pytest.approx([2.0] * 3)


def test_a_game_without_a_model_says_that_nothing_is_known() -> None:
    found = solve(CrowdGame(), "spsa", **QUICK, iterations=2)
    assert not found.converged
    assert "no mean-field model" in found.reason
    assert np.isnan(found.exploitability_normalised)
    assert found.payoff == found.trace.payoff[-1]  # type: ignore[union-attr]


def test_a_team_has_converged_where_its_gradient_is_noise_about_0() -> None:
    settled = solve(CrowdGame(cooperative=True, noise=1.0), "spsa", **QUICK, start=[2.0, -2.0], iterations=80)
    assert settled.converged
    moving = solve(CrowdGame(cooperative=True), "spsa", **QUICK, iterations=80)
    assert not moving.converged
    assert "gradient is not 0" in moving.reason


def test_the_equilibrium_of_the_meeting_time_game() -> None:
    """T* = 2.0531; the family's parameter is the start time that agents expect."""
    found = solve(
        karma_envs.make("meeting_time"),
        "spsa",
        n_agents=300,
        population_steps=3,
        horizon=1,
        perturbation=0.1,
        common_random_numbers=True,
        learning_rate=0.05,
        iterations=120,
        start=1.5,
    )
    assert found.converged
    assert found.exploitability_normalised < 1e-4
    assert found.policy.start_time == pytest.approx(2.0531, abs=0.15)
    steps = [step.iteration for step in found.history]
    assert steps == [0, 1, 2, 4, 8, 16, 20, 32, 40, 60, 64, 80, 100, 120]


def test_the_same_seed_gives_the_same() -> None:
    one, again, other = (
        solve(CrowdGame(noise=1.0), "sfsa", **{**QUICK, "seed": seed}, iterations=3).policy.parameters
        for seed in (1, 1, 2)
    )
    assert one.tolist() == again.tolist() != other.tolist()


def test_ctrl_c_keeps_what_there_is() -> None:
    seen = []

    def interrupt(step: Any) -> None:
        seen.append(step.iteration)
        if seen == [0, 1, 2, 4]:
            raise KeyboardInterrupt

    game = karma_envs.make("meeting_time")
    found = solve(game, "spsa", n_agents=10, population_steps=1, observer=interrupt, start=1.0)
    assert found.interrupted
    assert not found.converged
    assert len(found.trace.samples) == 4  # type: ignore[union-attr]
    with pytest.raises(KeyboardInterrupt):
        solve(game, "spsa", n_agents=10, population_steps=1, observer=interrupt_at_once)


def interrupt_at_once(step: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("game", "method", "options", "message"),
    [
        (CrowdGame(), "spsa", {"iterations": 0}, "iterations = 0"),
        (CrowdGame(), "spsa", {"perturbation": 0}, "perturbation = 0"),
        (CrowdGame(), "sfsa", {"learning_rate": -1}, "learning_rate = -1"),
        (CrowdGame(), "spsa", {"objective": "welfare"}, "objective = 'welfare'.*equilibrium, team"),
        (CrowdGame(), "spsa", {"start": 11}, r"start = 11.0.*-10 … 10"),
        (CrowdGame(), "spsa", {"start": [0, 0, 0]}, "one number, or 2"),
        (CrowdGame(), "spsa", {"n_agents": 0}, "n_agents = 0"),
        (CrowdGame(), "likelihood_ratio", {}, "PointPolicy has no score"),
        (CrowdGame(cooperative=True), "likelihood_ratio", {}, "not cooperative; spsa and sfsa"),
        (DriftGame(), "spsa", {}, "game = 'drift'.*exchangeable agents, or one with tables"),
        (RoadsGame(), "spsa", {}, "game = 'roads'.*mean-field model"),
    ],
)
def test_refusals(game: PopulationGame, method: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        solve(game, method, **options)


@pytest.mark.parametrize("method", ["spsa", "sfsa"])
def test_the_malware_games_equilibrium_and_team_optimum(method: str) -> None:
    """From theta = .6; thresholds .4852 and .2121, and for the team, whose payoff is flat, J = -3.7604."""
    options: dict[str, Any] = {
        "n_agents": 500,
        "population_steps": 60,
        "horizon": 100,
        "iterations": 100,
        "start": 0.6,
        "perturbation": 0.05,
        "common_random_numbers": True,
        "learning_rate": 0.02,
    }
    selfish = solve(karma_envs.make("malware"), method, **options)
    assert selfish.policy.theta == pytest.approx(smfe().threshold, abs=0.03)
    assert selfish.converged
    team = solve(karma_envs.make("malware", cooperative=True), method, **options)
    assert team.payoff == pytest.approx(smfto().payoff, abs=0.01)
    assert team.policy.theta < 0.35


def test_cells_of_the_malware_game_by_likelihood_ratios() -> None:
    """A table of logits on 11 cells: who is ill repairs, who is well does not."""
    game = tabulated(karma_envs.make("malware"), cells=11)
    found = solve(
        game,
        "likelihood_ratio",
        n_agents=500,
        population_steps=20,
        horizon=50,
        iterations=40,
        learning_rate=0.2,
    )
    repairs = found.policy.probabilities[0, :, 1]
    assert repairs[:3].max() < 0.2
    assert repairs[8:].min() > 0.8
    assert found.exploitability_normalised < 0.05
