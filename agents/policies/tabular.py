"""Tabular policies: what simulation, learners, solvers and evaluators exchange."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.policies.table import policy_table
from karma_envs.config import whole
from karma_envs.display import data_frame, html_table
from karma_envs.finite import MOST_INDICES, FiniteGame, check_thresholds
from karma_envs.game import PopulationGame
from karma_envs.numerics.sampling import padded_width, probabilities_of, thresholds_of, uniform_over
from karma_envs.saved_policy import SavedPolicy

if TYPE_CHECKING:
    from pandas import DataFrame

_ROUNDING = 1e-5  # of the sum of a row in float32


class TabularPolicy(SavedPolicy):
    """Probabilities of actions for each tabular observation, for one, each type, or each agent.

    Args:
        probabilities: ``float[rows, observations, actions]``; or ``[observations, actions]`` for one
            row. Rows are non-negative and sum to 1; illegal actions have probability exactly 0. Of
            ``float64`` rows that sum to 1 as nearly as those of ``float32`` do, as where a network's softmax
            was cast, the sums are made 1.
        row_of_agent: ``int[N]``, the row each agent plays; None: row 0 for as many agents as there
            are rows (one agent, one row), which :meth:`for_agents` changes.

    Raises:
        ValueError: naming what is wrong with the arrays.
    """

    FORMAT = "karma-envs tabular policy"

    def __init__(self, probabilities: ArrayLike, row_of_agent: ArrayLike | None = None) -> None:
        array = np.asarray(probabilities)
        array = array[None] if array.ndim == 2 else array
        if array.ndim != 3 or 0 in array.shape or array.dtype.kind != "f":
            raise ValueError(
                "probabilities must be float[rows, observations, actions]; "
                f"these are {array.dtype}{list(array.shape)}"
            )
        if not np.isfinite(array).all() or (array < 0).any():
            raise ValueError("probabilities must be finite and >= 0")
        sums = array.sum(axis=2, dtype=np.float64)
        if (differ := np.abs(sums - 1) > _ROUNDING).any():
            row, observation = (int(index[0]) for index in np.nonzero(differ))
            raise ValueError(
                f"probabilities must sum to 1; row {row}, observation {observation} "
                f"sums to {sums[row, observation]:.10g}"
            )
        if array.dtype == np.float64 and (np.abs(sums - 1) > 1e-9).any():
            array = array / sums[..., None]
        self._n_actions: int = array.shape[2]
        self._probabilities: NDArray[np.floating[Any]] | None = array
        self._thresholds: NDArray[np.uint16] | None = None
        self._row_of_agent = _rows(row_of_agent, len(array))

    @classmethod
    def from_thresholds(
        cls, thresholds: NDArray[np.uint16], n_actions: int, row_of_agent: ArrayLike | None = None
    ) -> TabularPolicy:
        """A policy on the tables it is drawn from, which it does not copy.

        A learner changes such tables in place; :meth:`copy` keeps what the policy is now.

        Args:
            thresholds: ``uint16[rows, observations, width]``, see :mod:`karma_envs.numerics.sampling`.
            n_actions: number of actions.
            row_of_agent: as for the class.
        """
        width = padded_width(n_actions)
        if thresholds.ndim != 3 or thresholds.shape[2] != width or thresholds.dtype != np.uint16:
            raise ValueError(
                f"thresholds of {n_actions} actions must be uint16[rows, observations, {width}]; "
                f"these are {thresholds.dtype}{list(thresholds.shape)}"
            )
        policy = cls.__new__(cls)
        policy._n_actions = n_actions
        policy._probabilities = None
        policy._thresholds = thresholds
        policy._row_of_agent = _rows(row_of_agent, len(thresholds))
        return policy

    @property
    def probabilities(self) -> NDArray[np.floating[Any]]:
        """``float[rows, observations, actions]``; made anew where the policy lives on thresholds."""
        if self._probabilities is not None:
            return self._probabilities
        assert self._thresholds is not None
        return probabilities_of(self._thresholds, self._n_actions)

    def probabilities_of_rows(self, rows: slice) -> NDArray[np.floating[Any]]:
        """The same of some rows, for where those of all would take much memory at once."""
        if self._probabilities is not None:
            return self._probabilities[rows]
        return probabilities_of(self.thresholds[rows], self._n_actions)

    @property
    def thresholds(self) -> NDArray[np.uint16]:
        """``uint16[rows, observations, width]``: the tables that actions are drawn from."""
        if self._thresholds is None:
            assert self._probabilities is not None
            self._thresholds = thresholds_of(self._probabilities)
        return self._thresholds

    @property
    def row_of_agent(self) -> NDArray[np.int32]:
        """``int32[N]``, the row that each agent plays."""
        return self._row_of_agent

    @property
    def n_rows(self) -> int:
        """Number of rows, each a policy that one or more agents play."""
        return len(self._table)

    @property
    def n_observations(self) -> int:
        """Number of tabular observations."""
        return int(self._table.shape[1])

    @property
    def n_actions(self) -> int:
        """Number of actions."""
        return self._n_actions

    @property
    def _table(self) -> NDArray[Any]:
        """The array that the policy lives on."""
        return self.thresholds if self._probabilities is None else self._probabilities

    def __repr__(self) -> str:
        agents, rows = len(self._row_of_agent), self.n_rows
        return (
            f"TabularPolicy({agents} agent{'s' * (agents != 1)}, {rows} row{'s' * (rows != 1)}, "
            f"{self.n_observations} observations × {self.n_actions} actions)"
        )

    def _repr_html_(self) -> str:
        sizes = {"agents": len(self._row_of_agent), "rows": self.n_rows}
        return html_table(
            [{**sizes, "observations": self.n_observations, "actions": self.n_actions}], "tabular policy"
        )

    def to_frame(self, game: PopulationGame | None = None, *, by_agent: bool = False) -> DataFrame:
        """What the policy does as a data frame, see :func:`agents.policies.table.policy_table`.

        Args:
            game: tells what observations and actions mean; None for their numbers alone.
            by_agent: what every agent of the game does; by default the mean over the agents of each type.

        Raises:
            ImportError: where pandas is missing.
            PolicyError: for a policy that does not fit the game.
        """
        return data_frame(policy_table(self, game, by_agent=by_agent))

    def fitted_to(self, game: PopulationGame) -> TabularPolicy:
        """The policy of a game's agents, where this one has a row for all, for each type, or for each kind.

        Raises:
            PolicyError: for a policy that does not fit the game.
        """
        fits = self
        if len(self._row_of_agent) != game.n_agents and isinstance(game, FiniteGame):
            fits = self.for_agents(game.rows_of_agents(self.n_rows))
        game.check_policy(fits)
        return fits

    def for_agents(self, row_of_agent: ArrayLike) -> TabularPolicy:
        """A policy of the same rows, which other agents play, as ``row_of_agent[N]`` says."""
        if self._probabilities is None:
            return self.from_thresholds(self.thresholds, self._n_actions, row_of_agent)
        return TabularPolicy(self._probabilities, row_of_agent)

    def copy(self) -> TabularPolicy:
        """A copy on arrays of its own, which no learner changes."""
        if self._probabilities is None:
            return self.from_thresholds(self.thresholds.copy(), self._n_actions, self._row_of_agent.copy())
        return TabularPolicy(self._probabilities.copy(), self._row_of_agent.copy())

    def mixed_with_uniform(self, exploration: float, legal_actions: NDArray[np.bool_]) -> TabularPolicy:
        """The policy that explores: ``(1 - exploration) pi + exploration * uniform over legal actions``.

        Args:
            exploration: epsilon in [0, 1].
            legal_actions: ``bool[observations, actions]``.
        """
        if not 0 <= exploration <= 1:
            raise ValueError(f"exploration = {exploration!r} is not allowed; allowed: 0 … 1")
        probabilities = self.probabilities
        mixed = (1 - exploration) * probabilities + exploration * uniform_over(legal_actions)
        return TabularPolicy(mixed.astype(probabilities.dtype), self._row_of_agent)

    def mean_actions(self, values: ArrayLike | None = None) -> NDArray[np.float64]:
        """The expectation of what actions are worth, ``float64[rows, observations]``.

        Args:
            values: ``float[actions]``, a number for each action, such as a game's ``bid_of_action``, which
                gives mean bids; None for 0, 1, 2 …

        Raises:
            ValueError: when there is not one number for each action.
        """
        worth = np.arange(self._n_actions) if values is None else np.asarray(values)
        if worth.shape != (self._n_actions,):
            raise ValueError(
                f"values must be a number for each of {self._n_actions} actions; "
                f"these are {worth.dtype}{list(worth.shape)}"
            )
        return np.asarray(self.probabilities @ worth, np.float64)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The number of actions, and arrays: the tables that the policy lives on, and the rows of agents."""
        kind = "thresholds" if self._probabilities is None else "probabilities"
        return {"n_actions": self._n_actions}, {"row_of_agent": self._row_of_agent, kind: self._table}

    @classmethod
    def from_parts(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> TabularPolicy:
        """The policy of :meth:`to_parts`.

        Raises:
            ValueError, KeyError, TypeError: for parts that are of no policy, as of a damaged file.
        """
        if "probabilities" in arrays:
            return cls(arrays["probabilities"], arrays["row_of_agent"])
        thresholds = np.ascontiguousarray(arrays["thresholds"])
        n_actions = whole("n_actions", values["n_actions"], 1, MOST_INDICES)
        policy = cls.from_thresholds(thresholds, n_actions, arrays["row_of_agent"])
        check_thresholds(thresholds, np.ones((policy.n_observations, n_actions), bool))
        return policy


def _rows(row_of_agent: ArrayLike | None, n_rows: int) -> NDArray[np.int32]:
    rows = np.arange(n_rows) if row_of_agent is None else np.asarray(row_of_agent)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or rows.size == 0:
        raise ValueError(f"row_of_agent must be int[N]; this is {rows.dtype}{list(rows.shape)}")
    if rows.min() < 0 or rows.max() >= n_rows:
        raise ValueError(f"row_of_agent must be in 0 … {n_rows - 1}; it is in {rows.min()} … {rows.max()}")
    return rows.astype(np.int32)


POLICY = TabularPolicy
