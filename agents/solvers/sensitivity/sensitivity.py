"""Derivatives of an equilibrium by the implicit function theorem.

An equilibrium is a root u of equations F(u, p) = 0 (:mod:`agents.solvers.sensitivity.equations`). Where
their derivative by u is regular, the root moves with a parameter p as

    du/dp = -(dF/du)^-1 dF/dp,

and any output g(u, p) of it by dg/dp = g_u du/dp + g_p. dF/du is that of Newton's method on the same
equations, so it is one step of a solver; dF/dp and dg/dp are differenced, the latter along p and u at once.
So a parameter costs two models more, and all of them together a few hundredths of a solve.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from agents.solvers.equilibrium import Equilibrium
from agents.solvers.sensitivity.branch import Branch, End, Folds, Kinks, System, costs_of
from agents.solvers.sensitivity.check import checked
from agents.solvers.sensitivity.equations import Equations, NashEquations, Setting, equations_of
from agents.solvers.sensitivity.population import Output, Outputs, Population, outputs_of
from agents.solvers.sensitivity.result import Sensitivity
from agents.solvers.sensitivity.varied import Parameters, Stencil, Varied, varied_of
from karma_envs.config import real, refusal
from karma_envs.game import PopulationGame
from karma_envs.mean_field import FiniteMeanFieldModel, MeanFieldModel, as_finite_model
from karma_envs.mean_field.exploitability import type_policies

_ROOT = 1e-7  # what the equations of an equilibrium may lack, values over the greatest of them
_MOST_BYTES = 2 * 2**30
_FARTHEST = 1e-3  # that statistic and policy move by in a difference
_JUMP = 10.0  # times that farther, and it is no straight line
_REFINED = 1e-7  # a correction of du/dp that is worth its while, over the greatest of its entries
_ALONG_CONTINUUM, _SAME = 1e-4, 1e-9
_KINK = 0.05  # a second difference beyond this share of the first ones is one of a kink
_ROUNDING = 1e-13  # over the greatest output


def sensitivity(
    equilibrium: Equilibrium,
    source: PopulationGame | MeanFieldModel,
    parameters: Parameters | None = None,
    outputs: Sequence[str] | Mapping[str, Output] | None = None,
    *,
    rationality: float = np.inf,
    exploration: float = 0.0,
    check: bool = False,
) -> Sensitivity:
    """The derivatives of an equilibrium's outputs by the numbers that the game is made of.

        game = karma_envs.make("matching")
        equilibrium = agents.solve(game)
        result = agents.sensitivity(equilibrium, game, ["discount", "karma_mean", "urgencies[1]"])
        result.derivative("efficiency", "karma_mean")
        result.standard_errors({"urgencies[1]": 0.2})["efficiency"]

    The derivatives are those of the branch of equilibria that this one lies on; others the game may have move
    in other ways. They hold as far as the result's ``branches`` say: until an action comes or goes, or the
    branch turns. In states that nobody is in (or fewer than one in a million) actions that are equally good
    decide nothing, and are left out of that. Of a continuum of equilibria that play differently to the same
    effect, outputs that all of them share have derivatives; those of others are NaN, as are all where the
    population jumps, as from a chain of urgencies that are for good to one where they are not.

    Args:
        equilibrium: of :func:`agents.solve`, converged, by a method that is exact: the homotopy.
        source: the game, or its mean-field model. A model alone has no parameters by name.
        parameters: names of continuous parameters of the game's configuration, which
            ``game.config.parameters()`` lists, and :class:`ModelParameter` for what has no name there; all
            that have names if None. Of a karma game ``types[0].share`` is a share of the population, the
            others scaled; ``karma_mean`` any number; a probability of ``urgency_transition`` scales the
            others of its row; parameters of a rule, also of one's own, are ``redistribution.rate`` and the
            like. Of a logit equilibrium ``rationality`` and ``exploration`` too.
        outputs: names of :func:`agents.solvers.sensitivity.population.standard_outputs`, or functions of a
            :class:`Population` by names of one's own; all of the former if None.
        rationality: beta, of a logit equilibrium: as it was solved for. Infinite for a Nash equilibrium.
        exploration: epsilon, of a logit equilibrium.
        check: whether to solve anew on both sides of each parameter, and tell how far derivatives are off.

    Raises:
        ConfigError: for an unknown name; an equilibrium that is none, of another game, or at a fold; a model
            without tables; exploration without a finite rationality.
    """
    began = time.perf_counter()
    model = _model_of(source)
    rationality = np.inf if np.isinf(rationality) else real("rationality", rationality, 0, open_low=True)
    exploration = real("exploration", exploration, 0, 1)
    if exploration > 0 and np.isinf(rationality):
        raise refusal("exploration", exploration, "0 with a rationality that is infinite")
    setting = Setting(model, rationality, exploration)
    varied = varied_of(source, setting, parameters)
    check_size(model, equilibrium.statistic.size)
    population = _population_of(equilibrium, model)
    equations = equations_of(setting, population)
    with _blas().limit(limits=1, user_api="blas"):  # for small matrices threads only wait
        here = equations.population(setting, equations.unknowns)
        _check_root(equations, here)
        functions = outputs_of(outputs, here)
        values = functions(here)
        jacobian = equations.jacobian()
        derivatives = _Derivatives(equations, jacobian, functions, here, np.array(list(values.values())))
        found = [derivatives.along(one) for one in varied]
        result = Sensitivity(
            parameters=tuple(one.name for one in varied),
            values=np.array([one.value for one in varied]),
            outputs=tuple(values),
            output_values=derivatives.values,
            derivatives=np.stack([one.outputs for one in found], axis=1),
            statistic_moves=np.stack([one.statistic for one in found]),
            policy_moves=np.stack([one.policy for one in found]),
            mean_field_moves=np.stack([one.mean_field for one in found]),
            branches=tuple(one.branch for one in found),
            two_sided=np.array([one.two_sided for one in found]),
            condition=derivatives.condition,
            seconds=time.perf_counter() - began,
        )
        return checked(result, equations, varied, functions) if check else result


@dataclass(frozen=True)
class _Along:
    """The derivatives along one parameter, named as in :class:`Sensitivity`."""

    outputs: NDArray[np.float64]
    statistic: NDArray[np.float64]
    policy: NDArray[np.float64]
    mean_field: NDArray[np.float64]
    branch: Branch
    two_sided: bool


class _Derivatives:
    """Derivatives at one equilibrium.

    Args:
        equations: of the equilibrium.
        jacobian: their derivative, ``float64[n, n]``.
        functions: the outputs.
        here: the population of the equilibrium.
        values: its outputs.
    """

    def __init__(
        self,
        equations: Equations,
        jacobian: NDArray[np.float64],
        functions: Outputs,
        here: Population,
        values: NDArray[np.float64],
    ) -> None:
        self._equations, self._functions, self._here = equations, functions, here
        self._system = System(jacobian)
        self._lack = equations.residual(equations.setting, here)
        self.values = values
        self._kinks = Kinks(equations, self._system) if isinstance(equations, NashEquations) else None
        self._folds = Folds(equations, jacobian)
        self.condition = self._system.condition
        # Of a continuum of equilibria an output has a derivative if it is the same for all of them.
        self._undetermined = np.zeros(len(self.values), np.bool_)
        for direction in self._system.free:
            step = _ALONG_CONTINUUM / np.abs(direction).max()
            there = self._numbers(
                equations.population(equations.setting, equations.unknowns + step * direction)
            )
            self._undetermined |= np.abs(there - self.values) > _SAME * np.abs(self.values).max()

    def along(self, varied: Varied) -> _Along:
        """The derivatives along one parameter."""
        stencil = varied.around(varied.step)
        still = np.zeros_like(self._equations.unknowns)
        push = self._speed(stencil, self._moved(stencil, still))
        if not self._system.has_solution(push):
            raise refusal(
                "equilibrium", f"one at a fold along {varied.name}", "one that has a derivative, off the fold"
            )
        move = -self._system.solve(push)
        ends = self._moved(stencil, move)
        # Near a fold all moves fast: the parameter by less then, so that differences are of a straight line.
        farthest = max(_distance(one, self._here) for one in ends)
        if farthest > _FARTHEST:
            stencil = varied.around(varied.step * _FARTHEST / farthest)
            ends = self._moved(stencil, move)
        # Where chains lose a class, as where urgencies cease to be for good, agents end up elsewhere at once.
        jumps = max(_distance(one, self._here) for one in ends) > _JUMP * _FARTHEST
        # dF/du was differenced; by how much the moved point misses F = 0 tells what that left to correct.
        better = move - self._system.solve(self._speed(stencil, ends))
        if (
            np.abs(self._system.scaled(better - move)).max()
            > _REFINED * np.abs(self._system.scaled(move)).max()
        ):
            move, ends = better, self._moved(stencil, better)

        def slope(of: Callable[[Population], NDArray[np.float64]]) -> NDArray[np.float64]:
            return stencil.derivative(of(self._here), [of(one) for one in ends])

        policy = slope(lambda population: population.policy)
        low, high = End(-np.inf), End(np.inf)
        if self._kinks is not None:
            low, high = self._kinks.around(varied.value, policy, slope(costs_of))
        step = stencil.places[0] * stencil.step
        fold = self._folds.along(varied.value, move, stencil.settings[0], step, ends[0])
        return _Along(
            outputs=np.full(len(self.values), np.nan) if jumps else self._slopes(stencil, ends),
            statistic=slope(lambda population: population.statistic),
            policy=policy,
            mean_field=slope(lambda population: population.mean_field),
            branch=Branch(low, high, fold),
            two_sided=stencil.two_sided,
        )

    def _moved(self, stencil: Stencil, move: NDArray[np.float64]) -> list[Population]:
        """The populations at the places of a stencil, where the unknowns move with the parameter."""
        unknowns = self._equations.unknowns
        return [
            self._equations.population(setting, unknowns + place * stencil.step * move)
            for place, setting in zip(stencil.places, stencil.settings)
        ]

    def _speed(self, stencil: Stencil, ends: Sequence[Population]) -> NDArray[np.float64]:
        """How fast F moves with the parameter, along whatever leads to ``ends``, ``float64[n]``."""
        gaps = [self._equations.residual(*each) for each in zip(stencil.settings, ends)]
        return stencil.derivative(self._lack, gaps)

    def _numbers(self, population: Population) -> NDArray[np.float64]:
        return np.array(list(self._functions(population).values()), np.float64)

    def _slopes(self, stencil: Stencil, ends: Sequence[Population]) -> NDArray[np.float64]:
        """The derivatives of the outputs; NaN at a kink."""
        values = np.stack([self.values, *(self._numbers(one) for one in ends)])
        slopes = stencil.derivative(values[0], [*values[1:]])
        # What is 0 but for rounding, as the fairness among agents who are all alike, has no derivative.
        slopes[np.abs(values).max(axis=0) <= _ROUNDING * np.abs(values).max()] = 0.0
        slopes[self._undetermined] = np.nan
        if stencil.two_sided:
            slopes[_has_kink(*values)] = np.nan
        return slopes


def _distance(one: Population, other: Population) -> float:
    """How far two populations are apart in what is done, felt, and where they are."""
    pairs = ((getattr(one, name), getattr(other, name)) for name in ("policy", "statistic", "mean_field"))
    return max(float(np.abs(first - second).max()) for first, second in pairs)


def _has_kink(
    here: NDArray[np.float64], below: NDArray[np.float64], above: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether outputs bend at a point rather than around it, ``bool[M]``."""
    # Over a step h a smooth output bends by h^2, one with a kink by h, which rounding stays far below.
    bend = np.abs(above - 2 * here + below)
    slope = np.maximum(np.abs(above - here), np.abs(here - below))
    return np.asarray((bend > _KINK * slope) & (bend > 1e-10 * np.abs(here).max()))


