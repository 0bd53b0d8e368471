"""Equilibria among few agents, against a second formulation in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import agents
import karma_envs
from agents.solvers import Step, finite_methods
from agents.solvers.few_agents.own_states import Watch
from karma_envs.config import ConfigError
from karma_envs.meaning import LOWER_BOUND

KARMA_MAX, DISCOUNT, URGENCIES = 4, 0.9, (1.0, 5.0)
FIELDS = {"karma_max": KARMA_MAX, "karma_mean": 2.0, "discount": DISCOUNT, "urgencies": URGENCIES}
TOTAL = 4  # karma of two agents


def pair_problem(opponent: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What one of two agents faces that bid and pay the peer, by own urgency and karma, in plain Python.

    The other has what karma is left, and urgencies are drawn anew at every step, so that the agent's own
    state tells all that it can know.
    """
    n = KARMA_MAX + 1
    reward, kernel = np.zeros((2 * n, n)), np.zeros((2 * n, n, 2 * n))
    for u, urgency in enumerate(URGENCIES):
        for karma in range(n):
            for bid in range(karma + 1):
                for v in range(2):
                    for other in range(TOTAL - karma + 1):
                        chance = 0.5 * opponent[v * n + TOTAL - karma, other]
                        win = 1.0 if bid > other else 0.5 if bid == other else 0.0
                        reward[u * n + karma, bid] -= chance * (1 - win) * urgency
                        for after, share in ((karma - bid, win), (karma + other, 1 - win)):
                            if share:
                                kernel[u * n + karma, bid, [after, n + after]] += 0.5 * chance * share
    return reward, kernel


def gain_of_pairs(policy: NDArray[np.float64]) -> float:
    """What one of two gains by its best response, over |J|."""
    reward, kernel = pair_problem(policy)
    size, n = policy.shape
    chain = np.einsum("xa,xay->xy", policy, kernel)
    value = np.linalg.solve(np.eye(size) - DISCOUNT * chain, (policy * reward).sum(axis=1))
    equations = np.vstack([np.eye(size) - chain.T, np.ones(size)])
    rest = np.linalg.lstsq(equations, np.append(np.zeros(size), 1.0), rcond=None)[0]
    illegal = np.arange(n) > (np.arange(size) % n)[:, None]
    best = value
    for _ in range(400):  # value iteration: 0.9^400 is 5e-19
        best = np.where(illegal, -np.inf, reward + DISCOUNT * kernel @ best).max(axis=1)
    return float(rest @ (best - value) / abs(rest @ value))


def test_two_agents_that_bid_are_solved_and_no_best_response_gains_more_than_is_said() -> None:
    steps: list[Step] = []
    solved = agents.solve(karma_envs.make("matching", **FIELDS), n_agents=2, observer=steps.append)
    assert solved.converged
    assert solved.exploitability_normalised <= solved.tolerance == 1e-3
    assert (solved.meaning.n_agents, solved.meaning.certainty) == (2, LOWER_BOUND)
    certificate = solved.certificate
    assert certificate is not None
    gain = gain_of_pairs(np.asarray(solved.policy.probabilities[0]))
    # Of two agents whose urgencies are drawn anew each knows all by its own karma: the bounds are one.
    assert gain == pytest.approx(certificate.normalised_lower, abs=1e-8)
    assert gain == pytest.approx(certificate.normalised_upper, abs=1e-8)
    assert len(steps) == len(solved.history) > 1
    start = agents.solve(karma_envs.make("matching", **FIELDS)).policy
    assert gain_of_pairs(np.asarray(start.probabilities[0])) > 10 * gain


def test_own_states_of_a_pair_are_those_of_its_decision_problem() -> None:
    game = karma_envs.make("matching", n_agents=2, **FIELDS)
    policy = np.random.default_rng(3).dirichlet(np.ones(5), 10) * game.legal_actions
    policy /= policy.sum(axis=1, keepdims=True)
    model = game.joint_model()
    assert model is not None
    watch = Watch(model)
    for _ in range(5):
        seen = watch.own_states(policy[None])
    reward, kernel = pair_problem(policy)
    chain = np.einsum("xa,xay->xy", policy, kernel)
    value = np.linalg.solve(np.eye(10) - DISCOUNT * chain, (policy * reward).sum(axis=1))
    q = np.where(game.legal_actions, reward + DISCOUNT * kernel @ value, -np.inf)
    np.testing.assert_allclose(seen.q[0], q, atol=1e-7)
    np.testing.assert_allclose(seen.mean_field[0] @ chain, seen.mean_field[0], atol=1e-9)
    assert seen.efficiency == pytest.approx(seen.mean_field[0] @ (policy * reward).sum(axis=1), abs=1e-9)
    assert seen.payoff == pytest.approx(seen.mean_field[0] @ value, abs=1e-7)


def test_one_of_three_who_pay_society_gains_next_to_nothing_in_any_unit() -> None:
    """Play towards better responses cycles here; units of reward are those of the path."""
    fields = {**FIELDS, "payment": "pay_bid_to_society"}
    solved = agents.solve(karma_envs.make("matching", **fields), n_agents=3)
    assert solved.converged
    fields["urgencies"] = (1e4, 5e4)
    scaled = agents.solve(karma_envs.make("matching", **fields), n_agents=3)
    np.testing.assert_allclose(scaled.policy.probabilities, solved.policy.probabilities, atol=1e-4)
    assert scaled.exploitability == pytest.approx(1e4 * solved.exploitability, rel=1e-2)


@pytest.mark.nightly
@pytest.mark.parametrize("n_agents", [2, 3, 4])
def test_games_of_ten_karma_are_solved(n_agents: int) -> None:
    """Of 4 who pay their peers a path that jumps to another part of itself leads back to play at random."""
    solved = agents.solve(karma_envs.make("matching", karma_max=10, karma_mean=5.0), n_agents=n_agents)
    assert solved.converged
    assert solved.exploitability_normalised <= 1e-3


def test_where_nobody_can_bid_nothing_is_to_be_found() -> None:
    solved = agents.solve(karma_envs.make("matching", allocation="coin", **FIELDS), n_agents=3)
    assert solved.converged
    assert solved.exploitability == pytest.approx(0.0, abs=1e-9)
    # By hand: one of three sits out, and half of those who meet lose, at an urgency of 3 on average.
    assert solved.efficiency == pytest.approx(-3.0 / 3)


def test_a_path_that_is_cut_short_says_so_and_has_the_best_until_there() -> None:
    solved = agents.solve(karma_envs.make("matching", **FIELDS), n_agents=2, evaluations=2)
    assert not solved.converged
    assert "evaluations" in solved.reason
    whole_path = agents.solve(karma_envs.make("matching", **FIELDS), n_agents=2)
    assert solved.exploitability_normalised > whole_path.exploitability_normalised
    assert len(solved.history) == 1


def test_what_is_solved_for_few_agents_is_refused_elsewhere() -> None:
    game = karma_envs.make("matching", **FIELDS)
    with pytest.raises(ConfigError, match=r"method = 'homotopy'.*logit_path"):
        agents.solve(game, "homotopy", n_agents=2)
    with pytest.raises(ConfigError, match="n_agents"):
        agents.solve(game.mean_field(), n_agents=2)
    with pytest.raises(ConfigError, match=r"n_agents = 1"):
        agents.solve(game, n_agents=1)
    with pytest.raises(ConfigError, match="joint"):
        agents.solve(karma_envs.make("auction"), n_agents=5)
    assert list(finite_methods()) == ["logit_path"]
