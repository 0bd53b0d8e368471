"""The planner's value on a grid of populations, against closed forms and other formulations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.solvers import solve
from agents.solvers.control import integrated_q as module
from agents.solvers.control.integrated_q import integrated_q
from agents.solvers.control.population import GamePopulation, PopulationProblem, follow
from karma_envs.config import ConfigError
from karma_envs.games.auction import AuctionGame
from karma_envs.games.auction.closed_forms import highest_efficiency
from karma_envs.games.meeting_time import MeetingTimeGame
from karma_envs.games.two_state_control import TwoStateControlConfig, TwoStateControlGame
from karma_envs.games.two_state_control.closed_forms import planners_shares, planners_value, yield_of
from karma_envs.games.two_state_control.mean_field import TwoStateControlMeanField
from karma_envs.mean_field.dynamic_programming import best_response
from tests.agents.solvers.planner_worlds import Alone

DEFAULT = TwoStateControlConfig()


def model_of(**fields: Any) -> TwoStateControlMeanField:
    return TwoStateControlMeanField(TwoStateControlConfig(**fields))


def test_values_of_the_default_game_to_six_digits() -> None:
    solution = integrated_q(model_of())
    for share, printed in ((0.0, 0.472608), (0.25, 0.625), (0.5, 0.472608), (1.0, -0.582948)):
        value = solution.value([1 - share, share])
        assert value == pytest.approx(printed, abs=6e-7)
        assert value == pytest.approx(planners_value(DEFAULT, share), abs=5e-8)
    exact = np.array([planners_value(DEFAULT, share) for share in solution.mean_fields[:, 1]])
    assert np.abs(solution.values - exact).max() < solution.error < 1e-6


@pytest.mark.nightly
def test_values_of_a_planner_with_multiples_of_an_eightieth() -> None:
    """h of 81 x 81 policies, 2001 populations: a planner who is less free, and has less at 0, 1/2 and 1."""
    solution = integrated_q(model_of(), policy_steps=80, refine=False)
    values = [solution.value([1 - share, share]) for share in (0.0, 0.25, 0.5, 1.0)]
    np.testing.assert_allclose(values, [0.472513, 0.625, 0.472597, -0.582950], atol=1e-6)


@pytest.mark.parametrize(
    "fields",
    [
        {"control": 0.2, "discount": 0.9, "switching_cost": 0.02},
        {"benefit": 2.0, "crowding": 0.5, "control": 0.5},
        {"crowding": 0.0, "switching_cost": 0.0},
        {"benefit": -1.0, "discount": 0.0},
    ],
)
def test_other_games_have_their_closed_forms(fields: dict[str, Any]) -> None:
    solution = integrated_q(model_of(**fields), grid_steps=100)
    config = TwoStateControlConfig(**fields)
    exact = np.array([planners_value(config, share) for share in solution.mean_fields[:, 1]])
    assert np.abs(solution.values - exact).max() < max(1.5 * solution.error, 1e-9)
    assert solution.error < 5e-3


def test_the_planner_leads_to_rest_and_gets_the_value() -> None:
    """From 0 in one step; what the trajectory brings is the value, and to stay where it rests is free."""
    solution = integrated_q(model_of(), grid_steps=400)
    low, high = planners_shares(DEFAULT)
    assert solution.resting_point([1.0, 0.0])[1] == pytest.approx(low, abs=1 / 400)
    assert solution.resting_point([0.0, 1.0])[1] == pytest.approx(high, abs=1 / 400)
    assert solution.resting_point([0.75, 0.25])[1] == pytest.approx(0.25, abs=1e-9)
    trajectory = solution.trajectory(80, [1.0, 0.0])
    assert trajectory.mean_fields[1, 1] == pytest.approx(low, abs=1 / 400)
    assert trajectory.payoff(0.8) == pytest.approx(solution.value([1.0, 0.0]), abs=1e-5)
    policy = solution.policy([1.0, 0.0])
    assert policy[0, 1] == pytest.approx(low / 0.9, abs=1 / 400)
    assert solution.q([1.0, 0.0], policy) == pytest.approx(solution.value([1.0, 0.0]), abs=1e-9)
    assert solution.q([1.0, 0.0], np.eye(2)) == pytest.approx(0.8 * solution.value([1.0, 0.0]), abs=1e-12)


def test_the_planner_is_never_worse_than_agents_who_stay() -> None:
    """As selfish ones do between .486 and .514; and by a closed form's margin at 1/2."""
    solution = integrated_q(model_of(), grid_steps=100)
    staying = np.array([yield_of(DEFAULT, share) / 0.2 for share in solution.mean_fields[:, 1]])
    assert (solution.values >= staying - 1e-9).all()
    assert solution.value([0.5, 0.5]) - staying[50] == pytest.approx(0.4726, abs=1e-3)


