"""The tabular learner: Q tables in groups, learned from transitions, softmax policies from Q."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.learners.tabular.grouping import GROUPINGS
from agents.learners.tabular.kernels import learn
from agents.learners.tabular.schedules import SCHEDULES
from agents.learners.tabular.softmax import Scratch, update_policy
from agents.learners.tabular.targets import ILLEGAL, targets
from agents.policies.tabular import TabularPolicy
from karma_envs.config import Config, ConfigError, choice, real, refuse
from karma_envs.finite import check_thresholds
from karma_envs.game import LARGEST_RETURN, PopulationGame
from karma_envs.numerics.random import new_streams, next_uniform
from karma_envs.numerics.sampling import NEVER, aligned_empty, padded_width
from karma_envs.states import Allowed, check_arrays, check_values
from karma_envs.transitions import Transitions

_Q_LANES = 8  # rows of Q are padded to whole vector registers of float32
_Q_MOST = 10 * LARGEST_RETURN  # with room for rounding; far from ILLEGAL, and from what float32 holds


@dataclass(frozen=True)
class LearnerConfig(Config):
    """Configuration of the tabular learner; the defaults are the Thesis' (section 6.1.1).

    Attributes:
        algorithm: sarsa, q_learning or expected_sarsa.
        grouping: independent (a table per agent), per_type (a table per type, learned from one
            representative agent) or pooled (a table per type, learned from all its agents).
        learning_rate: alpha, the step size, in (0, 1]; Q is in single precision, where steps of less than
            6e-8 of Q are lost.
        learning_rate_final: alpha at the end of the run, for a schedule other than constant.
        learning_rate_schedule: constant, linear, exponential or inverse (as 1/t).
        rationality: beta of the policy softmax(beta Q), bounded rationality; > 0.
        exploration: epsilon, the share of uniformly random legal actions, in [0, 1]; probabilities are
            multiples of 1/65535, so that with less than that for each action some are never explored.
        update_probability: p_update, with which a policy is updated at the end of an epoch.
        initial_q: Q_0, the value all Q start from.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    algorithm: str = "sarsa"
    grouping: str = "independent"
    learning_rate: float = 0.01
    learning_rate_final: float | None = None
    learning_rate_schedule: str = "constant"
    rationality: float = 1000.0
    exploration: float = 0.05
    update_probability: float = 1.0
    initial_q: float = 0.0

    def __post_init__(self) -> None:
        choice("algorithm", self.algorithm, targets())
        choice("grouping", self.grouping, GROUPINGS)
        choice("learning_rate_schedule", self.learning_rate_schedule, SCHEDULES)
        self._set(
            learning_rate=real("learning_rate", self.learning_rate, 0, 1, open_low=True),
            rationality=real("rationality", self.rationality, 0, 1e9, open_low=True),
            exploration=real("exploration", self.exploration, 0, 1),
            update_probability=real("update_probability", self.update_probability, 0, 1, open_low=True),
            initial_q=real("initial_q", self.initial_q, -1e6, 1e6),
        )
        if (self.learning_rate_final is None) != (self.learning_rate_schedule == "constant"):
            raise refuse(
                "learning_rate_final",
                self.learning_rate_final,
                "a number where learning_rate_schedule is not constant, and only there",
            )
        if self.learning_rate_final is not None:
            final = real("learning_rate_final", self.learning_rate_final, 0, 1, open_low=True)
            self._set(learning_rate_final=final)

    def rate(self, progress: float) -> float:
        """alpha when a share ``progress`` of the run is done."""
        final = self.learning_rate if self.learning_rate_final is None else self.learning_rate_final
        return SCHEDULES[self.learning_rate_schedule](self.learning_rate, final, progress)


def check_returns(game: PopulationGame) -> None:
    """Refuse a game whose returns do not fit in single precision, in which Q is learned.

    Raises:
        ConfigError: saying how large returns are, and how large they may be.
    """
    reward = max(abs(bound) for bound in game.reward_bounds)
    for discount in game.discounts:
        away_from_one = float(np.float32(1) - np.float32(discount))
        if reward > LARGEST_RETURN * away_from_one:
            raise ConfigError(
                f"{game.name} cannot be learned: rewards up to {reward:g} and discount {discount!s} make "
                f"returns max|r| / (1 - discount) = {reward / away_from_one if away_from_one else np.inf:g} "
                f"in single precision; allowed: {LARGEST_RETURN:g}"
            )