@cache
def _blas() -> ThreadpoolController:
    """The libraries of linear algebra, which to look for takes as long as a derivative."""
    return ThreadpoolController()


def _model_of(source: PopulationGame | MeanFieldModel) -> FiniteMeanFieldModel:
    """The model with tables that is asked of."""
    if not isinstance(source, PopulationGame):
        return as_finite_model(source)
    model = source.mean_field()
    if model is None:
        raise refusal("source", source.name, "a game that has a mean-field model as it is configured")
    return as_finite_model(model)


def check_size(model: FiniteMeanFieldModel, n_statistic: int) -> None:
    """Refuse a model whose derivatives by all of its statistic, as dense arrays, would not fit.

    Raises:
        ConfigError: naming how much memory they would take.
    """
    n_values = model.n_types * model.n_states
    moves = (n_values + 2 * n_statistic) * n_values * model.n_actions
    kernels = (n_statistic + 1) * n_values * model.n_actions * model.n_states
    needed = 8.0 * (moves + kernels)
    if needed > _MOST_BYTES:
        raise refusal(
            "source",
            f"a model of {n_values} types and states, {model.n_actions} actions and {n_statistic} numbers in "
            f"its statistic, whose derivatives take {needed / 2**30:.1f} GiB",
            f"one whose derivatives take at most {_MOST_BYTES / 2**30:g} GiB; of others, as the city's, "
            "agents.solve the game with the parameter a little less and a little more, and take differences",
        )


