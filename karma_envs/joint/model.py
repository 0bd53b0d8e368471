"""What a game of few agents offers, so that its joint process can be evaluated exactly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


class DeviatorProblem(ABC):
    """What one agent faces among N - 1 others who play a given policy: a Markov decision process.

    A state s says where everybody is: the agent itself, and the others up to who is who. The agent observes
    of it ``own_observation[s]``.

    Attributes:
        discount: gamma of the agent.
        own_observation: ``int64[S]``, the agent's tabular observation in each state.
        legal_actions: ``bool[X, A]``, by observation.
    """

    discount: float
    own_observation: NDArray[np.int64]
    legal_actions: NDArray[np.bool_]

    @property
    def n_states(self) -> int:
        """S."""
        return len(self.own_observation)

    @property
    @abstractmethod
    def start(self) -> NDArray[np.float64]:
        """Where everybody is when the game begins, ``float64[S]``."""

    @property
    @abstractmethod
    def reward(self) -> NDArray[np.float64]:
        """Expected reward of the agent, ``float64[S, A]``; 0 for illegal actions."""

    @abstractmethod
    def following(
        self, value: NDArray[np.float64], weights: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """The sum over s' of P(s' | s, a) V(s'), ``float64[S, A]``; 0 for illegal actions.

        Args:
            value: V, ``float64[S]``.
            weights: ``float64[S, A]``; where they are 0 the result is not needed. All legal ones are if None.
        """

    @abstractmethod
    def pushed(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where everybody is after a step, ``float64[S]``: the transpose of :meth:`following`.

        Args:
            flow: mu(s) pi(a | s), ``float64[S, A]``.
        """

    @cached_property
    def legal(self) -> NDArray[np.float64]:
        """1 for legal actions, ``float64[S, A]``."""
        return self.legal_actions[self.own_observation].astype(np.float64)

    def played(self, policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """What an agent does in each state that sees its own observation alone, ``float64[S, A]``.

        Args:
            policy: ``float64[X, A]``.
        """
        return np.asarray(policy[self.own_observation])


class JointModel(ABC):
    """A game of N agents, exactly.

    Agents of one *kind* are of one type and play alike; who is who among them does not matter.

    Attributes:
        agents_of_kind: ``int64[kinds]``, how many there are.
        type_of_kind: ``int64[kinds]``.
        discounts: ``float64[kinds]``, gamma.
        legal_actions: ``bool[X, A]``.
    """

    agents_of_kind: NDArray[np.int64]
    type_of_kind: NDArray[np.int64]
    discounts: NDArray[np.float64]
    legal_actions: NDArray[np.bool_]

    @property
    def n_agents(self) -> int:
        """N."""
        return int(self.agents_of_kind.sum())

    @property
    def masses(self) -> NDArray[np.float64]:
        """``float64[kinds]``, shares of the population."""
        return np.asarray(self.agents_of_kind / self.agents_of_kind.sum())

    @abstractmethod
    def check_size(self) -> None:
        """Refuse a game of more joint states than memory and time are for, before any work.

        Raises:
            ConfigError: naming how many there are, and what makes them fewer.
        """

    @abstractmethod
    def deviator(self, kind: int, policy: NDArray[np.float64]) -> DeviatorProblem:
        """What an agent of a kind faces while all others play a policy.

        Args:
            kind: the agent's.
            policy: ``float64[kinds, X, A]``, what the others play.

        Raises:
            ConfigError: for a game that is too large, see :meth:`check_size`.
        """
