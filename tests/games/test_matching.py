"""The matching game against a slow reference, written independently from its docstring, and steps by hand."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from karma_envs.games.matching.config import PRESETS
from karma_envs.karma.urgency import AgentType
from tests.games.matching_reference import check_step, new_game, situation, two_agents
from tests.games.rules_reference import ALLOCATIONS, draw_society, random_bids, random_policy, with_state

PAYMENTS = ("pay_bid_to_peer", "pay_capped_bid_to_peer", "pay_bid_to_society", "second_price")
REDISTRIBUTIONS = ("uniform", "uniform_to_active", "none", "tax(rate=0.3)")
EVERY_PAIR_OF_RULES = [
    (allocation, payment, REDISTRIBUTIONS[(i + j) % 4])
    for i, allocation in enumerate(ALLOCATIONS)
    for j, payment in enumerate(PAYMENTS)
]
"""A Latin square: any two rules of different families meet in one of these 16 games."""


TYPES = [
    AgentType(1, 0.9, (1, 5)),
    AgentType(1, 0.5, (0, 2, 3), ((0, 1, 0), (0.5, 0, 0.5), (0, 0.3, 0.7))),
    AgentType(1, 0.0, (4,)),
]


@st.composite
def societies(draw: st.DrawFn) -> dict[str, Any]:
    return draw_society(draw, draw(st.integers(2, 9)), draw(st.integers(1, 6)), TYPES)


CONGESTION = ("highest_bid", "pay_bid_to_society", "congestion_tax(rate=0.3)")


@pytest.mark.parametrize(("allocation", "payment", "redistribution"), [*EVERY_PAIR_OF_RULES, CONGESTION])
@given(fields=societies(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_every_step_obeys_the_rules(
    allocation: str, payment: str, redistribution: str, fields: dict[str, Any], seed: int
) -> None:
    rules = {"allocation": allocation, "payment": payment, "redistribution": redistribution}
    game = new_game(seed, **fields, **rules)
    assert situation(game).karma.sum() == game.config.total_karma
    rng = np.random.default_rng(seed)
    for _ in range(8):
        check_step(game, random_bids(game, rng))


def test_long_play_keeps_every_unit() -> None:
    for redistribution in REDISTRIBUTIONS[:2]:
        rules = {"payment": "pbs", "redistribution": redistribution}
        game = new_game(3, n_agents=7, karma_max=5, karma_mean=3, **rules)
        policy = random_policy(game, 4)
        for _ in range(20):
            transitions = game.rollout(policy, 500)
            now = situation(game)
            assert now.karma.sum() + now.surplus == 21
            if redistribution == "uniform":
                assert now.surplus == 0
                assert ((transitions.observations % 6).sum(axis=1) == 21).all()


@pytest.mark.parametrize(
    ("payment", "karma", "bids", "karma_after"),
    [
        ("pbp", (6, 3), (4, 2), (2, 7)),
        ("pbp", (6, 3), (0, 2), (8, 1)),
        ("pbp", (9, 9), (5, 2), (6, 10)),  # 1 fits, 4 to society: 2 each, and the 2 that do not fit
        ("pbp", (5, 9), (5, 2), (4, 10)),  # 1 fits; of the other 4 the peer can hold none
        ("pbp_capped", (5, 9), (5, 2), (4, 10)),
        ("pbp_capped", (6, 3), (4, 2), (2, 7)),
        ("pbs", (6, 3), (4, 2), (4, 5)),
        ("pbs", (6, 10), (6, 2), (6, 10)),  # 3 each; what the full one leaves goes back
        ("second_price", (6, 3), (4, 2), (5, 4)),
    ],
)
def test_karma_flows_by_hand(payment: str, karma: Any, bids: Any, karma_after: Any) -> None:
    game = two_agents(karma, payment=payment)
    game.step(np.array(bids))
    if payment == "pbp" and karma == (9, 9):
        karma_after = (8, 10)  # 9 - 5 + 4
    assert situation(game).karma.tolist() == list(karma_after)


def test_rewards_are_of_the_urgency_before_the_step() -> None:
    game = two_agents((6, 3), urgency=(0, 1))
    assert game.step(np.array([4, 2])).tolist() == [0, -5]
    assert situation(game).urgency_index.tolist() == [1, 0]
    assert game.step(np.array([0, 2])).tolist() == [-5, 0]
    assert game.step(np.array([2, 1])).tolist() == [0, -5]


def test_taxes_are_on_karma_after_payment() -> None:
    # Rate 1: tax k^2/10. The winner pays its 10 to the peer, who holds 10 then and is taxed of all.
    game = two_agents((10, 0), redistribution="tax(rate=1)")
    game.step(np.array([10, 0]))
    assert situation(game).karma.tolist() == [5, 5]


def test_a_surplus_is_kept_and_offered_again() -> None:
    game = two_agents((6, 4), redistribution="none", payment="pbs")
    game.step(np.array([3, 1]))
    game.step(np.array([0, 2]))
    assert situation(game).karma.tolist() == [3, 2]
    assert situation(game).surplus == 5


def test_who_sits_out_bids_nothing_and_still_receives() -> None:
    game = new_game(1, n_agents=3, karma_max=9, karma_mean=3, payment="pbs")
    seen = set()
    for _ in range(30):
        game = with_state(game, karma=(3, 3, 3))
        rewards = game.step(np.array([3, 3, 3]))
        (idle,) = {0, 1, 2} - set(game.scene()["pairs"].ravel().tolist())
        seen.add(idle)
        karma = situation(game).karma
        assert karma[idle] == 4  # one of the three units of the winner, who keeps one
        assert rewards[idle] == 0
        assert sorted(karma.tolist()) == [1, 4, 4]
    assert seen == {0, 1, 2}


def test_under_uniform_to_active_who_sits_out_gets_nothing() -> None:
    rules = {"payment": "pbs", "redistribution": "uniform_to_active"}
    game = new_game(1, n_agents=3, karma_max=9, karma_mean=3, **rules)
    for _ in range(10):
        game = with_state(game, karma=(3, 3, 3))
        game.step(np.array([2, 2, 2]))
        (idle,) = {0, 1, 2} - set(game.scene()["pairs"].ravel().tolist())
        karma = situation(game).karma
        assert karma[idle] == 3
        assert sorted(karma.tolist()) == [2, 3, 4]


def test_turns_are_taken() -> None:
    game = new_game(1, n_agents=2, allocation="turn")
    game.step(np.zeros(2, int))
    for _ in range(10):
        last = int(np.argmin(game.scene()["rewards"]))
        game.step(np.zeros(2, int))
        assert game.scene()["rewards"][last] == 0
    assert abs(np.diff(game.outcome().accesses)[0]) == 1


@pytest.mark.parametrize("name", PRESETS)
def test_presets_play(name: str) -> None:
    game = new_game(1, **PRESETS[name])
    rng = np.random.default_rng(2)
    for _ in range(3):
        check_step(game, random_bids(game, rng))


def test_every_pair_of_rules_meets() -> None:
    for (i, family), (j, other) in product(enumerate([ALLOCATIONS, PAYMENTS, REDISTRIBUTIONS]), repeat=2):
        if i < j:
            met = {(rules[i], rules[j]) for rules in EVERY_PAIR_OF_RULES}
            assert met == set(product(family, other))
