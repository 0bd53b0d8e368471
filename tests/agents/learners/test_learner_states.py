"""A restored learner goes on identically, and states and returns that no learner has are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import karma_envs
from agents.learners import TabularLearner
from karma_envs.config import ConfigError
from karma_envs.numerics.sampling import NEVER
from tests.agents.learners.learner_worlds import (
    ALGORITHMS,
    TWO_TYPES,
    World,
    assert_same_state,
    bids,
    learner_of,
    random_transitions,
)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_restored_learner_goes_on_identically(algorithm: str) -> None:
    config: dict[str, Any] = {"algorithm": algorithm, "update_probability": 0.5, "learning_rate": 0.3}
    rng = np.random.default_rng(15)
    first, second = learner_of(TWO_TYPES, 1, **config), learner_of(TWO_TYPES, 2, **config)
    for _ in range(3):
        first.update(random_transitions(TWO_TYPES, 10, rng))
    state = first.state_dict()
    second.load_state_dict(state)
    assert_same_state(first, second)
    for _ in range(5):
        transitions = random_transitions(TWO_TYPES, 10, rng)
        first.update(transitions)
        second.update(transitions)
    assert_same_state(first, second)
    assert (state["q"] != first.q).any()  # the state is a copy


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("q", None, r"'q': nothing given, float32\[6, 5, 8\] expected"),
        ("q", np.zeros((5, 5, 8), np.float32), r"'q': float32\[5, 5, 8\] given"),
        ("thresholds", np.zeros((6, 5, 32), np.int32), r"'thresholds': int32\[6, 5, 32\] given"),
        ("pending_observation", np.zeros(7, np.int32), "'pending_observation'"),
        ("streams", None, "'streams': nothing given"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_whole(name: str, wrong: Any, message: str) -> None:
    learner, other = learner_of(TWO_TYPES), learner_of(TWO_TYPES)
    other.update(random_transitions(TWO_TYPES, 10, np.random.default_rng(16)))
    state = other.state_dict()
    if wrong is None:
        del state[name]
    else:
        state[name] = wrong
    before = learner.state_dict()
    with pytest.raises(ValueError, match=message):
        learner.load_state_dict(state)
    for key, array in learner.state_dict().items():
        np.testing.assert_array_equal(array, before[key], err_msg=key)


# --- values that no learner has -------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned() -> TabularLearner:
    """A SARSA learner of two types, whose last transitions are pending."""
    learner = learner_of(TWO_TYPES, rationality=1.0)
    learner.update(random_transitions(TWO_TYPES, 50, np.random.default_rng(0)))
    return learner


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("q", np.nan, r"q\[0, 0, 0\] = nan; allowed: -1e\+28 … 1e\+28"),
        ("q", 1e30, r"q\[0, 0, 0\] = 1e\+30"),
        ("q", -1e30, r"q\[0, 0, 0\] = -1e\+30"),
        ("q", np.inf, r"q\[0, 0, 0\] = inf"),
        ("q", 0, r"q\[0, 0, 1\] = 0.0; allowed: -1e\+30 … -1e\+30"),  # of an illegal action
        ("stale", 255, r"stale\[0, 0\] = 255; allowed: 0 … 1"),
        ("pending_observation", 5, r"pending_observation\[0\] = 5; allowed: -1 … 4"),
        ("pending_observation", -2, r"pending_observation\[0\] = -2"),
        ("pending_observation", 2**31 - 1, r"pending_observation\[0\] = 2147483647"),
        ("pending_action", 6, r"pending_action\[0\] = 6; allowed: 0 … 5"),
        ("pending_action", -1, r"pending_action\[0\] = -1"),
        ("pending_reward", np.nan, r"pending_reward\[0\] = nan; allowed: -10.0 … 10.0"),
        ("pending_reward", 11, r"pending_reward\[0\] = 11.0"),
        ("policy_change", -1, r"policy_change\[0\] = -1.0; allowed: 0 … 5"),
        ("policy_change", np.inf, r"policy_change\[0\] = inf"),
        ("thresholds", 0, "policy row 0: thresholds must rise to 65535"),
    ],
)
def test_a_state_that_no_learner_has_is_refused_by_name(
    learned: TabularLearner, name: str, value: float, says: str
) -> None:
    before = learned.state_dict()
    state = learned.state_dict()
    state[name][...] = value
    with pytest.raises(ValueError, match=says):
        learned.load_state_dict(state)
    for field_name, array in learned.state_dict().items():
        np.testing.assert_array_equal(array, before[field_name])
    learned.load_state_dict(before)


def test_pending_and_played_actions_must_be_legal(learned: TabularLearner) -> None:
    """In observation 0 only action 0 is legal."""
    state = learned.state_dict()
    state["pending_observation"][:], state["pending_action"][:] = 0, 1
    with pytest.raises(ValueError, match="pending_action: an action that is illegal"):
        learned.load_state_dict(state)
    state = learned.state_dict()
    state["thresholds"][1, 0, :3] = 100, NEVER, NEVER
    with pytest.raises(ValueError, match="policy row 1 takes action 1 in observation 0, where it is illegal"):
        learned.load_state_dict(state)


# --- what single precision holds ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reward", "discount", "returns"),
    [(1e30, 0.9, "1e\\+31"), (1e26, 0.99, "1e\\+28"), (5, 1 - 1e-9, "inf"), (np.inf, 0.9, "inf")],
)
def test_returns_that_single_precision_does_not_hold_are_refused(
    reward: float, discount: float, returns: str
) -> None:
    """The last discount is 1 in single precision, and Q would grow for ever."""
    world = World(bids([0, 1]), np.zeros(2, np.uint8), np.array([discount]), reward_bounds=(-reward, 10.0))
    with pytest.raises(ConfigError, match=rf"world cannot be learned: .*discount\) = {returns} in single"):
        learner_of(world)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_largest_returns_are_learned(algorithm: str) -> None:
    """Urgencies at the bound: Q goes to half of the largest return, and policies stay policies."""
    game = karma_envs.make(
        "matching", n_agents=4, urgencies=(9.9e25,), discount=0.9, karma_max=3, karma_mean=1
    )
    game.reset(np.random.default_rng(0))
    learner = learner_of(game, algorithm=algorithm, learning_rate=0.5)
    for _ in range(30):
        learner.update(game.rollout(learner.policy, 100))
    legal = learner.q[:, :, : game.n_actions][:, game.legal_actions]
    assert np.isfinite(legal).all()
    assert -1.001e27 <= legal.min() < -1e26
    learner.load_state_dict(learner.state_dict())
    with pytest.raises(
        ConfigError, match=r"urgencies\[0\] = 1.01e\+26 .*\[0, 1e\+26\]: urgency / \(1 - disc"
    ):
        karma_envs.make("matching", urgencies=(1.01e26,), discount=0.9)
