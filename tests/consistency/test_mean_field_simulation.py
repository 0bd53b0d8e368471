"""The mean-field model against the simulation of many agents and against a second formulation."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import karma_envs
from agents.policies.tabular import TabularPolicy
from agents.solvers import Equilibrium, solve
from agents.solvers.equilibrium import assess
from karma_envs.game import PopulationGame
from karma_envs.mean_field import FiniteMeanFieldModel
from karma_envs.mean_field.stationary import advance, stationary_mean_field
from karma_envs.mechanisms.rule import rules
from karma_envs.transitions import Transitions

N_AGENTS, BATCH, BATCHES, BURN_IN = 10_000, 50, 30, 200
SMALL: dict[str, Any] = {"karma_max": 8, "karma_mean": 4}
TYPES = ({"share": 1, "discount": 0.7}, {"share": 3, "urgencies": (1, 2, 9), "discount": 0.9})
PAYMENTS = sorted(rules("payment"))
REDISTRIBUTIONS = sorted(name for name, rule in rules("redistribution").items() if not rule.by_resource)
DRAINING = [
    (payment, "none") for payment in PAYMENTS if payment != "pay_capped_bid_to_peer"
]  # what goes to society is lost


def made(**fields: Any) -> tuple[PopulationGame, FiniteMeanFieldModel]:
    game = karma_envs.make("matching", n_agents=N_AGENTS, **{**SMALL, **fields})
    model = game.mean_field()
    assert model is not None
    return game, model


def equilibrium(model: FiniteMeanFieldModel, payment: str) -> Equilibrium:
    """An exact one; one of fictitious play where the price depends on the loser's karma, which is slow."""
    return solve(model, "fictitious_play" if payment == "pay_capped_bid_to_peer" else "auto")


