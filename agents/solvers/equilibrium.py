"""What a solver returns, and the units that it works in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agents.mean_field.units import InUnits, in_own_units
from agents.policies.tabular import TabularPolicy
from karma_envs.display import Said, data_frame
from karma_envs.mean_field import FiniteMeanFieldModel, MeanFieldModel, as_finite_model
from karma_envs.mean_field.dynamic_programming import policy_value
from karma_envs.mean_field.exploitability import Exploitability, exploitability_in
from karma_envs.mean_field.stationary import AT_REST
from karma_envs.meaning import Meaning

if TYPE_CHECKING:
    from pandas import DataFrame

    from agents.evaluators.few_agents.finite_exploitability import FiniteExploitability
    from agents.solvers.trace import Trace


@dataclass(frozen=True)
class Step:
    """One step of a solver: how many it has made, and how exploitable its policy then was."""

    iteration: int
    exploitability_normalised: float
    efficiency: float

    def __str__(self) -> str:
        return (
            f"step {self.iteration} · normalised exploitability {self.exploitability_normalised:.1e} · "
            f"efficiency {self.efficiency:.6g}"
        )


Observer = Callable[[Step], None]


@dataclass(frozen=True, repr=False)
class Equilibrium(Said):
    """A policy with what a population makes that plays it, and how near to an equilibrium it is.

    Attributes:
        method: the solver's name.
        policy: of a finite model a :class:`agents.TabularPolicy`, one row per type, and
            ``policy.for_agents(game.type_of_agent)`` plays it in a game; of others what the model says.
        mean_field: mu, ``float64[types, X]``, each row sums to 1; X is 0 for a model without states. Among
            few agents the distribution of an agent's own state.
        statistic: z, what an agent feels of the population, such as the distribution of bids.
        value: V of the policy, ``float64[types, X]``; ``float64[types]`` for a model without states.
        efficiency: mean reward per agent and step.
        efficiency_by_type: ``float64[types]``.
        payoff: J, mean over the population of the discounted payoff.
        payoff_by_type: ``float64[types]``.
        exploitability: in discounted payoff (mean over the population).
        exploitability_normalised: the same over |J|.
        exploitability_by_type: ``float64[types]``.
        meaning: which exploitability that is: of the mean field or of how many agents, how sure, and over
            which deviations.
        stationary_residual: largest change of ``mean_field`` in one more step.
        converged: whether ``exploitability_normalised`` reached the tolerance (for a logit equilibrium: the
            policy is one), and the population is at rest, with a ``stationary_residual`` of at most
            1e-9. Where it is not at rest, the policy is no stationary equilibrium, whatever it gains.
            A method that seeks a fixed point has come to it, too.
        tolerance: what was asked for.
        history: the solver's steps.
        seconds: wall time.
        interrupted: whether the solver was ended by Ctrl-C; then this is the best policy until there.
        reason: why it has not converged, where the solver can tell; empty if it has.
        sought: what the method seeks, in words, where that is no equilibrium.
        trace: what a method that learns from play saw on its way; None for others.
        certificate: of an equilibrium among few agents, bounds on what one of them gains; else None.
    """

    method: str
    policy: Any
    mean_field: NDArray[np.float64]
    statistic: NDArray[np.float64]
    value: NDArray[np.float64]
    efficiency: float
    efficiency_by_type: NDArray[np.float64]
    payoff: float
    payoff_by_type: NDArray[np.float64]
    exploitability: float
    exploitability_normalised: float
    exploitability_by_type: NDArray[np.float64]
    meaning: Meaning
    stationary_residual: float
    converged: bool
    tolerance: float
    history: tuple[Step, ...]
    seconds: float
    interrupted: bool = False
    reason: str = ""
    trace: Trace | None = None
    sought: str = "equilibrium"
    certificate: FiniteExploitability | None = None

    @property
    def at_rest(self) -> bool:
        """Whether the population is at rest."""
        return self.stationary_residual <= AT_REST

    @property
    def as_start(self) -> Any:
        """The policy as methods take it to begin with."""
        return self.policy

    def _said(self) -> dict[str, str]:
        return {
            "method": self.method,
            "converged": "yes" if self.converged else f"no{self.reason and f', {self.reason}'}",
            "efficiency": f"{self.efficiency:.6g}",
            "exploitability": f"{self.exploitability_normalised:.1e} of |J| ({self.meaning})",
            "policy": repr(self.policy),
        }

    def to_frame(self) -> DataFrame:
        """The policy as a pandas data frame, with the columns of its ``table()``.

        Raises:
            ImportError: when pandas is not installed.
        """
        return data_frame(self.policy.table())


@dataclass(frozen=True, repr=False)
class TabularEquilibrium(Equilibrium):
    """An equilibrium of a finite model: its policy is a table."""

    policy: TabularPolicy

    @property
    def as_start(self) -> NDArray[np.float64]:
        """The policy as methods take it to begin with, ``float64[types, X, A]``."""
        return np.asarray(self.policy.probabilities, np.float64)

    def _said(self) -> dict[str, str]:
        types, states, actions = self.policy.probabilities.shape
        return {
            **super()._said(),
            "stationary residual": f"{self.stationary_residual:.1e}",
            "policy": f"{types} type{'s' if types > 1 else ''}, {states} states, {actions} actions",
        }

    def to_frame(self) -> DataFrame:
        """The policy as a pandas data frame: a row per type, state and action of positive probability.

        Its columns: ``type`` (from 0), ``state``, ``action``, ``probability``, ``mass`` (mu, the share of
        the type in this state) and ``value`` (V of the state).

        Raises:
            ImportError: when pandas is not installed.
        """
        kind, state, action = np.nonzero(self.policy.probabilities)
        columns: dict[str, Any] = {
            "type": kind,
            "state": state,
            "action": action,
            "probability": self.policy.probabilities[kind, state, action],
            "mass": self.mean_field[kind, state],
            "value": self.value[kind, state],
        }
        return data_frame(columns)


@dataclass(frozen=True)
class Assessment:
    """A policy's stationary mean field and what follows from it."""

    policy: NDArray[np.float64]
    mean_field: NDArray[np.float64]
    statistic: NDArray[np.float64]
    value: NDArray[np.float64]
    efficiency_by_type: NDArray[np.float64]
    efficiency: float
    exploitability: Exploitability

    def within(self, tolerance: float) -> bool:
        """Whether it is an equilibrium within a tolerance of the normalised exploitability."""
        return self.exploitability.normalised <= tolerance and self.exploitability.at_rest