def _population_of(equilibrium: Equilibrium, model: FiniteMeanFieldModel) -> Population:
    """The population of an equilibrium, in the model."""
    try:
        policy = type_policies(model, equilibrium.policy)
    except ValueError as error:
        raise refusal("equilibrium", equilibrium.method, f"one of this game: {error}") from error
    statistic = equilibrium.statistic
    return Population(
        model,
        np.array(policy),
        equilibrium.mean_field,
        statistic,
        equilibrium.value,
        model.decision_problem(statistic),
    )


def _check_root(equations: Equations, here: Population) -> None:
    """Refuse what does not solve the equations that it is to be differentiated by.

    Raises:
        ConfigError: naming by how much.
    """
    lack = float(np.abs(equations.residual_in_units(here)).max())
    moved = float(np.abs(here.mean_field - equations.equilibrium.mean_field).max())
    if not lack <= _ROOT:
        raise refusal(
            "equilibrium",
            f"a policy that is off by {lack:.1e}",
            f"one that solves its equations to {_ROOT:g}, as the homotopy finds it; of a logit equilibrium "
            "with the rationality and exploration that it was solved for",
        )
    if not moved <= _ROOT:
        raise refusal(
            "equilibrium",
            f"one whose mean field differs by {moved:.1e} from where the population's start leads",
            "one whose population does not depend on where it starts",
        )
