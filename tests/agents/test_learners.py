"""Learners: against a slow reference, on problems with a known answer, and to the bit where it matters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

import karma_envs
from agents.learners import LearnerConfig, TabularLearner, targets
from agents.learners.tabular.grouping import GROUPINGS
from agents.learners.tabular.kernels import learn, row_maximum
from agents.learners.tabular.schedules import SCHEDULES
from agents.learners.tabular.softmax import Scratch, update_policy
from agents.learners.tabular.targets import ILLEGAL
from karma_envs.config import ConfigError
from karma_envs.game import Transitions
from karma_envs.numerics.sampling import NEVER, padded_width, probabilities_of

ALGORITHMS = ("sarsa", "q_learning", "expected_sarsa")


@dataclass(frozen=True)
class World:
    """As much of a game as a learner looks at."""

    legal_actions: NDArray[np.bool_]
    type_of_agent: NDArray[np.uint8]
    discounts: NDArray[np.float64] = field(default_factory=lambda: np.array([0.9, 0.7]))
    worst_reward: float = -10.0
    best_reward: float = 10.0
    name: str = "world"

    @property
    def n_observations(self) -> int:
        return self.legal_actions.shape[0]

    @property
    def n_actions(self) -> int:
        return self.legal_actions.shape[1]


def bids(highest: list[int]) -> NDArray[np.bool_]:
    """Legal actions as in a karma game: 0 … highest."""
    return np.arange(max(highest) + 1) <= np.array(highest)[:, None]


TWO_TYPES = World(bids([0, 1, 3, 5, 2]), np.array([0, 0, 0, 1, 1, 1], np.uint8))


def learner_of(world: Any, seed: int = 0, **config: Any) -> TabularLearner:
    return TabularLearner(world, LearnerConfig(**config), np.random.default_rng(seed))


def random_transitions(world: World, n_steps: int, rng: np.random.Generator) -> Transitions:
    """Any observations, random legal actions, normal rewards."""
    n_agents = len(world.type_of_agent)
    observations = rng.integers(0, world.n_observations, (n_steps + 1, n_agents)).astype(np.uint16)
    legal = world.legal_actions[observations[:-1]]
    actions = np.argmax((1 + rng.random(legal.shape)) * legal, axis=2).astype(np.uint16)
    rewards = rng.normal(size=(n_steps, n_agents)).astype(np.float32)
    return Transitions(observations, actions, rewards)


def stretch(transitions: Transitions, start: int, stop: int) -> Transitions:
    return Transitions(
        transitions.observations[start : stop + 1],
        transitions.actions[start:stop],
        transitions.rewards[start:stop],
    )


def assert_same_state(one: TabularLearner, other: TabularLearner) -> None:
    first, second = one.state_dict(), other.state_dict()
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def reference_learn(
    q: NDArray[np.float32],
    probabilities: NDArray[np.floating[Any]],
    row_of_agent: list[int],
    learning_agents: list[int],
    discount_of_row: list[float],
    transitions: Transitions,
    rate: float,
    algorithm: str,
) -> NDArray[np.float32]:
    """Q after the transitions, one by one in the order of time, in single precision.

    SARSA leaves out the last transition, which knows no next action.
    """
    q = q.copy()
    n_steps = len(transitions) - (algorithm == "sarsa")
    for step in range(n_steps):
        for agent in learning_agents:
            row = row_of_agent[agent]
            x, a = transitions.observations[step, agent], transitions.actions[step, agent]
            following = transitions.observations[step + 1, agent]
            if algorithm == "sarsa":
                value = q[row, following, transitions.actions[step + 1, agent]]
            elif algorithm == "q_learning":
                value = q[row, following].max()
            else:
                chances = probabilities[row, following]
                value = np.float32(chances @ q[row, following, : len(chances)].astype(np.float64))
            goal = transitions.rewards[step, agent] + np.float32(discount_of_row[row]) * value
            q[row, x, a] += np.float32(rate) * (goal - q[row, x, a])
    return q


# agents 0 1 2 are of type 0, agents 3 4 5 of type 1
GROUPS: dict[str, tuple[list[int], list[int], list[float]]] = {
    "independent": ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], [0.9, 0.9, 0.9, 0.7, 0.7, 0.7]),
    "per_type": ([0, 0, 0, 1, 1, 1], [0, 3], [0.9, 0.7]),
    "pooled": ([0, 0, 0, 1, 1, 1], [0, 1, 2, 3, 4, 5], [0.9, 0.7]),
}


@pytest.mark.parametrize("grouping", GROUPS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_learn_kernel_equals_a_slow_reference(algorithm: str, grouping: str) -> None:
    learner = learner_of(
        TWO_TYPES, algorithm=algorithm, grouping=grouping, learning_rate=0.3, rationality=2, initial_q=-1
    )
    transitions = random_transitions(TWO_TYPES, 60, np.random.default_rng(1))
    expected = reference_learn(
        learner.q, learner.policy.probabilities, *GROUPS[grouping], transitions, 0.3, algorithm
    )
    learner.update(transitions)
    if algorithm == "expected_sarsa":  # its sum may be taken in any order
        legal = expected > ILLEGAL / 2
        np.testing.assert_allclose(learner.q[legal], expected[legal], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(learner.q[~legal], expected[~legal])
    else:
        np.testing.assert_array_equal(learner.q, expected)


@pytest.mark.parametrize("grouping", GROUPS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_learning_in_chunks_is_learning_in_one_piece(algorithm: str, grouping: str) -> None:
    """Two epochs of 40 and 20 steps; SARSA's last transition waits across chunks and epochs."""
    config: dict[str, Any] = {"algorithm": algorithm, "grouping": grouping, "learning_rate": 0.3}
    transitions = random_transitions(TWO_TYPES, 60, np.random.default_rng(2))
    whole, chunked = learner_of(TWO_TYPES, **config), learner_of(TWO_TYPES, **config)
    whole.update(stretch(transitions, 0, 40))
    whole.update(stretch(transitions, 40, 60))
    for start, stop in ((0, 1), (1, 8), (8, 9), (9, 40), (40, 59), (59, 60)):
        chunked.update(stretch(transitions, start, stop), end_of_epoch=stop in (40, 60))
    assert_same_state(whole, chunked)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_epoch_may_be_one_step(algorithm: str) -> None:
    """The policy is that of the present Q after every step, and Q is learned as by the reference."""
    learner = learner_of(TWO_TYPES, algorithm=algorithm, learning_rate=0.3, rationality=2, exploration=0)
    transitions = random_transitions(TWO_TYPES, 30, np.random.default_rng(3))
    q = learner.q.copy()
    for step in range(30):
        if algorithm == "sarsa":  # with the first action of this epoch, the last one is complete
            piece = stretch(transitions, max(step - 1, 0), step + 1)
        else:
            piece = stretch(transitions, step, step + 1)
        q = reference_learn(q, learner.policy.probabilities, *GROUPS["independent"], piece, 0.3, algorithm)
        learner.update(stretch(transitions, step, step + 1))
        np.testing.assert_allclose(learner.q, q, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(learner.policy.thresholds, learner.greedy_policy().thresholds)


# --- problems with a known answer -------------------------------------------------------------------


class Decision:
    """A Markov decision process with two states; action 2 is illegal in state 0, and tempting.

    In state 0, action 0 earns .2; action 1 costs .2 and leads to state 1 with probability .9. State 1
    earns 3 with action 0, 1 with action 1, 0 with action 2, and leads back with probability .7, .3, 0.
    """

    rewards = np.array([[0.2, -0.2, 100.0], [3.0, 1.0, 0.0]])
    to_state_1 = np.array([[0.1, 0.9, 1.0], [0.3, 0.7, 1.0]])
    discount = 0.6

    def __init__(self, n_agents: int) -> None:
        self.world = World(
            np.array([[True, True, False], [True, True, True]]),
            np.zeros(n_agents, np.uint8),
            np.array([self.discount]),
        )
        self.state = np.zeros(n_agents, np.int64)

    def play(self, probabilities: NDArray[Any], n_steps: int, rng: np.random.Generator) -> Transitions:
        """Every agent plays its row (or the only row)."""
        n_agents = len(self.state)
        rows = np.arange(n_agents) % len(probabilities)
        out = Transitions.empty(n_steps, n_agents)
        cumulative = np.cumsum(probabilities, axis=2)[..., :-1]
        draws = rng.random((2, n_steps, n_agents))
        for step in range(n_steps):
            actions = (cumulative[rows, self.state] <= draws[0, step, :, None]).sum(axis=1)
            out.observations[step], out.actions[step] = self.state, actions
            out.rewards[step] = self.rewards[self.state, actions]
            self.state = (draws[1, step] < self.to_state_1[self.state, actions]).astype(np.int64)
        out.observations[n_steps] = self.state
        return out

    def q_of(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Q of a policy ``[state, action]``, from the linear equations for its value."""
        to_1 = (probabilities * self.to_state_1).sum(axis=1)
        kernel = np.stack([1 - to_1, to_1], axis=1)
        value = np.linalg.solve(
            np.eye(2) - self.discount * kernel, (probabilities * self.rewards).sum(axis=1)
        )
        return self.rewards + self.discount * (value[0] + self.to_state_1 * (value[1] - value[0]))

    def best_q(self) -> NDArray[np.float64]:
        """Q of the best of the six deterministic policies, which is best in both states."""
        found = []
        for first in range(2):
            for second in range(3):
                probabilities = np.zeros((2, 3))
                probabilities[0, first] = probabilities[1, second] = 1
                q = self.q_of(probabilities)
                found.append((q[0, first] + q[1, second], q))
        return max(found, key=lambda item: item[0])[1]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_values_are_those_of_the_policy_or_the_best_one(algorithm: str) -> None:
    """Uniform play throughout: SARSA and expected SARSA find Q of that policy, Q-learning Q*.

    50 agents x 4000 steps pooled, seed 4, step size .2 … .0005 as 1/t: a noise of the targets of sd up to
    1.5 gives a standard error of sqrt(.0005/2) * 1.5 = .024 at most; the tolerance is 4 of them.
    """
    decision, rng = Decision(50), np.random.default_rng(4)
    learner = learner_of(
        decision.world,
        algorithm=algorithm,
        grouping="pooled",
        learning_rate=0.2,
        learning_rate_final=0.0005,
        learning_rate_schedule="inverse",
    )
    uniform = np.array([[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(learner.policy.probabilities[0], uniform, rtol=0, atol=1 / NEVER)
    for chunk in range(100):
        learner.update(decision.play(uniform[None], 40, rng), progress=chunk / 100, end_of_epoch=False)
    expected = decision.best_q() if algorithm == "q_learning" else decision.q_of(uniform)
    legal = decision.world.legal_actions
    assert np.abs(learner.q[0, :, :3] - expected)[legal].max() < 0.1
    assert (learner.q[0, :, :3][~legal] == ILLEGAL).all()
    assert np.abs(decision.best_q() - decision.q_of(uniform))[legal].min() > 0.3  # so the test can tell


@pytest.mark.parametrize("grouping", GROUPS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_learner_solves_a_trivial_problem(algorithm: str, grouping: str) -> None:
    """Going to the rich state first is best although it costs; every agent finds out within 40 epochs."""
    decision, rng = Decision(6), np.random.default_rng(5)
    best = np.where(decision.world.legal_actions, decision.best_q(), -np.inf).argmax(axis=1)
    assert best.tolist() == [1, 0]
    assert decision.rewards[0, 0] > decision.rewards[0, 1]
    learner = learner_of(
        decision.world,
        algorithm=algorithm,
        grouping=grouping,
        learning_rate=0.05,
        rationality=20,
        exploration=0.2,
    )
    for _ in range(40):
        learner.update(decision.play(learner.policy.probabilities, 100, rng))
    greedy = learner.greedy_policy().probabilities
    assert len(greedy) == (6 if grouping == "independent" else 1)
    assert (greedy[:, [0, 1], best] > 0.99).all()
    # Exploring a fifth of the time over 2 and 3 actions, plus softmax.
    assert (learner.policy.probabilities[:, 0, 0] > 0.09).all()


# --- grouping --------------------------------------------------------------------------------------


def test_who_learns_from_whom() -> None:
    kinds = np.array([1, 0, 0, 1], np.uint8)
    expected = {
        "independent": ([0, 1, 2, 3], [0, 1, 2, 3]),
        "per_type": ([1, 0, 0, 1], [1, 0]),  # agent 1 stands for type 0, agent 0 for type 1
        "pooled": ([1, 0, 0, 1], [0, 1, 2, 3]),
    }
    assert GROUPINGS.keys() == expected.keys()
    for name, (rows, learning) in expected.items():
        group = GROUPINGS[name](kinds)
        assert group.row_of_agent.tolist() == rows
        assert group.learning_agents.tolist() == learning
        learner = learner_of(World(bids([0, 2]), kinds), grouping=name)
        assert learner.policy.row_of_agent.tolist() == rows
        assert len(learner.q) == max(rows) + 1


@pytest.mark.parametrize("grouping", GROUPS)
def test_learning_touches_what_the_learning_agents_visited(grouping: str) -> None:
    """Q changes in the cells that the group's learning agents visited, in their rows, and nowhere else."""
    learner = learner_of(TWO_TYPES, algorithm="q_learning", grouping=grouping)
    transitions = random_transitions(TWO_TYPES, 4, np.random.default_rng(6))
    before = learner.q.copy()
    learner.update(transitions)
    rows, learning, _ = GROUPS[grouping]
    visited = {
        (rows[agent], int(transitions.observations[step, agent]), int(transitions.actions[step, agent]))
        for step in range(4)
        for agent in learning
    }
    assert set(zip(*(index.tolist() for index in np.nonzero(learner.q != before)))) == visited


# --- from Q to policies ----------------------------------------------------------------------------


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


def test_greedy_policy_is_softmax_without_exploration() -> None:
    learner = learner_of(TWO_TYPES, rationality=4, exploration=0.3, algorithm="q_learning", learning_rate=0.5)
    learner.update(random_transitions(TWO_TYPES, 40, np.random.default_rng(11)))
    before = learner.state_dict()
    greedy = learner.greedy_policy()
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
        np.testing.assert_array_equal(tables[updated], learner.greedy_policy().thresholds[updated])
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


# --- schedules and configuration -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("constant", (0.1, 0.1, 0.1)),
        ("linear", (0.1, 0.055, 0.01)),
        ("exponential", (0.1, np.sqrt(0.001), 0.01)),
        ("inverse", (0.1, 0.1 / 5.5, 0.01)),
    ],
)
def test_schedules_by_hand(name: str, values: tuple[float, float, float]) -> None:
    found = [SCHEDULES[name](0.1, 0.01, progress) for progress in (0.0, 0.5, 1.0)]
    assert found == pytest.approx(values, rel=1e-12)
    final = None if name == "constant" else 0.01
    config = LearnerConfig(learning_rate=0.1, learning_rate_final=final, learning_rate_schedule=name)
    assert [config.rate(progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx(values, rel=1e-12)


def test_every_schedule_has_its_hand_values() -> None:
    assert set(SCHEDULES) == {"constant", "linear", "exponential", "inverse"}


def test_the_rate_follows_the_progress() -> None:
    world = World(bids([1]), np.zeros(1, np.uint8))
    transition = Transitions(
        np.zeros((2, 1), np.uint16), np.zeros((1, 1), np.uint16), np.full((1, 1), -8, np.float32)
    )
    for progress, rate in ((0.0, 0.5), (0.5, 0.375), (1.0, 0.25)):
        learner = learner_of(
            world,
            algorithm="q_learning",
            learning_rate=0.5,
            learning_rate_final=0.25,
            learning_rate_schedule="linear",
        )
        learner.update(transition, progress=progress)
        assert learner.q[0, 0, 0] == -8 * rate


@pytest.mark.parametrize(
    ("field_name", "value", "allowed"),
    [
        ("algorithm", "sarza", "did you mean sarsa"),
        ("grouping", "by_type", "independent, per_type, pooled"),
        ("learning_rate", 0, r"\(0, 1\]"),
        ("learning_rate", 1.5, r"\(0, 1\]"),
        ("learning_rate", "fast", r"\(0, 1\]"),
        ("learning_rate_final", 0.1, "schedule is not constant"),
        ("learning_rate_schedule", "cosine", "constant, linear, exponential, inverse"),
        ("rationality", 0, r"\(0, "),
        ("rationality", float("inf"), r"\(0, "),
        ("exploration", -0.1, r"\[0, 1\]"),
        ("exploration", 1.1, r"\[0, 1\]"),
        ("update_probability", 0, r"\(0, 1\]"),
        ("update_probability", True, r"\(0, 1\]"),
        ("initial_q", float("nan"), "a number"),
    ],
)
def test_a_bad_field_is_named_with_its_value_and_what_is_allowed(
    field_name: str, value: Any, allowed: str
) -> None:
    with pytest.raises(ConfigError, match=rf"{field_name} = {value!r} is not allowed; allowed: .*{allowed}"):
        LearnerConfig(**{field_name: value})


def test_a_schedule_needs_its_final_rate() -> None:
    with pytest.raises(ConfigError, match="learning_rate_final = None is not allowed"):
        LearnerConfig(learning_rate_schedule="linear")
    with pytest.raises(ConfigError, match=r"learning_rate_final = 0 is not allowed; allowed: .*\(0, 1\]"):
        LearnerConfig(learning_rate_schedule="linear", learning_rate_final=0)


def test_algorithms_are_the_files_of_the_folder() -> None:
    assert set(targets()) == set(ALGORITHMS)
    assert {name: target.needs_next_action for name, target in targets().items()} == {
        "sarsa": True,
        "q_learning": False,
        "expected_sarsa": False,
    }


# --- state -----------------------------------------------------------------------------------------


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
@pytest.mark.parametrize("by_agent", [True, False])
def test_learning_is_the_same_uncompiled(algorithm: str, by_agent: bool) -> None:
    target, rng = targets()[algorithm], np.random.default_rng(19)
    transitions = random_transitions(TWO_TYPES, 12, rng)
    start = random_q(TWO_TYPES, 6, rng, spread=1)
    tables = Tables.fresh(TWO_TYPES, 6)
    tables.update(TWO_TYPES, start, 1, 0.1)
    everyone = np.arange(6, dtype=np.int32)
    found = []
    for function in (learn, learn.py_func):
        q, stale = start.copy(), np.zeros((6, 5), np.uint8)
        pending = np.full(6, 2, np.int32), np.zeros(6, np.int32), np.ones(6, np.float32)
        function(
            q, tables.thresholds, stale, everyone, everyone, np.full(6, 0.9, np.float32), *pending,
            transitions.observations, transitions.actions, transitions.rewards,
            np.float32(0.3), target.value, target.needs_next_action, by_agent,
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
    ("reward", "discount", "returns"), [(1e30, 0.9, "1e\\+31"), (1e26, 0.99, "1e\\+28"), (5, 1 - 1e-9, "inf")]
)
def test_returns_that_single_precision_does_not_hold_are_refused(
    reward: float, discount: float, returns: str
) -> None:
    """The last discount is 1 in single precision, and Q would grow for ever."""
    world = World(bids([0, 1]), np.zeros(2, np.uint8), np.array([discount]), worst_reward=-reward)
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
