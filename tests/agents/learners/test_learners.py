"""Learners against a slow reference and problems with a known answer, and who learns from whom."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.learners.tabular.grouping import GROUPINGS
from agents.learners.tabular.targets import ILLEGAL
from karma_envs.numerics.sampling import NEVER
from karma_envs.transitions import Transitions
from tests.agents.learners.learner_worlds import (
    ALGORITHMS,
    GROUPS,
    TWO_TYPES,
    World,
    assert_same_state,
    bids,
    learner_of,
    random_transitions,
    stretch,
)


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
        np.testing.assert_array_equal(learner.policy.thresholds, learner.learned_policy().thresholds)


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
    greedy = learner.learned_policy().probabilities
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
