"""The matching game against published and exact numbers (Thesis, Table 6.1) and closed forms.

Numbers are means over seeds; their standard errors come from the spread over the seeds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.policies.tabular import TabularPolicy
from karma_envs.games.matching import MatchingGame
from karma_envs.karma.urgency import AgentType
from karma_envs.metrics import access_fairness, efficiency, reward_fairness

STEPS, SEEDS = 10_000, 16


class Measured(NamedTuple):
    """``[seeds]`` of each metric."""

    efficiency: NDArray[np.float64]
    access: NDArray[np.float64]
    reward: NDArray[np.float64]


def always(game: MatchingGame, bids: Any) -> TabularPolicy:
    """Everyone bids ``bids[observation]``."""
    return TabularPolicy(np.eye(game.n_actions)[bids], np.zeros(game.n_agents, np.int64))


def measure(game: MatchingGame, bids: Any, n_steps: int = STEPS, seeds: int = SEEDS) -> Measured:
    policy = always(game, bids)
    runs = []
    for seed in range(seeds):
        game.reset(np.random.default_rng(seed))
        for _ in range(n_steps // 1000):
            game.rollout(policy, 1000)
        outcome = game.outcome()
        assert outcome.steps == n_steps
        runs.append(
            (
                efficiency(outcome.rewards, outcome.contests),
                access_fairness(outcome.accesses, n_steps),
                reward_fairness(outcome.rewards, n_steps),
            )
        )
    return Measured(*np.array(runs).T)


def standard_error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


@pytest.mark.parametrize(
    ("allocation", "exact_efficiency", "reward_fair", "access_fair"),
    [
        # (value, tolerance): efficiency in closed form; fairness at N = 200, T = 10^4
        ("dict", -1.0, (-0.0155, 0.001), (-0.0050, 0.0002)),
        ("coin", -1.5, (-0.0206, 0.001), (-0.0050, 0.0003)),
        ("turn", -1.5, (-np.sqrt(2) / 100, 0.0004), (0.0, 0.0001)),
    ],
)
def test_allocations_without_karma_reach_the_published_numbers(
    allocation: str, exact_efficiency: float, reward_fair: Any, access_fair: Any
) -> None:
    game = MatchingGame(n_agents=200, allocation=allocation)
    found = measure(game, np.zeros(game.n_observations, int), seeds=80)
    error = standard_error(found.efficiency)
    assert error < 0.0002
    assert abs(found.efficiency.mean() - exact_efficiency) < 4.5 * error
    for values, (expected, tolerance) in ((found.reward, reward_fair), (found.access, access_fair)):
        assert standard_error(values) < tolerance / 4
        assert abs(values.mean() - expected) < tolerance


@pytest.mark.parametrize(
    ("allocation", "mean_square_reward", "mean_reward"),
    [
        ("coin", (1 + 25) / 2 / 2, -1.5),
        ("dict", (3 / 4 * 1 + 1 / 4 * 25) / 2, -1.0),  # who has urgency 1 loses 3 times of 4, 5: 1 of 4
    ],
)
def test_fairness_in_closed_form(allocation: str, mean_square_reward: float, mean_reward: float) -> None:
    # A mean over T independent steps has sd sigma/sqrt(T), sigma^2 = E r^2 - (E r)^2; the sd over N
    # agents, who are nearly independent, has that expectation to within 1/N.
    game = MatchingGame(n_agents=200, allocation=allocation)
    found = measure(game, np.zeros(game.n_observations, int))
    for values, sigma in (
        (found.access, 0.5),
        (found.reward, np.sqrt(mean_square_reward - mean_reward**2)),
    ):
        expected = -sigma / np.sqrt(STEPS)
        assert abs(values.mean() - expected) < 4.5 * standard_error(values) + abs(expected) / 200


CHAINS = [
    AgentType(),
    AgentType(urgencies=(1, 9), urgency_transition=(0.75, 0.25)),
    AgentType(urgencies=(0, 2, 3), urgency_transition=((0.5, 0.5, 0), (0, 0.5, 0.5), (0.3, 0.3, 0.4))),
]


@pytest.mark.parametrize("agent_type", CHAINS, ids=["default", "rare", "chain"])
@pytest.mark.parametrize("n_agents", [20, 21])
def test_who_bids_nothing_tosses_coins(agent_type: AgentType, n_agents: int) -> None:
    game = MatchingGame(n_agents=n_agents, types=[agent_type], karma_mean=10)
    found = measure(game, np.zeros(game.n_observations, int), n_steps=4000)
    error = standard_error(found.efficiency)
    assert error < 0.01
    assert abs(found.efficiency.mean() + agent_type.mean_urgency / 2) < 4.5 * error


@pytest.mark.parametrize(
    ("n_agents", "loss"),
    [
        # Two coins per pair, urgency 1 or 5 each: the loser is the one of lower urgency.
        (2, (1 + 1 + 1 + 5) / 4 / 2),
        (5, (1 + 1 + 1 + 5) / 4 / 2),  # per competing agent: who sits out does not count
    ],
)
def test_small_societies_under_a_dictator(n_agents: int, loss: float) -> None:
    game = MatchingGame(n_agents=n_agents, allocation="dict", karma_mean=10)
    found = measure(game, np.zeros(game.n_observations, int), n_steps=4000)
    assert abs(found.efficiency.mean() + loss) < 4.5 * standard_error(found.efficiency)


def one_unit(payment: str) -> MatchingGame:
    """Two agents and one unit of karma."""
    return MatchingGame(n_agents=2, karma_max=1, karma_mean=0.5, payment=payment)


def test_one_unit_paid_to_the_peer_makes_turns() -> None:
    # Whoever has the unit bids it, wins and hands it over: strict alternation whatever the urgency.
    found = measure(one_unit("pbp"), [0, 1, 0, 1], n_steps=4000)
    assert (found.access == 0).all()
    assert abs(found.efficiency.mean() + 1.5) < 4.5 * standard_error(found.efficiency)


def test_one_unit_paid_to_society_tosses_coins() -> None:
    # It is shared out at random at once: each agent wins with probability 1/2, independently.
    found = measure(one_unit("pbs"), [0, 1, 0, 1], n_steps=4000)
    assert abs(found.efficiency.mean() + 1.5) < 4.5 * standard_error(found.efficiency)
    rate = np.sqrt(np.mean(found.access**2))  # two opposed agents: |accesses/T - 1/2|, sd 1/(2 sqrt T)
    assert 0.5 < rate / (0.5 / np.sqrt(4000)) < 1.7  # chi with 16 degrees of freedom: beyond 4 sigma


def test_one_unit_kept_for_urgent_needs() -> None:
    # The holder bids only at urgency 5 (p = 1/2) and then the other, of mean urgency 3, loses. Else a
    # coin: the holder (1) or the other (3) loses. Per step 3/2 + (1 + 3)/2/2 = 5/2, per agent 5/4.
    for payment in ("pbp", "pbs"):
        found = measure(one_unit(payment), [0, 0, 0, 1], n_steps=4000)
        error = standard_error(found.efficiency)
        assert error < 0.01
        assert abs(found.efficiency.mean() + 1.25) < 4.5 * error


def test_rules_that_cannot_differ_play_the_same_bits() -> None:
    # With karma_max = total karma no peer is ever full, and with even N everyone is active.
    fields = {"n_agents": 4, "karma_max": 8, "karma_mean": 2}
    plain = MatchingGame(**fields, payment="pbp", redistribution="uniform")
    other = MatchingGame(**fields, payment="pbp_capped", redistribution="uniform_to_active")
    rng = np.random.default_rng(4)
    for game in (plain, other):
        game.reset(np.random.default_rng(3))
    for _ in range(200):
        bids = rng.integers(0, plain.action_mask().sum(axis=1))
        np.testing.assert_array_equal(plain.step(bids), other.step(bids))
        np.testing.assert_array_equal(plain.observation_index(), other.observation_index())
