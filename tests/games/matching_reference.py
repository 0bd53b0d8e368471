"""The matching game by hand: a slow reference of a step, and games that its tests begin with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.matching import MatchingGame
from karma_envs.transitions import Transitions
from tests.games.rules_reference import priorities, who_shares, with_state


def new_game(seed: int = 0, **fields: Any) -> MatchingGame:
    game = MatchingGame(**fields)
    game.reset(np.random.default_rng(seed))
    return game


class Situation(NamedTuple):
    """What the rules speak of, read from the game."""

    karma: NDArray[np.int64]
    urgency_index: NDArray[np.int64]
    accesses: NDArray[np.int64]
    contests: NDArray[np.int64]
    rewards: NDArray[np.float64]
    surplus: int
    steps: int


def situation(game: MatchingGame) -> Situation:
    outcome = game.outcome()
    return Situation(
        karma=game.observation_index() % (game.config.karma_max + 1),
        urgency_index=game.observation_index() // (game.config.karma_max + 1),
        accesses=outcome.accesses,
        contests=outcome.contests,
        rewards=outcome.rewards,
        surplus=int(game.state_dict()["surplus"][0]),
        steps=outcome.steps,
    )


# --- a slow reference of one step ------------------------------------------------------------------


def reference_payment(name: str, bid: int, other: int, loser_karma: int, cap: int) -> tuple[int, int]:
    """To the loser, to society; PAPERS: PBP, its capped variant, PBS, Vickrey."""
    room = cap - loser_karma
    if name == "pay_bid_to_peer":
        return (bid, 0) if bid <= room else (room, bid - room)
    if name == "pay_capped_bid_to_peer":
        return (bid, 0) if bid <= room else (room, 0)
    if name == "pay_bid_to_society":
        return 0, bid
    return 0, other


def check_step(game: MatchingGame, bids: NDArray[np.int64]) -> None:
    """Play one step and hold it against the order of a step in the game's docstring."""
    config, before = game.config, situation(game)
    rewards = game.step(bids)
    after, scene, n = situation(game), game.scene(), game.n_agents
    values = [game.config.agent_types[index].urgencies for index in game.type_of_agent]
    urgency = np.array([values[i][before.urgency_index[i]] for i in range(n)])
    cap = config.karma_max

    # 1. A perfect matching; with odd N one sits out.
    matched = scene["pairs"].ravel().tolist()
    assert scene["pairs"].shape == (n // 2, 2)
    assert len(set(matched)) == len(matched)
    idle = set(range(n)) - set(matched)
    assert len(idle) == n % 2
    active = np.array([i not in idle for i in range(n)])
    np.testing.assert_array_equal(after.contests - before.contests, active)
    np.testing.assert_array_equal(game.state_dict()["active"] != 0, active)
    np.testing.assert_array_equal(game.state_dict()["sat_out"], after.steps - after.contests)

    # 3. to 5. The higher priority wins, the loser suffers, the winner pays.
    won = after.accesses - before.accesses
    priority = priorities(str(config.allocation), bids, urgency, before.accesses)
    karma, surplus = before.karma.copy(), before.surplus
    expected_rewards = np.zeros(n)
    for a, b in scene["pairs"]:
        assert (won[a], won[b]) in ((1, 0), (0, 1))
        winner, loser = (a, b) if won[a] else (b, a)
        assert priority[winner] >= priority[loser]
        expected_rewards[loser] = -urgency[loser]
        to_loser, to_society = reference_payment(
            str(config.payment), bids[winner], bids[loser], karma[loser], cap
        )
        karma[winner] -= to_loser + to_society
        karma[loser] += to_loser
        surplus += to_society
    assert won.sum() == n // 2
    assert all(won[i] == 0 for i in idle)
    np.testing.assert_array_equal(rewards, expected_rewards.astype(np.float32))
    np.testing.assert_allclose(after.rewards - before.rewards, expected_rewards, rtol=1e-6, atol=1e-9)

    # 6. The surplus, with taxes, is shared until it is gone or nobody who shares can hold more.
    assert after.karma.sum() + after.surplus == config.total_karma
    assert after.karma.min() >= 0
    assert after.karma.max() <= cap
    assert after.surplus >= 0
    rule = str(config.redistribution)
    shares = who_shares(rule, active, crowded=active)  # all pairs are congested, two for one
    assert after.surplus == 0 or (after.karma[shares] == cap).all()
    if "tax" not in rule:
        gained = after.karma - karma
        assert (gained >= 0).all()
        assert (gained[~shares] == 0).all()
        assert (gained >= np.minimum(surplus // max(shares.sum(), 1), cap - karma))[shares].all()

    # 7. Urgencies move as their chains allow.
    for i in range(n):
        phi = config.agent_types[game.type_of_agent[i]].transition_matrix
        assert phi[before.urgency_index[i], after.urgency_index[i]] > 0
    assert after.steps == before.steps + 1
    np.testing.assert_array_equal(scene["bids"], bids)
    np.testing.assert_array_equal(scene["rewards"], rewards)
    np.testing.assert_allclose(scene["urgency"], urgency, rtol=1e-6)


# --- single steps by hand --------------------------------------------------------------------------


def two_agents(karma: tuple[int, int], seed: int = 0, urgency: Any = (0, 0), **fields: Any) -> MatchingGame:
    """Two agents with cap 10, urgencies 1 and 5, which alternate for certain."""
    alternate = ((0, 1), (1, 0))
    game = new_game(
        seed, n_agents=2, karma_max=10, karma_mean=sum(karma) / 2, urgency_transition=alternate, **fields
    )
    return with_state(game, karma=karma, urgency=urgency)


def nothing(game: MatchingGame) -> NDArray[np.float64]:
    probabilities = np.zeros(game.legal_actions.shape)
    probabilities[:, 0] = 1
    return probabilities


def assert_same(first: Transitions, second: Transitions) -> None:
    np.testing.assert_array_equal(first.observations, second.observations)
    np.testing.assert_array_equal(first.actions, second.actions)
    np.testing.assert_array_equal(first.rewards, second.rewards)


FIELDS = {"n_agents": 7, "karma_max": 6, "karma_mean": 3}