@pytest.mark.parametrize(("n_states", "n_actions"), [(2, 2), (3, 2), (3, 3), (1, 3)])
def test_agents_who_do_not_meet_are_worth_what_each_is(n_states: int, n_actions: int) -> None:
    """V is linear then, so that any grid is exact; policy iteration on states is the other formulation."""
    model = Alone(n_states, n_actions)
    _, value = best_response(model, model.decision_problem(np.zeros(1)))
    solution = integrated_q(model, grid_steps=5, policy_steps=1)
    np.testing.assert_allclose(solution.values, solution.mean_fields @ value[0], atol=1e-9)
    assert solution.error < 1e-9


def test_where_actions_make_what_agents_face() -> None:
    """The auction's statistic is of bids. Nobody bids where all pull together: E[v] / M a step."""
    game = AuctionGame(n_agents=10, budget_max=1, bid_max=1, n_bidders=2)
    problem = PopulationProblem(game.mean_field())
    assert not problem.is_of_states
    assert PopulationProblem(model_of()).is_of_states
    solution = integrated_q(game.mean_field(), grid_steps=4, policy_steps=1)
    np.testing.assert_allclose(solution.values, highest_efficiency(game.config) / 0.2, atol=1e-9)


def test_many_agents_led_by_the_planner_get_its_value() -> None:
    """10^4 agents, 6 runs of 30 steps from all in 1, seeds 0 … 5: the mean payoff within 4 standard errors.

    Besides the noise of the share, at most sqrt(.09 / N) = .003 a step, costs 1/9 of itself to be led back,
    thus 1.7e-3 in all; and what comes after 30 steps is .625 .8^30 = 8e-4.
    """
    solution = integrated_q(model_of(), grid_steps=200)
    game = TwoStateControlGame(n_agents=10_000, initial_share=1.0)
    payoffs = []
    for seed in range(6):
        game.reset(np.random.default_rng(seed))
        payoffs.append(follow(GamePopulation(game), solution.policy, 30).payoff(0.8))
    error = np.std(payoffs, ddof=1) / np.sqrt(6)
    assert error < 1e-3
    assert abs(np.mean(payoffs) - planners_value(DEFAULT, 1.0)) < 4 * error + 2.5e-3


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (AuctionGame().mean_field(), {}, "policy_steps = 8 .* 10 states and 10 actions"),
        (model_of(), {"grid_steps": 10**6}, "grid_steps = 1000000"),
        (model_of(), {"policy_steps": 0}, "policy_steps = 0"),
        (TwoStateControlGame(n_agents=3).mean_field(by_agent=True), {}, "3 types"),
        (MeetingTimeGame().mean_field(), {}, "finite states"),
    ],
)
def test_what_is_refused(model: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        integrated_q(model, **options)


def test_a_game_that_ends_is_refused() -> None:
    model = Alone(2, 2)
    vars(model)["length"] = 3
    with pytest.raises(ConfigError, match="a game without an end"):
        integrated_q(model)


def test_interrupted_it_keeps_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first policy, with h of the net, has its values."""
    values_of, calls = module._values_of, []

    def interrupted_later(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return values_of(*arguments)

    monkeypatch.setattr(module, "_values_of", interrupted_later)
    solution = integrated_q(model_of(), grid_steps=20)
    assert solution.interrupted
    assert solution.sweeps == 1
    assert np.isfinite(solution.values).all()


@pytest.mark.parametrize(("start", "share"), [(0.0, 0.243), (0.25, 0.25), (1.0, 0.257)])
def test_solve_tells_where_the_planner_rests(start: float, share: float) -> None:
    """At the ends of where nobody moves, on a grid of thousandths; efficiency m (1 - 2 m)."""
    found = solve(TwoStateControlGame(initial_share=start), "mean_field_control", grid_steps=1000)
    assert found.converged
    assert found.mean_field[0, 1] == pytest.approx(share, abs=1e-6)
    assert found.efficiency == pytest.approx(yield_of(DEFAULT, share), abs=1e-6)
    np.testing.assert_allclose(found.policy.probabilities[0], np.eye(2), atol=1e-9)
    gain = (1 - share) * (0.9 * 0.8 * (1 - 2 * share) / 0.2 - 0.1) / (1 - 0.8 * 0.1)
    assert found.exploitability == pytest.approx(gain, rel=1e-3)  # of those in 0, who would enter