def assess(
    model: FiniteMeanFieldModel, policy: NDArray[np.float64], start: NDArray[np.float64] | None = None
) -> Assessment:
    """Everything exact that is to be said of ``policy[types, X, A]``."""
    field = model.population_at_rest(policy, start)
    flow = field.mean_field[:, :, None] * policy
    by_type = (flow * field.problem.reward).sum(axis=(1, 2))
    return Assessment(
        policy=policy,
        mean_field=field.mean_field,
        statistic=field.statistic,
        value=policy_value(model, field.problem, policy),
        efficiency_by_type=np.asarray(by_type),
        efficiency=float(model.masses @ by_type),
        exploitability=exploitability_in(model, policy, field.mean_field, field.problem),
    )


def as_equilibrium(
    method: str,
    assessment: Assessment,
    tolerance: float,
    history: list[Step],
    seconds: float,
    *,
    interrupted: bool = False,
    rests: bool | None = None,
    reason: str = "",
) -> TabularEquilibrium:
    """The result of a solver, in terms of the best of the policies it came by.

    Args:
        method: the solver's name.
        assessment: its best policy, assessed.
        tolerance: what was asked for.
        history: its steps.
        seconds: wall time.
        interrupted: whether it was ended by Ctrl-C.
        rests: of solvers that seek something else than a Nash equilibrium: whether they found it.
        reason: why it has not converged, where the solver can tell.
    """
    distance = assessment.exploitability
    reached = distance.normalised <= tolerance if rests is None else rests
    return TabularEquilibrium(
        method=method,
        policy=TabularPolicy(assessment.policy),
        mean_field=assessment.mean_field,
        statistic=assessment.statistic,
        value=assessment.value,
        efficiency=assessment.efficiency,
        efficiency_by_type=assessment.efficiency_by_type,
        payoff=distance.payoff,
        payoff_by_type=distance.payoff_by_type,
        exploitability=distance.absolute,
        exploitability_normalised=distance.normalised,
        exploitability_by_type=distance.by_type,
        meaning=distance.meaning,
        stationary_residual=distance.stationary_residual,
        converged=reached and distance.at_rest,
        tolerance=tolerance,
        history=tuple(history),
        seconds=seconds,
        interrupted=interrupted,
        reason=reason,
    )


