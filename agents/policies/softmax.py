"""Tables of logits: the differentiable policies of finite games."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.policies.tabular import TabularPolicy
from karma_envs.finite import FiniteGame
from karma_envs.numerics.sampling import softmax

LARGEST_LOGIT = 15.0
"""Bound of logits: actions whose logits are so far apart differ by e^30 in probability."""


class SoftmaxPolicy(TabularPolicy):
    """pi(a | x) proportional to exp(theta[x, a]) over the actions that are legal in x.

    Its parameters are the logits theta of legal actions, in the order of rows, observations and actions, so
    that there are p = rows * (number of legal pairs) of them. A :class:`TabularPolicy` of its probabilities,
    and a :class:`karma_envs.parametric.DifferentiablePolicy`.

    Args:
        logits: ``float[rows, observations, actions]`` within +-15; those of illegal actions do not matter.
        legal_actions: ``bool[observations, actions]``, at least one for each observation.
        row_of_agent: as in :class:`TabularPolicy`.

    Raises:
        ValueError: when shapes do not fit, or logits are out of range.
    """

    FORMAT = "karma-envs softmax policy"

    def __init__(
        self, logits: ArrayLike, legal_actions: ArrayLike, row_of_agent: ArrayLike | None = None
    ) -> None:
        table, self.legal_actions = np.array(logits, np.float64), np.array(legal_actions, np.bool_)
        if table.ndim != 3 or table.shape[1:] != self.legal_actions.shape:
            raise ValueError(
                f"logits must be float[rows, {', '.join(map(str, self.legal_actions.shape))}], as the table "
                f"of legal actions is; these are {table.dtype}{list(table.shape)}"
            )
        if not (np.abs(table[:, self.legal_actions]) <= LARGEST_LOGIT).all():
            raise ValueError(f"logits of legal actions must be within -{LARGEST_LOGIT} … {LARGEST_LOGIT}")
        self.logits = np.where(self.legal_actions, table, -np.inf)
        super().__init__(softmax(self.logits), row_of_agent)

    @classmethod
    def uniform(cls, game: FiniteGame) -> SoftmaxPolicy:
        """All legal actions alike, for a game's agents: a row for each of its types."""
        logits = np.zeros((len(game.discounts), *game.legal_actions.shape))
        return cls(logits, game.legal_actions, game.type_of_agent)

    @property
    def parameters(self) -> NDArray[np.float64]:
        """The logits of legal actions, ``float64[p]``."""
        return self.logits[:, self.legal_actions].ravel()

    @property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """-15 and 15 for all."""
        size = self.n_rows * int(self.legal_actions.sum())
        return np.full(size, -LARGEST_LOGIT), np.full(size, LARGEST_LOGIT)

    def with_parameters(self, parameters: NDArray[np.float64]) -> Self:
        """The policy of other logits, ``float64[p]``."""
        logits = np.zeros(self.logits.shape)
        logits[:, self.legal_actions] = parameters.reshape(self.n_rows, -1)
        return type(self)(logits, self.legal_actions, self.row_of_agent)

    def score(self, observations: NDArray[Any], actions: NDArray[Any]) -> NDArray[np.float64]:
        """The gradient of log pi(a | x), ``float64[n, p]``: 1{b = a} - pi(b | x) for the logit of x and b.

        Args:
            observations: ``int[n]``, row * X + x.
            actions: ``int[n]``, legal ones.
        """
        rows, numbers = np.divmod(observations.astype(np.int64), self.n_observations)
        pairs = np.arange(len(numbers))
        score = np.zeros((len(numbers), *self.logits.shape))
        score[pairs, rows, numbers] = -np.asarray(self.probabilities)[rows, numbers]
        score[pairs, rows, numbers, actions] += 1
        return score[:, :, self.legal_actions].reshape(len(numbers), -1)

    def copy(self) -> Self:
        """A copy on arrays of its own."""
        return self.with_parameters(self.parameters)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Arrays: logits (0 where illegal), what is legal, and the rows of agents."""
        arrays = {
            "logits": np.where(self.legal_actions, self.logits, 0),
            "legal_actions": self.legal_actions,
            "row_of_agent": self.row_of_agent,
        }
        return {}, arrays

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The policy of :meth:`to_parts`."""
        return cls(arrays["logits"], arrays["legal_actions"], arrays["row_of_agent"])


POLICY = SoftmaxPolicy
