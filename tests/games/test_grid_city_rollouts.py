"""Rollouts of the city play its steps, and what cannot be is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.policies.tabular import TabularPolicy
from karma_envs.game import IllegalActionError
from karma_envs.games.grid_city import GridCityGame
from karma_envs.metrics import efficiency
from tests.games.grid_city_reference import CROSSING, FIELDS, new_game, one_lane, roads, situation
from tests.games.rules_reference import ALLOCATIONS, random_bids, random_policy, states_equal, with_state


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_a_rollout_in_chunks_is_the_same(allocation: str) -> None:
    whole, chunked = (new_game(1, allocation=allocation, **FIELDS) for _ in range(2))
    policy = random_policy(whole, 3, rows=4)
    at_once = whole.rollout(policy, 150)
    start = 0
    for n_steps in (1, 1, 48, 100):
        part = chunked.rollout(policy, n_steps)
        np.testing.assert_array_equal(part.observations, at_once.observations[start : start + n_steps + 1])
        np.testing.assert_array_equal(part.actions, at_once.actions[start : start + n_steps])
        np.testing.assert_array_equal(part.rewards, at_once.rewards[start : start + n_steps])
        start += n_steps
    assert states_equal(whole, chunked)


def test_steps_with_the_recorded_actions_are_the_same() -> None:
    rolled, stepped = (new_game(1, **FIELDS) for _ in range(2))
    transitions = rolled.rollout(random_policy(rolled, 3), 100)
    for step in range(100):
        np.testing.assert_array_equal(stepped.observation_index(), transitions.observations[step])
        np.testing.assert_array_equal(stepped.step(transitions.actions[step]), transitions.rewards[step])
    assert states_equal(rolled, stepped, but=("streams",))
    for name in ("lanes", "bids", "rewards", "urgency", "karma"):
        np.testing.assert_array_equal(rolled.scene()[name], stepped.scene()[name])


def test_the_mean_reward_of_the_thesis_is_over_all_agents_and_steps() -> None:
    game = new_game(1, dormant_probability=0.5, **FIELDS)
    transitions = game.rollout(random_policy(game, 3), 200)
    outcome = game.outcome()
    assert efficiency(outcome.rewards / outcome.steps) == pytest.approx(float(transitions.rewards.mean()))
    active = transitions.observations[:-1] >= 15
    np.testing.assert_array_equal(outcome.contests, active.sum(axis=0))
    assert efficiency(outcome.rewards, outcome.contests) == pytest.approx(
        float(transitions.rewards[active].mean())
    )


def test_the_scene_is_that_of_the_last_step() -> None:
    game = new_game(1, **FIELDS)
    assert (game.scene()["lanes"] == -1).all()
    for _ in range(20):
        before, bids = situation(game), random_bids(game, np.random.default_rng(0))
        totals = game.lane_outcome()
        game.step(bids)
        scene = game.scene()
        np.testing.assert_array_equal(scene["lanes"] < 0, before.dormant)
        np.testing.assert_array_equal(scene["urgency"], before.urgency)
        attempts = np.bincount(scene["lanes"][~before.dormant], minlength=len(totals.attempts))
        np.testing.assert_array_equal(attempts, game.lane_outcome().since(totals).attempts)


# --- what is refused -------------------------------------------------------------------------------


def test_illegal_bids_change_nothing() -> None:
    game, untouched = (with_state(one_lane(3)) for _ in range(2))
    for bids in ([0, 6, 0], [0, 0, -1], [0, 0], [0.0, 0, 0]):
        with pytest.raises(IllegalActionError):
            game.step(np.array(bids))
        assert states_equal(game, untouched)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"position": 1 + 3 * 3}, r"position\[0\] = 10; allowed: 0 … 6"),  # a third path
        ({"position": 2, "urgency": 9}, r"urgency\[0\] = 9; allowed: 0 … 1"),
        ({"position": 0, "urgency": 1}, r"urgency\[0\] = 1; allowed: 0 … 0"),
        ({"karma": 15}, r"karma\[0\] = 15; allowed: 0 … 14"),
        ({"karma": 0}, "0 karma with the surplus; allowed: 90"),
        ({"sharing": 0}, "no game with this configuration"),
    ],
    ids=str,
)
def test_states_that_cannot_be_are_refused(changes: dict[str, Any], says: str) -> None:
    game = new_game(network=CROSSING, n_agents=10)
    state = game.state_dict()
    with pytest.raises(ValueError, match=says):
        with_state(game, **changes)
    assert all((state[name] == array).all() for name, array in game.state_dict().items())


def test_a_lane_beyond_the_end_of_a_path_is_refused() -> None:
    network = roads([(0, 1), (1, 2)], [(0, 1), (0,)])
    game = new_game(network=network, n_agents=10, paths_per_agent=1)
    short = game.paths_of_agent[:, 0] == 1
    assert 0 < short.sum() < 10
    with pytest.raises(ValueError, match="no game with this configuration"):
        with_state(game, position=2, urgency=0)
    with_state(game, position=np.where(short, 1, 2), urgency=0)


def test_only_what_is_reachable_is_reached() -> None:
    """On 2x2 paths have 3 or 4 lanes: some agents cannot be on the last lane of a longest path."""
    game = GridCityGame(**GridCityGame.presets["small"])
    reachable = game.reachable()
    assert reachable.shape == (100, game.n_observations)
    assert not reachable.all()
    legal = game.legal_actions
    game.reset(np.random.default_rng(0))
    seen = game.rollout(TabularPolicy(legal / legal.sum(axis=1, keepdims=True)).for_agents([0] * 100), 3000)
    assert reachable[np.arange(100), seen.observations].all()
    places = seen.observations.astype(int) // 15
    assert game.urgency_of_observation is not None
    np.testing.assert_array_equal(
        game.urgency_of_observation[seen.observations], np.where(places > 0, (places - 1) % 2, -1)
    )
    lengths = np.array([len(path) for path in game.network.paths])[game.paths_of_agent]
    assert (reachable.sum(axis=1) == 15 * (1 + 2 * lengths.sum(axis=1))).all()