def equilibrium_of(
    model: MeanFieldModel,
    policy: Any,
    method: str,
    tolerance: float,
    history: list[Step],
    seconds: float,
    *,
    interrupted: bool = False,
    reason: str = "",
) -> Equilibrium:
    """The result of a solver that takes models of any kind, and ended at ``policy``.

    Args:
        model: what was solved.
        policy: as the model has policies.
        method: the solver's name.
        tolerance: normalised exploitability that was asked for.
        history: its steps.
        seconds: wall time.
        interrupted: whether it was ended by Ctrl-C.
        reason: why it has not converged; if empty, it has where the policy is within the tolerance.
    """
    distance = model.exploitability(policy)
    if not reason and not distance.normalised <= tolerance:
        reason = f"its policy leaves {distance.normalised:.1e} of |J| to gain, the tolerance is {tolerance:g}"
    if isinstance(model, FiniteMeanFieldModel):
        assessment, rests = assess(model, policy), not reason
        return as_equilibrium(
            method,
            assessment,
            tolerance,
            history,
            seconds,
            interrupted=interrupted,
            rests=rests,
            reason=reason,
        )
    by_type = model.efficiency(policy)
    statistic = model.statistic_of(policy)
    return Equilibrium(
        method=method,
        policy=policy,
        mean_field=np.empty((len(model.masses), 0)),
        statistic=statistic,
        value=model.policy_value(policy, statistic),
        efficiency=float(model.masses @ by_type),
        efficiency_by_type=by_type,
        payoff=distance.payoff,
        payoff_by_type=distance.payoff_by_type,
        exploitability=distance.absolute,
        exploitability_normalised=distance.normalised,
        exploitability_by_type=distance.by_type,
        meaning=distance.meaning,
        stationary_residual=distance.stationary_residual,
        converged=not reason and distance.at_rest,
        tolerance=tolerance,
        history=tuple(history),
        seconds=seconds,
        interrupted=interrupted,
        reason=reason,
    )


Solver = Callable[..., Equilibrium]


def from_play(solver: Solver) -> Solver:
    """Mark a solver that learns from play: its first argument is the game, not its mean-field model."""
    vars(solver)["from_play"] = True
    return solver


def learns_from_play(solver: Solver) -> bool:
    """Whether a solver takes a game, see :func:`from_play`."""
    return bool(vars(solver).get("from_play", False))


def in_units(solver: Solver) -> Solver:
    """A solver of finite models that is shown rewards in units of their greatest, whatever they count in.

    Its result, and what its observer is told, are in the rewards of the model. A rationality is beta of
    softmax(beta Q) in the rewards of the model, too; the solver multiplies it by the unit.
    """

    @functools.wraps(solver)
    def solved(model: MeanFieldModel, *, observer: Observer | None = None, **options: Any) -> Equilibrium:
        if isinstance(model, InUnits):  # of a solver that this one works for
            return solver(model, observer=observer, **options)
        own = in_own_units(as_finite_model(model))

        def told(step: Step) -> Step:
            return replace(step, efficiency=own.unit * step.efficiency)

        def observe(step: Step) -> None:
            if observer is not None:
                observer(told(step))

        equilibrium = solver(own, observer=observe, **options)
        payoffs = {name: own.unit * getattr(equilibrium, name) for name in _PAYOFFS}
        return replace(equilibrium, **payoffs, history=tuple(told(step) for step in equilibrium.history))

    return solved


def assessment_in(unit: float, assessment: Assessment) -> Assessment:
    """An assessment that was made in a unit of reward, told in the rewards of the model."""
    distance = assessment.exploitability
    values = {
        name: getattr(distance, name) * unit for name in ("absolute", "by_type", "payoff", "payoff_by_type")
    }
    return replace(
        assessment,
        value=unit * assessment.value,
        efficiency=unit * assessment.efficiency,
        efficiency_by_type=unit * assessment.efficiency_by_type,
        exploitability=replace(distance, **values),
    )


_PAYOFFS = (
    "value",
    "efficiency",
    "efficiency_by_type",
    "payoff",
    "payoff_by_type",
    "exploitability",
    "exploitability_by_type",
)
