"""What a game is for N to infinity: what an agent faces given a statistic, and which one agents make."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from karma_envs.axes import Axis
from karma_envs.config import refusal
from karma_envs.mean_field.dynamic_programming import (
    DecisionProblem,
    best_response,
    policy_value,
    uniform_policy,
)
from karma_envs.mean_field.exploitability import (
    Exploitability,
    exploitability_at_rest,
    type_policies,
)
from karma_envs.mean_field.moves import DifferencedMoves, ProblemMoves, differenced_inconsistency
from karma_envs.mean_field.stationary import StationaryMeanField, stationary_mean_field
from karma_envs.meaning import ANY, EXACT, STATIONARY, Meaning

if TYPE_CHECKING:
    from karma_envs.incentives.power_series import Incentive


class MeanFieldModel(ABC):
    """The limit of a population game for N to infinity.

    An agent meets the population only through a *statistic* z: a vector such as the distribution of bids, or
    a number such as the time at which a meeting starts. An equilibrium is a policy that is a best response to
    the statistic that a population makes which plays it.

    Attributes:
        solver: the method of :func:`agents.solve` that finds its equilibria unless told otherwise.
        statistic_names: what the numbers of a statistic are, where they are few and have names.
        masses: ``float64[types]``, shares of the population, sum 1; as it stands here there is one type.
        discounts: ``float64[types]``, gamma; as it stands here 0, of a game of one step.
    """

    solver: str = "fixed_point"
    statistic_names: ClassVar[tuple[str, ...]] = ()

    masses: NDArray[np.float64] = np.ones(1)
    discounts: NDArray[np.float64] = np.zeros(1)

    @property
    def obstacle(self) -> str:
        """Why the game has no equilibrium, where that is known; empty otherwise."""
        return ""

    @property
    @abstractmethod
    def initial_statistic(self) -> NDArray[np.float64]:
        """A statistic to begin with, ``float64[k]``, such as that of a population which acts at random."""

    @abstractmethod
    def best_response(self, statistic: NDArray[np.float64]) -> Any:
        """A policy that a single agent cannot improve on, where the population makes ``statistic``."""

    @abstractmethod
    def policy_value(self, policy: Any, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a single agent may expect of a policy where the population makes ``statistic``.

        Returns:
            discounted payoff by type and, where the model has states, by state: ``float64[types, ...]``.
        """

    @abstractmethod
    def statistic_of(self, policy: Any) -> NDArray[np.float64]:
        """The statistic that a population makes which plays a policy: at rest, or as a flow over time."""

    def efficiency(self, policy: Any) -> NDArray[np.float64]:
        """Mean reward per agent and step of a population that plays a policy, ``float64[types]``.

        As it stands here for a population in which every step gives the same on average, and for models whose
        values are by type only.
        """
        return (1 - self.discounts) * self.policy_value(policy, self.statistic_of(policy))

    @property
    def type_features(self) -> Mapping[str, NDArray[np.float64]]:
        """What types differ in besides shares and discounts, by name: ``float64[types]``."""
        return {}

    def rates(self, statistic: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """What an agent of a finite model has of a step besides its reward, on average, by name.

        ``float64[types, X, A]`` each; in the matching game the chance to win; nothing by default. It is told
        per step in which an agent :attr:`FiniteMeanFieldModel.contests`.
        """
        return {}

    def price_of_anarchy(self, efficiency: float) -> float | None:
        """What a population of an efficiency loses, over what it loses where the most urgent go first.

        None where a model cannot tell, as by default.
        """
        return None

    def curves(self, policy: Any) -> Mapping[str, Mapping[str, NDArray[Any]]]:
        """What there is to see of a population that plays a policy, for files and figures.

        Returns:
            tables by name, each of columns of equal lengths by name. The first column is what the others
            depend on: in a figure it runs along the x axis. Nothing by default: of a finite model its
            policies and mean fields are shown.
        """
        return {}

    def incentivised(self, incentive: Incentive) -> MeanFieldModel | None:
        """The model of agents who get an incentive besides their rewards; None where there is none.

        As it stands here there is none. Of a game with tables :mod:`karma_envs.incentives` makes it.

        Args:
            incentive: Theta, a function of the features that :func:`karma_envs.incentives.incentivised` says.
        """
        return None

    @property
    def meaning(self) -> Meaning:
        """Which exploitability the model tells; a model that approximates the mean field says so."""
        return Meaning(None, EXACT, ANY)

    def exploitability(self, policy: Any) -> Exploitability:
        """What a single agent gains by a best response, where all others play ``policy``.

        As it stands here for models whose values are by type only, ``float64[types]``.
        """
        statistic = self.statistic_of(policy)
        payoff = self.policy_value(policy, statistic)
        gain = self.policy_value(self.best_response(statistic), statistic) - payoff
        absolute, mean_payoff = max(float(self.masses @ gain), 0.0), float(self.masses @ payoff)
        normalised = absolute / abs(mean_payoff) if mean_payoff else float(absolute > 0)
        return Exploitability(absolute, normalised, gain, mean_payoff, payoff, 0.0, self.meaning)


class GivenStatistic(MeanFieldModel):
    """What agents face among others who make a given statistic, whatever the agents do themselves.

    Args:
        model: of the game in which the others are agents like them.
        statistic: z, ``float64[k]``.
    """

    def __init__(self, model: MeanFieldModel, statistic: NDArray[np.float64]) -> None:
        self._model, self._statistic = model, statistic
        self.masses, self.discounts = model.masses, model.discounts

    @property
    def initial_statistic(self) -> NDArray[np.float64]:
        """z."""
        return self._statistic.copy()

    def best_response(self, statistic: NDArray[np.float64]) -> Any:
        """As in the game."""
        return self._model.best_response(statistic)

    def policy_value(self, policy: Any, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        """As in the game."""
        return self._model.policy_value(policy, statistic)

    def statistic_of(self, policy: Any) -> NDArray[np.float64]:
        """z, whatever agents play."""
        return self._statistic.copy()

    def incentivised(self, incentive: Incentive) -> MeanFieldModel | None:
        """As of the game."""
        model = self._model.incentivised(incentive)
        return None if model is None else GivenStatistic(model, self._statistic)

    @property
    def meaning(self) -> Meaning:
        """As of the game."""
        return self._model.meaning

    def curves(self, policy: Any) -> Mapping[str, Mapping[str, NDArray[Any]]]:
        """As in the game."""
        return self._model.curves(policy)


class FiniteMeanFieldModel(MeanFieldModel):
    """The limit of a population game with finite states and actions, at rest.

    A game that ends after T steps has one of these for each step, of which
    :class:`karma_envs.mean_field.FiniteHorizonModel` makes the model of the whole.

    An agent of type omega in state x (its tabular observation) that takes action a meets the
    population only through a statistic z, a vector such as the distribution of bids. The mean field
    mu(omega, x) is the distribution of states within each type. Policies are ``float64[types, X, A]``.

    Attributes:
        masses: ``float64[types]``, shares of the population, sum 1.
        discounts: ``float64[types]``, gamma.
        legal_actions: ``bool[X, A]``; action 0 is always legal.
        initial_mean_field: ``float64[types, X]``, where the population starts.
        length: steps after which the game is over, as of the game; None: it has no end.
    """

    solver = "homotopy"
    length: int | None = None

    legal_actions: NDArray[np.bool_]
    initial_mean_field: NDArray[np.float64]

    @property
    def meaning(self) -> Meaning:
        """As of any model; a deviation may depend on the step where the game ends."""
        return Meaning(None, EXACT, STATIONARY if self.length is None else ANY)

    @property
    def n_types(self) -> int:
        """Number of types."""
        return len(self.masses)

    @property
    def n_states(self) -> int:
        """X, the number of states."""
        return int(self.legal_actions.shape[0])

    @property
    def n_actions(self) -> int:
        """A, the number of actions."""
        return int(self.legal_actions.shape[1])

    @property
    def contests(self) -> NDArray[np.bool_]:
        """``bool[X]``, the states in which an agent can have what :meth:`rates` tell; all by default."""
        return np.ones(self.n_states, np.bool_)

    @property
    def initial_statistic(self) -> NDArray[np.float64]:
        """z of a population that starts, and plays every legal action with the same probability."""
        return self.statistic(self.initial_mean_field, uniform_policy(self))

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What a state is made of, as in :attr:`karma_envs.finite.FiniteGame.axes`; by default its number."""
        return (Axis("state", tuple(range(self.n_states))),)

    @property
    def action_features(self) -> Mapping[str, NDArray[Any]]:
        """What actions mean, by name: a number for each, ``[A]``; nothing by default."""
        return {}

    @abstractmethod
    def statistic(self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """z of a population in ``mean_field[types, X]`` that plays ``policy[types, X, A]``."""

    @abstractmethod
    def decision_problem(self, statistic: NDArray[np.float64]) -> DecisionProblem:
        """What an agent faces; also for a z slightly off those of any population, as Newton steps give."""

    def problem_moves(self, statistic: NDArray[np.float64]) -> ProblemMoves:
        """How what an agent faces moves with each number of z: by forward differences.

        A model that knows these derivatives has a method of its own, which is quicker and more exact.
        """
        return DifferencedMoves.of(self, statistic)

    def step(
        self, mean_field: NDArray[np.float64], policy: NDArray[np.float64]
    ) -> tuple[DecisionProblem, NDArray[np.float64]]:
        """What agents face in a step of the population, and the mean field after it, ``float64[types, X]``.

        The stationary mean field is what steps lead to. (Thesis, Definition 2.3)
        """
        problem = self.decision_problem(self.statistic(mean_field, policy))
        following = problem.pushed(mean_field[..., None] * policy)
        return problem, following / following.sum(axis=1, keepdims=True)

    @property
    def discounted_length(self) -> float:
        """What a reward of 1 in every step comes to, discounted: the most steps that a payoff counts for."""
        return 1.0 / (1.0 - float(self.discounts.max()))

    def inconsistency(
        self,
        statistic: NDArray[np.float64],
        mean_field: NDArray[np.float64],
        policy: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """As many numbers as z has, all 0 if and only if z is that of the population.

        ``mean_field`` is stationary in ``decision_problem(statistic)`` under ``policy``. Where a quantity is
        conserved, one number of the difference is 0 for every such mean field; a model then puts the
        conservation law in its place.
        """
        return self.statistic(mean_field, policy) - statistic

    def inconsistency_moves(
        self,
        statistic: NDArray[np.float64],
        mean_field: NDArray[np.float64],
        policy: NDArray[np.float64],
        statistic_moves: NDArray[np.float64],
        field_moves: NDArray[np.float64],
        policy_moves: NDArray[np.float64] | None,
    ) -> NDArray[np.float64]:
        """Derivatives of :meth:`inconsistency` along n moves of what it depends on: by forward differences.

        A model that knows these derivatives has a method of its own, which is quicker and more exact.

        Args:
            statistic: z.
            mean_field: mu, ``float64[types, X]``.
            policy: ``float64[types, X, A]``.
            statistic_moves: ``float64[n, Z]``.
            field_moves: ``float64[n, types, X]``.
            policy_moves: ``float64[n, types, X, A]``; None where the policy stays along all of them.

        Returns:
            ``float64[Z, n]``.
        """
        return differenced_inconsistency(
            self, statistic, mean_field, policy, statistic_moves, field_moves, policy_moves
        )

    def population_at_rest(
        self,
        policy: NDArray[np.float64],
        start: NDArray[np.float64] | None = None,
        tolerance: float = 1e-13,
    ) -> StationaryMeanField:
        """The mean field at rest of a population that plays a policy, and what agents face in it.

        By :func:`karma_envs.mean_field.stationary.stationary_mean_field`, which takes derivatives along each
        number of z; a model with many of them has a way of its own.

        Args:
            policy: ``float64[types, X, A]``.
            start: mean field to begin with; the model's initial one if None.
            tolerance: largest change of the mean field in one step that is accepted.
        """
        return stationary_mean_field(self, policy, start, tolerance)

    def best_response(self, statistic: NDArray[np.float64]) -> NDArray[np.float64]:
        """An optimal policy, ``float64[types, X, A]``, deterministic."""
        return best_response(self, self.decision_problem(statistic))[0]

    def policy_value(
        self, policy: NDArray[np.float64], statistic: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Discounted payoff of a policy, ``float64[types, X]``."""
        return policy_value(self, self.decision_problem(statistic), type_policies(self, policy))

    def statistic_of(self, policy: NDArray[np.float64]) -> NDArray[np.float64]:
        """z of a population at rest that plays a policy."""
        return self.population_at_rest(type_policies(self, policy)).statistic

    def efficiency(self, policy: Any) -> NDArray[np.float64]:
        """Mean reward per agent and step of a population at rest that plays a policy, ``float64[types]``."""
        table = type_policies(self, policy)
        field = self.population_at_rest(table)
        flow = field.mean_field[..., None] * table
        return np.asarray((flow * field.problem.reward).sum(axis=(1, 2)))

    def exploitability(self, policy: Any, start: NDArray[np.float64] | None = None) -> Exploitability:
        """Exact exploitability of a population at rest that plays a policy.

        Args:
            policy: a row per type, or for all.
            start: mean field from which the stationary one is sought; the initial one if None.
        """
        return exploitability_at_rest(self, policy, start)


def as_finite_model(model: MeanFieldModel) -> FiniteMeanFieldModel:
    """The model, if it has tables.

    Raises:
        ConfigError: for a model without.
    """
    if not isinstance(model, FiniteMeanFieldModel):
        raise refusal(
            "model",
            type(model).__name__,
            "a mean-field model with finite states and actions, which this needs; "
            "karma_envs.tabulated.tabulated(game, cells=101) gives a game such a one, in cells",
        )
    return model
