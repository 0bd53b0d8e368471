"""The city against a slow reference, written independently from its docstring, and steps by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from karma_envs.baselines import baseline_policy
from karma_envs.game import IllegalActionError
from karma_envs.games.grid_city import GridCityGame
from karma_envs.karma.urgency import AgentType
from karma_envs.numerics.compile import kernel
from tests.games.grid_city_reference import CROSSING, new_game, one_lane, path_of, roads, situation
from tests.games.rules_reference import (
    ALLOCATIONS,
    draw_society,
    priorities,
    random_bids,
    random_policy,
    who_shares,
    with_state,
)

REDISTRIBUTIONS = (
    "uniform",
    "uniform_to_active",
    "none",
    "tax(rate=0.3)",
    "congestion_tax(rate=0.3)",
    "by_resource",
)


# --- a slow reference of one step ------------------------------------------------------------------


def check_step(game: GridCityGame, bids: NDArray[np.int64]) -> None:
    """Play one step and hold it against the order of a step in the game's docstring."""
    config, n, network = game.config, game.n_agents, game.network
    before, outcome, lanes = situation(game), game.outcome(), game.lane_outcome()
    surplus = int(game.state_dict()["surplus"][0])
    rewards = game.step(bids)
    after, new_outcome, totals = situation(game), game.outcome(), game.lane_outcome().since(lanes)
    won = new_outcome.accesses - outcome.accesses
    wanted = [-1 if before.dormant[i] else path_of(game, i, before.slot[i])[before.z[i]] for i in range(n)]

    # 1. and 2. Each lane takes the highest, as many as it has places for.
    priority = priorities(str(config.allocation), bids, before.urgency, outcome.accesses)
    for lane, places in enumerate(network.capacity):
        here = [i for i in range(n) if wanted[i] == lane]
        entered = [i for i in here if won[i]]
        assert len(entered) == min(places, len(here))
        assert all(priority[i] >= priority[j] for i in entered for j in here if not won[j])
        assert totals.attempts[lane] == len(here)
        assert totals.entries[lane] == len(entered)
        assert totals.bids[lane] == sum(bids[i] for i in here)
    assert set(won) <= {0, 1}
    assert not won[before.dormant].any()
    np.testing.assert_array_equal(new_outcome.contests - outcome.contests, ~before.dormant)

    # 3. Who waits suffers.
    expected = -before.urgency * (1 - won)
    np.testing.assert_array_equal(rewards, expected.astype(np.float32))
    np.testing.assert_allclose(new_outcome.rewards - outcome.rewards, expected, atol=1e-9)

    # 5. Along the path, and nowhere else; urgency stays until the trip ends.
    for i in range(n):
        arrives = won[i] and before.z[i] == len(path_of(game, i, before.slot[i])) - 1
        if before.dormant[i] or arrives:
            assert after.z[i] in (-1, 0)
            assert after.slot[i] < config.paths_per_agent
            if not after.dormant[i]:
                assert after.urgency[i] in config.agent_types[game.type_of_agent[i]].urgencies
        else:
            assert after.slot[i] == before.slot[i]
            assert after.z[i] == before.z[i] + won[i]
            assert after.urgency[i] == before.urgency[i]
    assert (after.urgency[after.dormant] == 0).all()

    # 4. and 6. Winners pay; the surplus is shared until it is gone or nobody who shares can hold more.
    paid = before.karma - bids * won
    surplus += (bids * won).sum()
    left = int(game.state_dict()["surplus"][0])
    assert after.karma.sum() + left == config.total_karma
    assert 0 <= after.karma.min() <= after.karma.max() <= config.karma_max
    rule = str(config.redistribution)
    crowded = np.array([lane >= 0 and totals.attempts[lane] > network.capacity[lane] for lane in wanted])
    shares = who_shares(rule, ~before.dormant, crowded)
    assert left == 0 or (left > 0 and (after.karma[shares] == config.karma_max).all())
    gained = after.karma - paid
    if rule.startswith("congestion"):
        assert (gained[~shares] <= 0).all()
        assert (gained[shares] >= 0).all()
    elif rule == "by_resource":
        for lane in range(len(network.capacity)):
            here = [i for i in range(n) if wanted[i] == lane]
            spent = sum(bids[i] * won[i] for i in here)
            room = sum(config.karma_max - paid[i] for i in here)
            assert gained[here].sum() >= min(spent, room)
    elif not rule.startswith("tax"):
        assert (gained[~shares] == 0).all()
        least = np.minimum(surplus // max(shares.sum(), 1), config.karma_max - paid)
        assert (gained >= least)[shares].all()
    assert new_outcome.steps == outcome.steps + 1


TYPES = [
    AgentType(1, 0.9, (1, 5)),
    AgentType(1, 0.5, (0, 2, 3), (0.2, 0.5, 0.3)),
    AgentType(1, 0.0, (4,)),
]


@st.composite
def societies(draw: st.DrawFn) -> dict[str, Any]:
    n_agents, karma_max = draw(st.integers(1, 12)), draw(st.integers(1, 20))
    network = draw(st.sampled_from(["crossing", "grid"]))
    shape: dict[str, Any] = {"network": CROSSING}
    if network == "grid":
        shape = {"rows": draw(st.integers(1, 2)), "columns": 2, "capacity": draw(st.integers(1, 2))}
    return {
        **draw_society(draw, n_agents, karma_max, TYPES),
        "paths_per_agent": draw(st.integers(1, 3)),
        "path_seed": draw(st.integers(0, 99)),
        "dormant_probability": draw(st.sampled_from([0, 0.1, 0.5, 1])),
        **shape,
    }


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("redistribution", REDISTRIBUTIONS)
@given(fields=societies(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_every_step_obeys_the_rules(
    allocation: str, redistribution: str, fields: dict[str, Any], seed: int
) -> None:
    game = new_game(seed, allocation=allocation, redistribution=redistribution, **fields)
    assert situation(game).karma.sum() == game.config.total_karma
    assert (situation(game).z <= 0).all()
    rng = np.random.default_rng(seed)
    for _ in range(12):
        check_step(game, random_bids(game, rng))


def test_long_play_keeps_every_unit_and_no_lane_overflows() -> None:
    for redistribution in REDISTRIBUTIONS[:2]:
        game = new_game(3, n_agents=150, rows=3, columns=3, redistribution=redistribution)
        policy = random_policy(game, 4)
        earlier = game.lane_outcome()
        for _ in range(20):
            game.rollout(policy, 50)
            assert situation(game).karma.sum() + game.state_dict()["surplus"][0] == 1350
            now = game.lane_outcome()
            part = now.since(earlier)
            assert (part.entries <= 50 * game.network.capacity).all()
            assert (part.entries <= part.attempts).all()
            earlier = now
        assert (earlier.entries < earlier.attempts).any()


def test_a_hundred_thousand_agents() -> None:
    game = new_game(1, n_agents=100_000, allocation="dict")
    assert game.network.capacity.tolist() == [937] * 80
    game.rollout(baseline_policy("random", game), 30)
    totals = game.lane_outcome()
    assert totals.entries.sum() == game.outcome().accesses.sum()
    assert (totals.entries <= 30 * 937).all()
    assert 0 < (totals.entries == totals.attempts).sum() < 80


# --- single steps by hand --------------------------------------------------------------------------


def test_the_higher_bid_enters_and_all_share_what_it_pays() -> None:
    game = with_state(one_lane(2), urgency=(1, 0))
    assert game.step(np.array([2, 4])).tolist() == [-5, 0]
    assert situation(game).karma.tolist() == [7, 3]  # 5, 5 - 4, and 2 of the surplus for each
    assert game.step(np.array([3, 2]))[0] == 0
    assert situation(game).karma.tolist() in ([5, 5], [6, 4])  # 7 - 3, 3, and 3 units for two
    lanes = game.lane_outcome()
    assert (lanes.attempts.tolist(), lanes.entries.tolist(), lanes.bids.tolist()) == ([4], [2], [11])
    assert lanes.congestion.tolist() == [2.0]
    assert lanes.mean_bid.tolist() == [2.75]
    assert game.outcome().accesses.tolist() == [1, 1]
    assert game.outcome().contests.tolist() == [2, 2]


def test_a_lane_with_room_for_all_costs_the_bid_all_the_same() -> None:
    game = one_lane(2, capacity=3)
    assert game.step(np.array([4, 0])).tolist() == [0, 0]
    assert situation(game).karma.tolist() == [3, 7]


def test_several_places() -> None:
    game = with_state(one_lane(5, capacity=2, redistribution="none"), urgency=(0, 1, 0, 1, 1))
    assert game.step(np.array([3, 5, 4, 0, 2])).tolist() == [-1, 0, 0, -5, -5]
    assert situation(game).karma.tolist() == [5, 0, 1, 5, 5]
    assert game.state_dict()["surplus"].tolist() == [9]


def test_an_agent_goes_its_way_lane_by_lane() -> None:
    network = roads([(0, 1), (1, 2), (2, 3)], [(0, 1, 2)])
    game = new_game(network=network, n_agents=1, paths_per_agent=1, dormant_probability=0)
    seen = []
    for _ in range(4):
        (place,) = game.observation_index() // 15
        seen.append((place - 1) // 2)
        game.step(np.array([0]))
    assert seen == [0, 1, 2, 0]
    assert game.lane_outcome().entries.tolist() == [2, 1, 1]


def test_who_waits_keeps_its_place() -> None:
    network = roads([(0, 1), (1, 2)], [(0, 1)])
    game = new_game(network=network, n_agents=2, paths_per_agent=1, dormant_probability=0)
    game.step(np.array([3, 2]))
    assert situation(game).z.tolist() == [1, 0]
    game.step(np.array([0, 0]))  # no contest any more: they want different lanes
    assert situation(game).z.tolist() == [0, 1]


@pytest.mark.parametrize(("redistribution", "karma"), [("uniform", [3, 7]), ("uniform_to_active", [5, 5])])
def test_the_dormant_bid_nothing_and_share_unless_the_rule_says_no(
    redistribution: str, karma: list[int]
) -> None:
    game = with_state(one_lane(2, redistribution=redistribution), position=(1, 0), urgency=(1, 0))
    assert game.action_mask().sum(axis=1).tolist() == [6, 1]
    with pytest.raises(IllegalActionError, match="agent 1 bids 1; allowed: 0 … 0"):
        game.step(np.array([0, 1]))
    assert game.step(np.array([4, 0])).tolist() == [0, 0]
    assert situation(game).karma.tolist() == karma
    assert game.outcome().contests.tolist() == [1, 0]
    assert game.outcome().accesses.tolist() == [1, 0]


def test_dict_looks_at_urgency_and_takes_nothing() -> None:
    game = with_state(one_lane(3, allocation="dict", capacity=1), urgency=(0, 1, 0))
    assert game.step(np.zeros(3, int)).tolist() == [-1, 0, -1]
    assert situation(game).karma.tolist() == [5, 5, 5]


def test_turns_are_taken() -> None:
    game = one_lane(6, capacity=2, allocation="turn")
    for round_ in range(1, 8):
        for _ in range(3):
            game.step(np.zeros(6, int))
        assert (game.outcome().accesses == round_).all()


@kernel
def bid_and_need(bid, urgency, accesses, parameters):  # type: ignore[no-untyped-def]
    return bid - 3.0 + 0.25 * urgency


def test_a_rule_of_ones_own_with_fractions_and_negative_priorities() -> None:
    game = with_state(one_lane(4, capacity=2, allocation=bid_and_need), urgency=(0, 1, 0, 1))
    assert game.step(np.array([1, 0, 0, 2])).tolist() == [-1, 0, -1, 0]  # -1.75, -1.75 tie … 0.25
    game = with_state(game, urgency=(0, 1, 0, 1), karma=5)
    assert game.step(np.array([2, 0, 0, 1])).tolist() == [0, -5, -1, 0]
