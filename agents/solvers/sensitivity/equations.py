"""The equations F(u, p) = 0 of an equilibrium, as functions of its unknowns u and of a parameter p.

Of a Nash equilibrium the unknowns are the statistic z, the value V, and the probabilities of the actions that
are played in states with several of them; the equations are those of
:mod:`agents.solvers.continuation.support`:

    z = z(mu, pi),   Q(x, a) = V(x) for every action played,   sum over a of pi(a | x) = 1.

Of a logit equilibrium they are V and z, with pi = (1 - epsilon) softmax(beta Q) + epsilon uniform:

    V(x) = sum over a of pi(a | x) Q(x, a),   z = z(mu, pi).

mu is stationary where agents face z and play pi. States that nobody is ever in keep their one action.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.linearisation import Linearisation
from agents.solvers.continuation.support import Support
from agents.solvers.sensitivity.population import NEVER_VISITED, Population
from karma_envs.mean_field import DecisionProblem, FiniteMeanFieldModel
from karma_envs.mean_field.dynamic_programming import q_values
from karma_envs.numerics.sampling import softmax, uniform_over

_PLAYED = 1e-9
_AS_GOOD = 1e-7  # over the greatest value


@dataclass(frozen=True)
class Setting:
    """What an equilibrium is one of.

    Attributes:
        model: the mean-field model.
        rationality: beta of a logit equilibrium, per unit of payoff; infinite of a Nash equilibrium.
        exploration: epsilon of a logit equilibrium's population.
    """

    model: FiniteMeanFieldModel
    rationality: float = np.inf
    exploration: float = 0.0


class Equations(ABC):
    """The equations around an equilibrium.

    Args:
        setting: what it is one of.
        equilibrium: the population of it.

    Attributes:
        setting: as given.
        equilibrium: as given.
        unknowns: u, ``float64[n]``, of the equilibrium.
    """

    unknowns: NDArray[np.float64]

    def __init__(self, setting: Setting, equilibrium: Population) -> None:
        self.setting, self.equilibrium = setting, equilibrium

    @abstractmethod
    def population(
        self, setting: Setting, unknowns: NDArray[np.float64], besides: NDArray[np.float64] | None = None
    ) -> Population:
        """The population of some unknowns, a root or near one.

        Args:
            setting: of as many types, states and actions as that of the equilibrium.
            unknowns: u, ``float64[n]``.
            besides: ``float64[types, X, A]``, is added to the policy; nothing if None.
        """

    @abstractmethod
    def residual(self, setting: Setting, population: Population) -> NDArray[np.float64]:
        """F, ``float64[n]``, what the equations lack of 0."""

    def residual_in_units(self, population: Population) -> NDArray[np.float64]:
        """F at the equilibrium's setting, with values over the greatest of them, ``float64[n]``."""
        unit = max(float(np.abs(self.equilibrium.value).max()), 1e-300)
        residual = self.residual(self.setting, population)
        residual[self.of_values] /= unit
        return residual

    @property
    @abstractmethod
    def of_values(self) -> slice:
        """The equations that are told in units of payoff."""

    @property
    @abstractmethod
    def value_columns(self) -> NDArray[np.int64]:
        """The places of V among the unknowns, by type and state."""

    @property
    @abstractmethod
    def value_rows(self) -> NDArray[np.int64]:
        """The equations, one by type and state, that tell V where z and pi are known."""

    @abstractmethod
    def jacobian(self) -> NDArray[np.float64]:
        """dF/du at the equilibrium, ``float64[n, n]``."""

    @property
    def support(self) -> NDArray[np.bool_] | None:
        """The actions played where it decides which equations hold, ``bool[types, X, A]``; else None."""
        return None


