"""Matchings, ties, urgencies and the karma of the start are as likely as the docstring of the game says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from agents.policies.tabular import TabularPolicy
from karma_envs.games.matching import MatchingGame
from karma_envs.karma.urgency import AgentType
from tests.games.matching_reference import new_game, nothing, situation
from tests.games.rules_reference import NEVER_BY_CHANCE, random_policy


def matchings(game: MatchingGame, n_steps: int) -> Iterator[frozenset[frozenset[int]]]:
    bids = np.zeros(game.n_agents, np.int64)
    for _ in range(n_steps):
        game.step(bids)
        yield frozenset(frozenset(pair) for pair in game.scene()["pairs"].tolist())


def assert_uniform(counts: Counter[Any], n_cells: int) -> None:
    assert len(counts) == n_cells
    expected = counts.total() / n_cells
    statistic = sum((count - expected) ** 2 for count in counts.values()) / expected
    assert statistic < chi2.isf(NEVER_BY_CHANCE, n_cells - 1)


@pytest.mark.parametrize(("n_agents", "n_matchings"), [(3, 3), (4, 3), (5, 15), (6, 15)])
def test_matchings_are_uniform(n_agents: int, n_matchings: int) -> None:
    game = new_game(8, n_agents=n_agents)
    assert_uniform(Counter(matchings(game, 8000)), n_matchings)


@pytest.mark.parametrize("n_agents", [3, 4])
def test_consecutive_matchings_are_independent(n_agents: int) -> None:
    found = list(matchings(new_game(9, n_agents=n_agents), 8000))
    assert_uniform(Counter(zip(found[::2], found[1::2])), 9)


def test_ties_are_fair_and_independent() -> None:
    # N = 4, nobody bids: for both pairs, whether the agent of lower number wins, and whether the one
    # that is named first does; 4 equal cells each.
    game = new_game(10, n_agents=4)
    cells: Counter[tuple[bool, ...]] = Counter()
    named_first: Counter[tuple[bool, ...]] = Counter()
    wins = np.zeros(4)
    bids = np.zeros(4, np.int64)
    n_steps = 8000
    for _ in range(n_steps):
        before = game.outcome().accesses
        game.step(bids)
        won = game.outcome().accesses - before
        wins += won
        pairs = game.scene()["pairs"].tolist()
        named_first[tuple(bool(won[first]) for first, _ in pairs)] += 1
        cells[tuple(bool(won[low]) for low, _ in sorted(sorted(pair) for pair in pairs))] += 1
    assert_uniform(cells, 4)
    assert_uniform(named_first, 4)
    # each agent's wins are binomial(n, 1/2)
    assert np.abs(wins - n_steps / 2).max() < 4.5 * np.sqrt(n_steps / 4)


def test_many_ties_of_one_step_are_fair() -> None:
    # 300 pairs in one step use several words of coins; wins of each agent are binomial(n, 1/2).
    n_agents, n_steps = 600, 400
    game = new_game(11, n_agents=n_agents)
    policy = TabularPolicy(nothing(game), np.zeros(n_agents, int))
    game.rollout(policy, n_steps)
    z = (game.outcome().accesses - n_steps / 2) / np.sqrt(n_steps / 4)
    assert np.abs(z).max() < 5.5  # 600 agents: beyond 4 sigma for the maximum
    # chi-square of 600 dependent-by-pairs agents: the sum of z^2 has mean 600, sd < 2 sqrt(600)
    assert abs((z**2).sum() - n_agents) < 4.5 * 2 * np.sqrt(n_agents)


def test_urgencies_start_stationary_and_stay() -> None:
    types = [
        AgentType(1, 0.9, (1, 2), ((0.9, 0.1), (0.3, 0.7))),
        AgentType(1, 0.9, (3, 4, 5), (0.2, 0.5, 0.3)),
    ]
    game = new_game(12, n_agents=40_000, types=types)
    for _ in range(2):
        index = situation(game).urgency_index
        for number, agent_type in enumerate(types):
            counts = np.bincount(index[game.type_of_agent == number], minlength=len(agent_type.urgencies))
            expected = agent_type.stationary_urgency * 20_000
            statistic = ((counts - expected) ** 2 / expected).sum()
            assert statistic < chi2.isf(NEVER_BY_CHANCE, len(expected) - 1)
        game.step(np.zeros(40_000, np.int64))


def test_two_types_fare_the_same_whichever_comes_first() -> None:
    # Mean reward of either type, 40 runs of 2000 steps each way; standard errors of the means over runs,
    # differences within 4.5 of them. That of the bold is above the coin's -1.5 by more than 20 of them.
    bold, shy = AgentType(1, 0.9, (1, 5)), AgentType(1, 0.8, (2,), (1.0,))
    means: dict[int, Any] = {}
    for first, types in enumerate([(bold, shy), (shy, bold)]):
        game = MatchingGame(n_agents=10, types=types, payment="pbs")
        urgency_index, karma = np.divmod(np.arange(game.n_observations), 21)
        bids = [np.minimum(karma, 3 * urgency_index), np.minimum(karma, 1)]  # of the bold, of the shy
        rows = [np.eye(game.n_actions)[bid] for bid in bids]
        policy = TabularPolicy(np.stack(rows), game.type_of_agent ^ first)
        runs = []
        for seed in range(40):
            game.reset(np.random.default_rng(seed))
            game.rollout(policy, 2000)
            outcome = game.outcome()
            by_type = [outcome.of_agents(game.type_of_agent == k) for k in (first, 1 - first)]
            runs.append([part.rewards.sum() / part.contests.sum() for part in by_type])
        means[first] = np.array(runs)
    difference = means[0].mean(axis=0) - means[1].mean(axis=0)
    error = np.sqrt((means[0].var(axis=0, ddof=1) + means[1].var(axis=0, ddof=1)) / 40)
    assert (np.abs(difference) < 4.5 * error).all()
    assert means[0].mean(axis=0)[0] > -1.5 + 20 * error[0]


def test_agents_of_a_type_are_exchangeable() -> None:
    # 60 agents, one policy: accesses of the first and last half; difference within 4.5 standard errors.
    game = new_game(5, n_agents=60, karma_max=8, karma_mean=4)
    game.rollout(random_policy(game, 6), 4000)
    rate = game.outcome().accesses / 4000
    error = np.sqrt(rate[:30].var(ddof=1) / 30 + rate[30:].var(ddof=1) / 30)
    assert abs(rate[:30].mean() - rate[30:].mean()) < 4.5 * error


@pytest.mark.parametrize("mean", [0, 0.5, 3.3, 10, 19.9, 20])
@pytest.mark.parametrize("initial_karma", ["equal", "uniform"])
def test_karma_starts_with_the_exact_total(initial_karma: str, mean: float) -> None:
    for seed in range(5):
        game = new_game(seed, n_agents=50, karma_mean=mean, initial_karma=initial_karma)
        karma = situation(game).karma
        assert karma.sum() == round(50 * mean)
        assert karma.min() >= 0
        assert karma.max() <= 20
        if initial_karma == "equal":
            assert karma.max() - karma.min() <= 1


def test_units_that_do_not_divide_go_to_random_agents() -> None:
    # Mean 2.5: half the agents start with 3; over 400 starts each is binomial(400, 1/2).
    game = MatchingGame(n_agents=10, karma_mean=2.5)
    rng = np.random.default_rng(6)
    more = np.zeros(10)
    for _ in range(400):
        game.reset(rng)
        more += situation(game).karma == 3
    assert more.sum() == 2000
    assert np.abs(more - 200).max() < 4.5 * np.sqrt(100)


def test_karma_starts_as_distributed() -> None:
    n_agents = 20_000
    given = (0.4, 0.0, 0.1, 0.3, 0.2)
    game = new_game(7, n_agents=n_agents, karma_max=4, karma_mean=1.9, initial_karma=given)
    karma = situation(game).karma
    assert karma.sum() == 1.9 * n_agents
    counts = np.bincount(karma, minlength=5)
    # The total was corrected by |Z| units, Z with sd sqrt(N var) = 228: at most that many moved.
    spread = np.sqrt(n_agents * (given @ np.arange(5) ** 2 - 1.9**2))
    error = 4 * np.sqrt(n_agents * np.array(given) * (1 - np.array(given))) + 4 * spread
    assert (np.abs(counts - n_agents * np.array(given)) <= error).all()