class TabularLearner:
    """Learns Q tables and the policies that follow from them (Thesis, Algorithms 1 and 2).

    The policy is fixed while transitions of one epoch arrive and is recomputed at its end.

    Differences from the source: with SARSA the last transition of an epoch is completed by the first
    action of the next, so that no transition is lost. Q is float32.

    Args:
        game: the game to learn.
        config: the configuration; the defaults if None.
        rng: seeds the draws of ``update_probability``.

    Raises:
        ConfigError: for a game whose returns do not fit in single precision.

    Attributes:
        q: ``float32[rows, observations, width]``, the Q table; illegal entries are below -1e29.
        policy: what the agents play, exploration included; changed in place at the end of an epoch.
        policy_change: ``float64[rows]``, how far the last update moved each row (Definition 4.1).
    """

    def __init__(
        self,
        game: PopulationGame,
        config: LearnerConfig | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        check_returns(game)
        self.config = config or LearnerConfig()
        self._target = targets()[self.config.algorithm]
        group = GROUPINGS[self.config.grouping](game.type_of_agent)
        self._row_of_agent, self._learning_agents = group.row_of_agent, group.learning_agents
        n_rows = int(group.row_of_agent.max()) + 1
        n_learners = len(group.learning_agents)
        type_of_row = np.zeros(n_rows, np.uint8)
        type_of_row[group.row_of_agent] = game.type_of_agent
        self._discount_of_row = game.discounts[type_of_row].astype(np.float32)
        self._n_actions = game.n_actions
        self._legal_actions = game.legal_actions
        worst, best = game.reward_bounds
        self._rewards = np.float32(min(worst, 0)), np.float32(max(best, 0))

        width = -(-game.n_actions // _Q_LANES) * _Q_LANES
        self.q: NDArray[np.float32] = aligned_empty((n_rows, game.n_observations, width), np.float32)
        start = np.full((game.n_observations, width), ILLEGAL, np.float32)
        start[:, : game.n_actions][game.legal_actions] = self.config.initial_q
        self.q[:] = start
        thresholds = aligned_empty((n_rows, game.n_observations, padded_width(game.n_actions)), np.uint16)
        thresholds[:] = NEVER
        self.policy = TabularPolicy.from_thresholds(thresholds, game.n_actions, group.row_of_agent)
        self.policy_change = np.zeros(n_rows)
        self._stale = np.ones((n_rows, game.n_observations), np.uint8)
        self._pending_observation = np.full(n_learners, -1, np.int32)
        self._pending_action = np.zeros(n_learners, np.int32)
        self._pending_reward = np.zeros(n_learners, np.float32)
        self._streams = new_streams(rng or np.random.default_rng(), 1)
        self._scratch = Scratch.of(game.n_actions)
        self._recompute(np.ones(n_rows, np.uint8))

    def update(
        self, transitions: Transitions, *, progress: float = 0.0, end_of_epoch: bool = True
    ) -> TabularPolicy:
        """Learn from transitions that were played with the current policy.

        Args:
            transitions: the next stretch of play of the game.
            progress: share of the run that is done, in [0, 1], for the learning rate's schedule.
            end_of_epoch: whether to recompute the policy now.

        Returns:
            the policy to play next: always the same object, changed in place.

        Raises:
            ValueError: when the arrays' shapes or dtypes are not those of the game's transitions.
        """
        transitions.check(len(self._row_of_agent))
        learn(
            self.q,
            self.policy.thresholds,
            self._stale,
            self._row_of_agent,
            self._learning_agents,
            self._discount_of_row,
            self._pending_observation,
            self._pending_action,
            self._pending_reward,
            transitions.observations,
            transitions.actions,
            transitions.rewards,
            np.float32(self.config.rate(progress)),
            self._target.value,
            self._target.needs_next_action,
            self.config.grouping == "independent",
        )
        if end_of_epoch:
            self._recompute(self._draw_updates())
        return self.policy

    def _draw_updates(self) -> NDArray[np.uint8]:
        n_rows, probability = len(self.q), self.config.update_probability
        if probability == 1.0:
            return np.ones(n_rows, np.uint8)
        draws = [next_uniform(self._streams, 0) for _ in range(n_rows)]
        return (np.array(draws) < probability).astype(np.uint8)

    def _recompute(self, updates: NDArray[np.uint8]) -> None:
        update_policy(
            self.q,
            self.policy.thresholds,
            self._stale,
            updates,
            np.float32(self.config.rationality),
            np.float32(self.config.exploration),
            self._scratch,
            self.policy_change,
        )

    def greedy_policy(self) -> TabularPolicy:
        """The policy softmax(beta Q) of the present Q, without exploration; a new object."""
        thresholds = aligned_empty(self.policy.thresholds.shape, np.uint16)
        thresholds[:] = NEVER
        n_rows = len(self.q)
        update_policy(
            self.q,
            thresholds,
            np.ones_like(self._stale),
            np.ones(n_rows, np.uint8),
            np.float32(self.config.rationality),
            np.float32(0.0),
            self._scratch,
            np.empty(n_rows),
        )
        return TabularPolicy.from_thresholds(thresholds, self._n_actions, self._row_of_agent)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "q": self.q,
            "thresholds": self.policy.thresholds,
            "stale": self._stale,
            "pending_observation": self._pending_observation,
            "pending_action": self._pending_action,
            "pending_reward": self._pending_reward,
            "streams": self._streams,
            "policy_change": self.policy_change,
        }

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """All arrays that learning has changed; copies."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a state of :meth:`state_dict`, of a learner of the same game and configuration.

        Raises:
            ValueError: when a name, shape or dtype differs, or for values that no learner has; nothing has
                changed then.
        """
        arrays = self._arrays()
        check_arrays("learner", state, arrays)
        check_values("learner", state, self._allowed())
        pending = np.maximum(state["pending_observation"], 0)
        if not self._legal_actions[pending, state["pending_action"]].all():
            raise ValueError("learner state pending_action: an action that is illegal in its observation")
        check_thresholds(state["thresholds"], self._legal_actions)
        for name, array in arrays.items():
            array[...] = state[name]

    def _allowed(self) -> dict[str, Allowed]:
        """What the arrays may hold; thresholds are looked at otherwise."""
        n_observations, n_actions = self._legal_actions.shape
        least_q = np.full(self.q.shape[1:], ILLEGAL)
        most_q = least_q.copy()
        least_q[:, :n_actions][self._legal_actions] = -_Q_MOST
        most_q[:, :n_actions][self._legal_actions] = _Q_MOST
        return {
            "q": (least_q, most_q),
            "thresholds": None,
            "stale": (0, 1),
            "pending_observation": (-1, n_observations - 1),
            "pending_action": (0, n_actions - 1),
            "pending_reward": self._rewards,
            "streams": None,
            "policy_change": (0, n_observations),
        }