class NashEquations(Equations):
    """The equations of a Nash equilibrium, on its support."""

    def __init__(self, setting: Setting, equilibrium: Population) -> None:
        super().__init__(setting, equilibrium)
        policy, value = equilibrium.policy, equilibrium.value
        favourite = np.eye(policy.shape[2], dtype=bool)[policy.argmax(axis=2)]
        visited = equilibrium.mean_field > NEVER_VISITED
        cost = np.where(np.isfinite(equilibrium.q), value[..., None] - equilibrium.q, np.inf)
        # What a logit policy near the equilibrium plays by a hair is no part of it: it costs something.
        as_good = cost <= _AS_GOOD * max(float(np.abs(value).max()), 1e-300)
        self._equations = Support(favourite | ((policy > _PLAYED) & as_good & visited[..., None]))
        self.free = self._equations.free
        self._n_z, self._size = len(equilibrium.statistic), value.size
        self.unknowns = np.concatenate([equilibrium.statistic, value.ravel(), policy[self.free]])

    @property
    def support(self) -> NDArray[np.bool_]:
        """The actions played; in states that nobody is in one action."""
        return self._equations.actions

    @property
    def first_probability(self) -> int:
        """The place of the first probability among the unknowns, which are those of ``free`` in order."""
        return self._n_z + self._size

    @property
    def of_values(self) -> slice:
        """See the base."""
        return slice(self._n_z, self._n_z + int(self.support.sum()))

    @property
    def value_columns(self) -> NDArray[np.int64]:
        """See the base."""
        return self._n_z + np.arange(self._size)

    @property
    def value_rows(self) -> NDArray[np.int64]:
        """See the base: those of the favourite actions."""
        favourite = self.equilibrium.policy.argmax(axis=2)
        return np.array([self.row_of((*state, action)) for state, action in np.ndenumerate(favourite)])

    def population(
        self, setting: Setting, unknowns: NDArray[np.float64], besides: NDArray[np.float64] | None = None
    ) -> Population:
        """See the base."""
        model, policy = setting.model, self._equations.pure.copy()
        policy[self.free] = unknowns[self.first_probability :]
        if besides is not None:
            policy = policy + besides
        statistic = unknowns[: self._n_z]
        value = unknowns[self._n_z : self.first_probability].reshape(policy.shape[:2])
        return _at_rest(model, model.decision_problem(statistic), policy, statistic, value)

    def residual(self, setting: Setting, population: Population) -> NDArray[np.float64]:
        """See the base."""
        gap = setting.model.inconsistency(population.statistic, population.mean_field, population.policy)
        return self._equations.residual(gap, population.q, population.value, population.policy)

    def row_of(self, action: tuple[int, ...]) -> int:
        """The place of an action's equation Q(x, a) = V(x) among the equations."""
        return self._n_z + int(self.support.ravel()[: np.ravel_multi_index(action, self.free.shape)].sum())

    def jacobian(self) -> NDArray[np.float64]:
        """See the base."""
        here = self.equilibrium
        return self._equations.around(self.setting.model, here.statistic, here.value, here.policy)[2]


class LogitEquations(Equations):
    """The equations of a logit equilibrium; all actions are played, so none is left out."""

    def __init__(self, setting: Setting, equilibrium: Population) -> None:
        super().__init__(setting, equilibrium)
        self._size = equilibrium.value.size
        self.unknowns = np.concatenate([equilibrium.value.ravel(), equilibrium.statistic])

    @property
    def of_values(self) -> slice:
        """See the base."""
        return slice(0, self._size)

    @property
    def value_columns(self) -> NDArray[np.int64]:
        """See the base."""
        return np.arange(self._size)

    @property
    def value_rows(self) -> NDArray[np.int64]:
        """See the base."""
        return np.arange(self._size)

    def population(
        self, setting: Setting, unknowns: NDArray[np.float64], besides: NDArray[np.float64] | None = None
    ) -> Population:
        """See the base."""
        model = setting.model
        value = unknowns[: self._size].reshape(self.equilibrium.value.shape)
        statistic = unknowns[self._size :]
        problem = model.decision_problem(statistic)
        q = q_values(model, problem, value)
        uniform = uniform_over(np.broadcast_to(model.legal_actions, q.shape))
        policy = (1 - setting.exploration) * softmax(setting.rationality * q) + setting.exploration * uniform
        return _at_rest(model, problem, policy if besides is None else policy + besides, statistic, value)

    def residual(self, setting: Setting, population: Population) -> NDArray[np.float64]:
        """See the base."""
        q = np.where(setting.model.legal_actions, population.q, 0.0)
        value_gap = (population.policy * q).sum(axis=2) - population.value
        gap = setting.model.inconsistency(population.statistic, population.mean_field, population.policy)
        return np.concatenate([value_gap.ravel(), gap])

    def jacobian(self) -> NDArray[np.float64]:
        """See the base."""
        setting, population, size = self.setting, self.equilibrium, self._size
        here = Linearisation(setting.model, population.statistic, population.value)
        chosen = softmax(setting.rationality * population.q)
        # d softmax = softmax (d rho - its mean under softmax), where rho = beta Q; exploration does not move.
        logit_moves = setting.rationality * here.q_moves
        mean_moves = (chosen * logit_moves).sum(axis=3, keepdims=True)
        policy_moves = (1 - setting.exploration) * chosen * (logit_moves - mean_moves)
        # V = sum of pi Q moves with pi and with Q, and minus one with V itself.
        value_moves = (policy_moves * here.q + population.policy * here.q_moves).sum(axis=3)
        value_moves = value_moves.reshape(len(policy_moves), size)
        value_moves[np.arange(size), np.arange(size)] -= 1.0
        _, _, gap_moves = here.inconsistency(population.policy, policy_moves, size)
        return np.concatenate([value_moves.T, gap_moves])


def _at_rest(
    model: FiniteMeanFieldModel,
    problem: DecisionProblem,
    policy: NDArray[np.float64],
    statistic: NDArray[np.float64],
    value: NDArray[np.float64],
) -> Population:
    mean_field = problem.at_rest(policy, model.initial_mean_field)
    return Population(model, policy, mean_field, statistic, value, problem)


def equations_of(setting: Setting, equilibrium: Population) -> Equations:
    """The equations that an equilibrium of a setting solves."""
    kind = NashEquations if np.isinf(setting.rationality) else LogitEquations
    return kind(setting, equilibrium)