def play(
    game: PopulationGame, policy: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean reward of each batch of steps, and the distribution of karma over all."""
    everyone = TabularPolicy(policy).for_agents(game.type_of_agent)
    room = Transitions.empty(BURN_IN, game.n_agents)
    game.reset(np.random.default_rng(0))
    game.rollout(everyone, BURN_IN, out=room)
    n = game.n_actions
    rewards, counts = [], np.zeros(n)
    for _ in range(BATCHES):
        batch = game.rollout(everyone, BATCH, out=room)
        rewards.append(batch.rewards.mean(dtype=np.float64))
        counts += np.bincount(batch.observations[:-1].ravel() % n, minlength=n)
    return np.array(rewards), counts / counts.sum()


def check_agreement(game: PopulationGame, model: Any, policy: NDArray[np.float64]) -> None:
    rewards, karma = play(game, policy)
    expected = assess(model, policy)
    error = rewards.std(ddof=1) / np.sqrt(BATCHES)
    assert error < 1e-3
    assert abs(rewards.mean() - expected.efficiency) < 4 * error
    distribution = model.masses @ model.karma_distribution(expected.mean_field)
    assert np.abs(karma - distribution).sum() < 5e-3


@pytest.mark.parametrize(
    ("payment", "redistribution"),
    [pair for pair in itertools.product(PAYMENTS, REDISTRIBUTIONS) if pair not in DRAINING],
)
def test_many_agents_play_the_equilibrium_of_their_rules(payment: str, redistribution: str) -> None:
    game, model = made(payment=payment, redistribution=redistribution)
    found = equilibrium(model, payment)
    assert found.converged
    check_agreement(game, model, found.policy.probabilities)


@pytest.mark.parametrize("payment", ["pbp", "pbs"])
def test_many_agents_of_two_types_play_their_logit_equilibrium(payment: str) -> None:
    game, model = made(types=TYPES, payment=payment)
    found = solve(model, "homotopy", rationality=30.0)
    assert found.converged
    check_agreement(game, model, found.policy.probabilities)


@pytest.mark.parametrize(("payment", "redistribution"), DRAINING)
def test_karma_that_is_not_redistributed_drains_away(payment: str, redistribution: str) -> None:
    game, model = made(payment=payment, redistribution=redistribution)
    policy = np.asarray(solve(made()[1], "homotopy", rationality=30.0).policy.probabilities)
    everyone = TabularPolicy(policy).for_agents(game.type_of_agent)
    game.reset(np.random.default_rng(0))
    mean_field, means = model.initial_mean_field, []
    for step in range(1, 61):
        mean_field = advance(model, mean_field, policy)
        game.rollout(everyone, 1)
        means.append(model.mean_karma(mean_field))  # type: ignore[attr-defined]
        if step in (1, 10, 60):
            karma = game.observation_index() % game.n_actions
            assert abs(karma.mean() - means[-1]) < 0.05  # five times the sd of a mean of independent ones
    assert (np.diff(means) <= 1e-12).all()
    assert means[-1] < SMALL["karma_mean"] - 0.1


@pytest.mark.parametrize(
    ("payment", "redistribution"),
    [pair for pair in itertools.product(PAYMENTS, REDISTRIBUTIONS) if pair not in DRAINING],
)
def test_mean_karma_does_not_drift(payment: str, redistribution: str) -> None:
    _, model = made(payment=payment, redistribution=redistribution, types=TYPES)
    rng = np.random.default_rng(1)
    mean_field = model.initial_mean_field
    for _ in range(30):
        policy = rng.random((model.n_types, model.n_states, model.n_actions)) ** 3 * model.legal_actions
        policy /= policy.sum(axis=2, keepdims=True)
        following = advance(model, mean_field, policy)
        drift = model.mean_karma(following) - model.mean_karma(mean_field)  # type: ignore[attr-defined]
        assert abs(drift) <= 1e-12
        np.testing.assert_allclose(following.sum(axis=1), 1, atol=1e-14)
        mean_field = following


def shared(karma: NDArray[np.float64], surplus: float) -> NDArray[np.float64]:
    """A distribution of karma after all are offered l, or the whole numbers around it, found by bisection."""
    cap = len(karma) - 1

    def after(level: float) -> tuple[NDArray[np.float64], float]:
        result, taken = np.zeros_like(karma), 0.0
        for k, mass in enumerate(karma):
            for offer, chance in ((int(level), 1 - level % 1), (int(level) + 1, level % 1)):
                took = min(offer, cap - k)
                result[k + took] += mass * chance
                taken += mass * chance * took
        return result, taken

    low, high = 0.0, float(cap)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if after(middle)[1] < surplus else (low, middle)
    return after(low)[0]


@pytest.mark.parametrize("payment", ["pay_bid_to_peer", "pay_bid_to_society", "pay_capped_bid_to_peer"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_step_of_the_population_is_what_enumeration_gives(payment: str, seed: int) -> None:
    """All pairs of (u, k, b), one by one, with no regard to how the model does it."""
    game = karma_envs.make("matching", karma_max=2, karma_mean=1, payment=payment, n_agents=10)
    model = game.mean_field()
    assert model is not None
    rng = np.random.default_rng(seed)
    policy = rng.random((1, 6, 3)) * model.legal_actions
    policy /= policy.sum(axis=2, keepdims=True)
    mean_field = rng.dirichlet(np.ones(6))[None]

    players = [
        (u, k, b, mean_field[0, 3 * u + k] * policy[0, 3 * u + k, b])
        for u in range(2)
        for k in range(3)
        for b in range(k + 1)
    ]
    karma_after, surplus, reward = np.zeros(3), 0.0, 0.0
    for (u, k, b, weight), (_, other_k, other_b, other_weight) in itertools.product(players, players):
        for i_win in (True, False):
            chance = 0.5 if b == other_b else float(i_win == (b > other_b))
            price, room = (b, 2 - other_k) if i_win else (other_b, 2 - k)
            to_loser = 0 if payment == "pay_bid_to_society" else min(price, room)
            paid = to_loser if payment == "pay_capped_bid_to_peer" else price
            after = k - paid if i_win else k + to_loser
            karma_after[after] += weight * other_weight * chance
            surplus += weight * other_weight * chance * (paid - to_loser) / 2  # each pair is seen twice
            reward -= 0.0 if i_win else weight * other_weight * chance * (1, 5)[u]
    expected = shared(karma_after, surplus)

    found = advance(model, mean_field, policy)
    np.testing.assert_allclose(found.reshape(2, 3).sum(axis=0), expected, atol=1e-12)
    np.testing.assert_allclose(found.reshape(2, 3).sum(axis=1), 0.5, atol=1e-14)
    problem = model.decision_problem(model.statistic(mean_field, policy))
    assert (mean_field[..., None] * policy * problem.reward).sum() == pytest.approx(reward, abs=1e-12)
    np.testing.assert_allclose(problem.dense(anew=True).sum(axis=3)[0], model.legal_actions, atol=1e-14)


def test_who_never_bids_stays_where_it_started() -> None:
    _, model = made(initial_karma="uniform")
    never = np.zeros((1, model.n_states, model.n_actions))
    never[..., 0] = 1
    field = stationary_mean_field(model, never)
    np.testing.assert_allclose(field.mean_field, model.initial_mean_field, atol=1e-14)
    assert assess(model, never).efficiency == pytest.approx(-1.5, abs=1e-12)
