"""From Q to policies: softmax and exploration, what is recomputed, and the same without compilation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

import karma_envs
from agents.learners import TabularLearner, targets
from agents.learners.tabular import kernels
from agents.learners.tabular.kernels import learn, row_maximum
from agents.learners.tabular.softmax import Scratch, update_policy
from agents.learners.tabular.targets import ILLEGAL
from karma_envs.numerics.sampling import NEVER, padded_width, probabilities_of
from tests.agents.learners.learner_worlds import (
    ALGORITHMS,
    TWO_TYPES,
    World,
    bids,
    learner_of,
    random_transitions,
)


def random_q(world: World, n_rows: int, rng: np.random.Generator, spread: float) -> NDArray[np.float32]:
    q = np.full((n_rows, world.n_observations, -(-world.n_actions // 8) * 8), ILLEGAL, np.float32)
    values = -50 + spread * rng.normal(size=(n_rows, world.n_observations, world.n_actions))
    q[..., : world.n_actions] = np.where(world.legal_actions, values, ILLEGAL)
    return q


@dataclass
class Tables:
    """What :func:`update_policy` works on."""

    thresholds: NDArray[np.uint16]
    stale: NDArray[np.uint8]
    updates: NDArray[np.uint8]
    change: NDArray[np.float64]

    @classmethod
    def fresh(cls, world: World, n_rows: int) -> Tables:
        shape = n_rows, world.n_observations
        return cls(
            np.full((*shape, padded_width(world.n_actions)), NEVER, np.uint16),
            np.ones(shape, np.uint8),
            np.ones(n_rows, np.uint8),
            np.full(n_rows, np.nan),
        )

    def update(
        self, world: World, q: NDArray[np.float32], beta: float, epsilon: float
    ) -> NDArray[np.float64]:
        """Recompute, and give the probabilities."""
        beta, epsilon, scratch = np.float32(beta), np.float32(epsilon), Scratch.of(world.n_actions)
        update_policy(q, self.thresholds, self.stale, self.updates, beta, epsilon, scratch, self.change)
        return probabilities_of(self.thresholds, world.n_actions)


def formula(world: World, q: NDArray[np.float32], beta: float, epsilon: float) -> NDArray[np.float64]:
    """softmax(beta Q) mixed with uniform over the legal actions, in double precision."""
    legal = world.legal_actions
    values = np.where(legal, q[..., : world.n_actions].astype(np.float64), -np.inf)
    weights = np.exp(beta * (values - values.max(axis=2, keepdims=True)))
    softmax = weights / weights.sum(axis=2, keepdims=True)
    return np.asarray((1 - epsilon) * softmax + epsilon * legal / legal.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("epsilon", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("beta", [1e-3, 1.0, 10.0, 1000.0])
def test_policies_are_softmax_mixed_with_uniform(beta: float, epsilon: float) -> None:
    q = random_q(TWO_TYPES, 30, np.random.default_rng(7), spread=1 / beta)
    tables = Tables.fresh(TWO_TYPES, 30)
    found = tables.update(TWO_TYPES, q, beta, epsilon)
    expected = formula(TWO_TYPES, q, beta, epsilon)
    off = np.abs(np.cumsum(found, axis=2) - np.cumsum(expected, axis=2))
    assert off.max() <= 1 / NEVER + 1e-12
    assert (found[:, ~TWO_TYPES.legal_actions] == 0).all()
    assert (tables.thresholds[..., TWO_TYPES.n_actions - 1 :] == NEVER).all()
    if epsilon == 0:
        assert (np.abs(expected - 1 / TWO_TYPES.legal_actions.sum(axis=1)[:, None]) > 0.1).any()


def test_ties_share_and_a_clear_best_takes_all() -> None:
    world = World(bids([2]), np.zeros(1, np.uint8))
    q = np.full((1, 1, 8), ILLEGAL, np.float32)
    q[0, 0, :3] = -3, -2, -2
    assert Tables.fresh(world, 1).update(world, q, 1000, 0)[0, 0].tolist() == pytest.approx(
        [0, 0.5, 0.5], abs=1 / NEVER
    )
    q[0, 0, 2] = -1
    assert Tables.fresh(world, 1).update(world, q, 1000, 0)[0, 0].tolist() == [0, 0, 1]
    assert Tables.fresh(world, 1).update(world, q, 1000, 0.3)[0, 0].tolist() == pytest.approx(
        [0.1, 0.1, 0.8], abs=1 / NEVER
    )


def test_only_stale_rows_are_recomputed_and_to_the_same_bits() -> None:
    rng = np.random.default_rng(8)
    q = random_q(TWO_TYPES, 6, rng, spread=0.1)
    tables = Tables.fresh(TWO_TYPES, 6)
    tables.update(TWO_TYPES, q, 10, 0.05)
    assert not tables.stale.any()

    stale = rng.random(tables.stale.shape) < 0.4
    assert 0 < stale.sum() < stale.size
    q[stale] = random_q(TWO_TYPES, 6, rng, spread=0.1)[stale]
    tables.stale[:] = stale
    tables.update(TWO_TYPES, q, 10, 0.05)
    everything = Tables.fresh(TWO_TYPES, 6)
    everything.update(TWO_TYPES, q, 10, 0.05)
    np.testing.assert_array_equal(tables.thresholds, everything.thresholds)

    tables.thresholds[~stale] = 12345  # is left alone
    tables.stale[:] = stale
    tables.update(TWO_TYPES, q, 10, 0.05)
    assert (tables.thresholds[~stale] == 12345).all()
    np.testing.assert_array_equal(tables.thresholds[stale], everything.thresholds[stale])


def test_rows_that_keep_their_policy_stay_stale() -> None:
    q = random_q(TWO_TYPES, 3, np.random.default_rng(9), spread=0.1)
    tables = Tables.fresh(TWO_TYPES, 3)
    tables.updates[1] = 0
    tables.update(TWO_TYPES, q, 10, 0.05)
    assert (tables.thresholds[1] == NEVER).all()
    assert tables.stale.any(axis=1).tolist() == [False, True, False]
    assert tables.change[1] == 0
    assert (tables.change[[0, 2]] > 0).all()
    tables.updates[:] = 1
    found = tables.update(TWO_TYPES, q, 10, 0.05)
    np.testing.assert_allclose(found, formula(TWO_TYPES, q, 10, 0.05), rtol=0, atol=2 / NEVER)
    assert tables.change[1] > 0
    assert (tables.change[[0, 2]] == 0).all()


def test_policy_change_is_definition_4_1() -> None:
    """Sum over observations of the Wasserstein-1 distance over the highest legal bid."""
    learner = learner_of(TWO_TYPES, learning_rate=0.5, rationality=3, algorithm="q_learning")
    rng = np.random.default_rng(10)
    learner.update(random_transitions(TWO_TYPES, 20, rng))
    before = learner.policy.probabilities
    learner.update(random_transitions(TWO_TYPES, 3, rng))
    after = learner.policy.probabilities
    actions, highest = np.arange(6), TWO_TYPES.legal_actions.sum(axis=1) - 1
    expected = [
        sum(
            wasserstein_distance(actions, actions, before[row, x], after[row, x]) / highest[x]
            for x in range(5)
            if highest[x] > 0
        )
        for row in range(6)
    ]
    assert min(expected) > 0
    np.testing.assert_allclose(learner.policy_change, expected, rtol=1e-9)


def test_the_change_from_one_end_to_the_other_is_one() -> None:
    world = World(bids([0, 4]), np.zeros(1, np.uint8))
    q = np.full((1, 2, 8), ILLEGAL, np.float32)
    q[0, 0, 0] = q[0, 1, :5] = 0
    tables = Tables.fresh(world, 1)
    q[0, 1, 0] = 5
    tables.update(world, q, 1000, 0)
    q[0, 1, 4] = 10
    tables.stale[:] = 1
    tables.update(world, q, 1000, 0)
    assert tables.change.tolist() == [1.0]


def test_the_learned_policy_is_softmax_without_exploration() -> None:
    learner = learner_of(TWO_TYPES, rationality=4, exploration=0.3, algorithm="q_learning", learning_rate=0.5)
    learner.update(random_transitions(TWO_TYPES, 40, np.random.default_rng(11)))
    before = learner.state_dict()
    greedy = learner.learned_policy()
    off = np.abs(np.cumsum(greedy.probabilities - formula(TWO_TYPES, learner.q, 4, 0), axis=2))
    assert off.max() <= 1 / NEVER + 1e-12
    assert np.abs(learner.policy.probabilities - greedy.probabilities).max() > 0.05
    assert greedy.row_of_agent.tolist() == learner.policy.row_of_agent.tolist()
    for name, array in learner.state_dict().items():  # asking changes nothing
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_policies_are_updated_with_the_probability_asked_for() -> None:
    """Of 1000 rows 300 are updated on average, sd sqrt(1000 * .3 * .7) = 14.5; seed 12, within 4 sd.

    A row that is not updated keeps its policy, and later takes in all that it has learned since.
    """
    world = World(bids([2, 2]), np.zeros(1000, np.uint8))
    learner = learner_of(
        world,
        seed=12,
        algorithm="q_learning",
        learning_rate=0.5,
        rationality=1,
        exploration=0,
        update_probability=0.3,
    )
    rng = np.random.default_rng(13)
    ever = np.zeros(1000, bool)
    for visited in (0, 1, 0, 1):
        transitions = random_transitions(world, 2, rng)
        transitions.observations[:-1] = visited
        transitions.rewards[:] = -1 - rng.random(transitions.rewards.shape)
        before = learner.policy.thresholds.copy()
        learner.update(transitions)
        tables = learner.policy.thresholds
        updated = (tables != before).any(axis=(1, 2))
        ever |= updated
        assert abs(updated.sum() - 300) < 4 * 14.5
        np.testing.assert_array_equal(learner.policy_change > 0, updated)
        np.testing.assert_array_equal(tables[updated], learner.learned_policy().thresholds[updated])
        np.testing.assert_array_equal(~learner.state_dict()["stale"].any(axis=1), updated)
    # Rows never updated in four turns: .7^4 = .2401, sd sqrt(1000 * .24 * .76) = 13.5.
    assert abs((~ever).sum() - 240.1) < 4 * 13.5


def test_a_learner_gives_the_same_object_changed_in_place() -> None:
    learner = learner_of(TWO_TYPES)
    policy = learner.policy
    kept = policy.copy()
    transitions = random_transitions(TWO_TYPES, 20, np.random.default_rng(14))
    assert learner.update(transitions, end_of_epoch=False) is policy
    np.testing.assert_array_equal(policy.thresholds, kept.thresholds)
    assert learner.update(transitions) is policy
    assert (policy.thresholds != kept.thresholds).any()


# --- compiled and not ------------------------------------------------------------------------------


def test_targets_mean_the_same_uncompiled() -> None:
    rng = np.random.default_rng(17)
    q = random_q(TWO_TYPES, 3, rng, spread=1)
    tables = Tables.fresh(TWO_TYPES, 3)
    tables.update(TWO_TYPES, q, 1, 0.1)
    highest = TWO_TYPES.legal_actions.sum(axis=1)
    for row in range(3):
        for x in range(5):
            assert row_maximum(q, row, x) == row_maximum.py_func(q, row, x) == q[row, x].max()
            action = int(rng.integers(highest[x]))
            for name, target in targets().items():
                compiled = target.value(q, tables.thresholds, row, x, action)
                plain = target.value.py_func(q, tables.thresholds, row, x, action)  # type: ignore[attr-defined]
                assert compiled == pytest.approx(plain, rel=1e-6 if name == "expected_sarsa" else 0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("by_agent", "ended"), [(True, False), (False, False), (True, True)])
def test_learning_is_the_same_uncompiled(algorithm: str, by_agent: bool, ended: bool) -> None:
    target, rng = targets()[algorithm], np.random.default_rng(19)
    transitions = random_transitions(TWO_TYPES, 12, rng)
    start = random_q(TWO_TYPES, 6, rng, spread=1)
    tables = Tables.fresh(TWO_TYPES, 6)
    tables.update(TWO_TYPES, start, 1, 0.1)
    everyone = np.arange(6, dtype=np.int32)
    found = []
    for function in (learn, learn.py_func):
        q, stale = start.copy(), np.zeros((6, 5), np.uint8)
        discounts = np.full(6, 0.9, np.float32)
        rows = kernels.Tables(q, tables.thresholds, stale, everyone, everyone, discounts)
        pending = kernels.Pending(np.full(6, 2, np.int32), np.zeros(6, np.int32), np.ones(6, np.float32))
        function(
            rows, pending, transitions.columns,
            np.float32(0.3), target.value, target.needs_next_action, by_agent, ended,
        )  # fmt: skip
        found.append((q, stale, *pending))
    for compiled, plain in zip(*found):
        np.testing.assert_array_equal(compiled, plain)


def test_an_agent_takes_at_most_8_kib_of_tables() -> None:
    game = karma_envs.make("matching")
    learner = TabularLearner(game)
    tables = learner.policy.thresholds
    assert learner.q.dtype == np.float32
    assert tables.dtype == np.uint16
    assert learner.q.nbytes + tables.nbytes <= 8192 * game.n_agents
    for array in (learner.q, tables):
        assert array.ctypes.data % 64 == 0
