"""The tabular learner: Q tables in groups, learned from transitions, softmax policies from Q."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.learners.tabular.config import TabularConfig
from agents.learners.tabular.grouping import GROUPINGS
from agents.learners.tabular.kernels import Pending, Tables, learn
from agents.learners.tabular.softmax import Scratch, update_policy
from agents.learners.tabular.tables import check_returns, q_width
from agents.learners.tabular.targets import ILLEGAL, targets
from agents.policies.tabular import TabularPolicy
from karma_envs.finite import as_finite, check_thresholds
from karma_envs.game import LARGEST_RETURN, PopulationGame
from karma_envs.numerics.random import new_streams, next_uniform
from karma_envs.numerics.sampling import NEVER, aligned_empty, padded_width
from karma_envs.states import Allowed, check_arrays, check_values
from karma_envs.transitions import Transitions

_Q_MOST = 10 * LARGEST_RETURN  # with room for rounding; far from ILLEGAL, and from what float32 holds


class TabularLearner:
    """Learns Q tables and the policies that follow from them (Thesis, Algorithms 1 and 2).

    The policy is fixed while transitions of one epoch arrive and is recomputed at its end. The last
    transition of a game that is over is learned from its reward alone.

    Differences from the source: with SARSA the last transition of an epoch is completed by the first
    action of the next, so that no transition is lost. Q is float32.

    Args:
        game: the game to learn.
        config: the configuration; the defaults if None.
        rng: seeds the draws of ``update_probability``.

    Raises:
        ConfigError: for a game without tables, or whose returns do not fit in single precision.

    Attributes:
        q: ``float32[rows, observations, width]``, the Q table; illegal entries are below -1e29.
        policy: what the agents play, exploration included; changed in place at the end of an epoch.
        policy_change: ``float64[rows]``, how far the last update moved each row (Definition 4.1).
    """

    def __init__(
        self,
        game: PopulationGame,
        config: TabularConfig | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        game = as_finite(game)
        check_returns(game)
        self.config = config or TabularConfig()
        self._target = targets()[self.config.algorithm]
        group = GROUPINGS[self.config.grouping](game.type_of_agent)
        n_rows = int(group.row_of_agent.max()) + 1
        n_learners = len(group.learning_agents)
        type_of_row = np.zeros(n_rows, np.uint8)
        type_of_row[group.row_of_agent] = game.type_of_agent
        self._n_actions = game.n_actions
        self._legal_actions = game.legal_actions
        worst, best = game.reward_bounds
        self._rewards = np.float32(min(worst, 0)), np.float32(max(best, 0))

        width = q_width(game.n_actions)
        self.q: NDArray[np.float32] = aligned_empty((n_rows, game.n_observations, width), np.float32)
        start = np.full((game.n_observations, width), ILLEGAL, np.float32)
        start[:, : game.n_actions][game.legal_actions] = self.config.initial_q
        self.q[:] = start
        thresholds = aligned_empty((n_rows, game.n_observations, padded_width(game.n_actions)), np.uint16)
        thresholds[:] = NEVER
        self.policy = TabularPolicy.from_thresholds(thresholds, game.n_actions, group.row_of_agent)
        self.policy_change = np.zeros(n_rows)
        self._tables = Tables(
            q=self.q,
            thresholds=thresholds,
            stale=np.ones((n_rows, game.n_observations), np.uint8),
            row_of_agent=group.row_of_agent,
            learning_agents=group.learning_agents,
            discount_of_row=game.discounts[type_of_row].astype(np.float32),
        )
        self._pending = Pending(
            observation=np.full(n_learners, -1, np.int32),
            action=np.zeros(n_learners, np.int32),
            reward=np.zeros(n_learners, np.float32),
        )
        self._streams = new_streams(rng or np.random.default_rng(), 1)
        self._scratch = Scratch.of(game.n_actions)
        self._recompute(np.ones(n_rows, np.uint8))

    def update(
        self, played: Transitions, *, progress: float = 0.0, end_of_epoch: bool = True
    ) -> TabularPolicy:
        """Learn from transitions that were played with the current policy.

        Args:
            played: the next stretch of play of the game.
            progress: share of the run that is done, in [0, 1], for the learning rate's schedule.
            end_of_epoch: whether to recompute the policy now.

        Returns:
            the policy to play next: always the same object, changed in place.

        Raises:
            ValueError: when the arrays' shapes or dtypes are not those of the game's transitions.
        """
        played.check(len(self._tables.row_of_agent))
        learn(
            self._tables,
            self._pending,
            played.columns,
            np.float32(self.config.rate(progress)),
            self._target.value,
            self._target.needs_next_action,
            self.config.grouping == "independent",
            played.ended,
        )
        if end_of_epoch:
            self.update_policy()
        return self.policy

    def update_policy(self) -> None:
        """Recompute the policy from Q, each row with probability ``update_probability``: an epoch's end."""
        self._recompute(self._draw_updates())

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
            self._tables.stale,
            updates,
            np.float32(self.config.rationality),
            np.float32(self.config.exploration),
            self._scratch,
            self.policy_change,
        )

    def learned_policy(self) -> TabularPolicy:
        """The policy softmax(beta Q) of the present Q, without exploration; a new object."""
        thresholds = aligned_empty(self.policy.thresholds.shape, np.uint16)
        thresholds[:] = NEVER
        n_rows = len(self.q)
        update_policy(
            self.q,
            thresholds,
            np.ones_like(self._tables.stale),
            np.ones(n_rows, np.uint8),
            np.float32(self.config.rationality),
            np.float32(0.0),
            self._scratch,
            np.empty(n_rows),
        )
        return TabularPolicy.from_thresholds(thresholds, self._n_actions, self._tables.row_of_agent)

    def greedy_policy(self) -> TabularPolicy:
        """What :meth:`learned_policy` was called, though it is softmax(beta Q) and not greedy."""
        warnings.warn("greedy_policy is now learned_policy", DeprecationWarning, stacklevel=2)
        return self.learned_policy()

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "q": self.q,
            "thresholds": self.policy.thresholds,
            "stale": self._tables.stale,
            "pending_observation": self._pending.observation,
            "pending_action": self._pending.action,
            "pending_reward": self._pending.reward,
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
