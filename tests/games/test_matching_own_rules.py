"""Rules of the user's are played in the matching game, or refused with the arguments they fail at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from karma_envs.config import ConfigError
from karma_envs.games.matching import MatchingGame
from karma_envs.mechanisms import Rule
from karma_envs.numerics.compile import kernel
from tests.games.matching_reference import situation, two_agents


@kernel
def half_to_each(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    to_loser = min(winner_bid // 2, karma_max - loser_karma)
    return to_loser, winner_bid - to_loser


def a_fee(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return 0, min(winner_bid, 1)


@pytest.mark.parametrize(
    ("payment", "karma_after"),
    [
        (half_to_each, {(5, 7)}),  # 2 to the peer; 2 to society, of which 1 goes back to each
        (a_fee, {(8, 4), (7, 5)}),  # 1 to society, which goes to one of them
    ],
)
def test_payments_of_the_user_are_played(payment: Any, karma_after: Any) -> None:
    game = two_agents((8, 4), payment=payment)
    game.step(np.array([4, 2]))
    assert tuple(situation(game).karma.tolist()) in karma_after


def creates(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return min(1, karma_max - loser_karma), winner_bid


def overdraws(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return 0, winner_bid + (winner_bid == 2)


def exceeds(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return winner_bid, 0


def takes(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return -(loser_karma == 3), 0


def splits_units(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return 0.0, 0.5 * winner_bid


@pytest.mark.parametrize(
    ("payment", "arguments", "gives"),
    [
        (creates, "winner_bid 0, loser_bid 0, loser_karma 0", "(1, 0)"),
        (overdraws, "winner_bid 2, loser_bid 0, loser_karma 0", "(0, 3)"),
        (exceeds, "winner_bid 1, loser_bid 0, loser_karma 3", "(1, 0)"),
        (takes, "winner_bid 0, loser_bid 0, loser_karma 3", "(-1, 0)"),
    ],
)
def test_broken_payments_are_refused_with_their_arguments(payment: Any, arguments: str, gives: str) -> None:
    with pytest.raises(ConfigError) as refused:
        MatchingGame(n_agents=4, karma_max=3, karma_mean=1, payment=payment)
    assert "payment = " in str(refused.value)
    assert f"; with {arguments}, karma_max 3 it gives {gives}" in str(refused.value)
    assert f"it gives {gives}" in str(refused.value)


def test_payments_of_parts_of_units_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"payment = .*two whole numbers, not \(0.0, 0.0\)"):
        MatchingGame(n_agents=4, karma_max=3, karma_mean=1, payment=splits_units)


def lowest_bid(bid, urgency, accesses, parameters):  # type: ignore[no-untyped-def]
    return -bid


def pays_the_other_bid(winner_bid, loser_bid, loser_karma, karma_max, parameters):  # type: ignore[no-untyped-def]
    return 0, loser_bid


def test_payments_are_tried_on_what_the_allocation_allows() -> None:
    # With the lowest bid winning, the loser's bid can be more than the winner has.
    with pytest.raises(ConfigError, match="payment"):
        MatchingGame(n_agents=4, karma_max=3, karma_mean=1, payment=pays_the_other_bid, allocation=lowest_bid)


def taxes_the_idle(karma, karma_max, crowding, parameters):  # type: ignore[no-untyped-def]
    return 0.0 if crowding > 0 else karma + 1.0, True


def subsidises(karma, karma_max, crowding, parameters):  # type: ignore[no-untyped-def]
    return -1.0, True


def not_a_number(karma, karma_max, crowding, parameters):  # type: ignore[no-untyped-def]
    return karma / 0.0 - karma / 0.0, True


@pytest.mark.parametrize("redistribution", [taxes_the_idle, subsidises, not_a_number])
def test_broken_redistributions_are_refused(redistribution: Any) -> None:
    with pytest.raises(ConfigError, match=r"redistribution = .*0 <= tax <= karma; with karma 0"):
        MatchingGame(n_agents=4, karma_max=3, karma_mean=1, redistribution=redistribution)


def test_redistribution_by_resource_is_refused() -> None:
    for rule in ("by_resource", "by_lane", Rule("own", kernel(subsidises), by_resource=True)):
        with pytest.raises(ConfigError, match=r"redistribution = .* that is not by resource"):
            MatchingGame(redistribution=rule)


def to_the_poor(karma, karma_max, crowding, parameters):  # type: ignore[no-untyped-def]
    return 0.0, karma < 4


def test_a_share_that_ends_what_entitles_to_it_is_not_lost() -> None:
    """What the winners pay goes to the poor, who are asked once, before they have any of it."""
    game = MatchingGame(n_agents=4, karma_max=8, karma_mean=3.0, payment="pbs", redistribution=to_the_poor)
    game.reset(np.random.default_rng(0))
    for _ in range(200):
        game.step(game.observation_index() % 9)
        assert game.conserved() == {"karma": 12}


def test_an_allocation_of_the_users_own() -> None:
    rule = Rule("lowest_bid", kernel(lowest_bid))
    game = two_agents((8, 4), allocation=rule)
    assert game.step(np.array([4, 2])).tolist() == [-1, 0]
    assert situation(game).karma.tolist() == [10, 2]
