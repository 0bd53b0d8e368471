"""The inner problem of an equilibrium: what perfectly selfish agents make of a mechanism, solved for.

Of games with a mean-field model. With an infinite rationality it is a Nash equilibrium; a game may have
several, and the solver's, the homotopy's from the uniform policy, is one of them, which may change at once
where the parameters move by little. With a finite rationality up to about 50 the matching game's logit
equilibrium was found to be unique, and it moves smoothly: then gradients lead far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.coalitions.mean_field import coalition_of, mean_field_coalition_gain, meaning_of
from agents.mean_field.units import in_own_units
from agents.planners.inner.inner import Arrays, Evaluation, NotConverged
from agents.planners.inner.parameters import name_in, with_point
from agents.planners.space import Point
from agents.policies.tabular import TabularPolicy
from agents.solvers import Equilibrium, solve
from agents.solvers.continuation.exact import exact_equilibrium
from agents.solvers.continuation.quantal_response import LogitPoint, LogitSystem
from agents.solvers.equilibrium import Assessment, as_equilibrium, assess, assessment_in
from agents.solvers.sensitivity.branch import Branch
from agents.solvers.sensitivity.population import Population, standard_outputs
from agents.solvers.sensitivity.result import Sensitivity
from agents.solvers.sensitivity.sensitivity import sensitivity
from karma_envs.config import real, refusal
from karma_envs.finite import as_finite
from karma_envs.game import PopulationGame
from karma_envs.mean_field import FiniteMeanFieldModel, MeanFieldModel, as_finite_model
from karma_envs.mean_field.dynamic_programming import q_values
from karma_envs.meaning import Meaning
from karma_envs.registry import make

EXPLOITABILITY = "exploitability_normalised"
COALITION_GAIN = "coalition_gain"

Measured = Callable[[Equilibrium, MeanFieldModel], Mapping[str, float]]
"""Measures of one's own: of an equilibrium and the model that it is one of."""


class EquilibriumInner:
    """A game's equilibrium in the mean field, as its parameters are chosen.

        EquilibriumInner("matching")
        EquilibriumInner(karma_envs.make("matching", discount=0.9), rationality=50, derivatives=True)
        EquilibriumInner("matching", coalition=0.2)  # measures coalition_gain, too

    The parameters of a point are those of :func:`agents.planners.inner.parameters.with_point`.

    Attributes:
        meanings: of ``exploitability_normalised`` and ``coalition_gain``, two of the measures.

    Args:
        game: a game, or its name.
        method: of :func:`agents.solve`.
        rationality: beta, for a logit equilibrium; infinite for a Nash equilibrium.
        measures: what to measure; if None, of a finite model all of
            :func:`agents.solvers.sensitivity.population.standard_outputs`, of others efficiency and payoff;
            these two by the game's own types, too, as ``payoff_type_0``; and the exploitability.
        derivatives: whether to give those by the point's continuous parameters: by
            :func:`agents.sensitivity`, of finite models that are not too large, and of measures that are
            standard outputs.
        warm: whether to begin with the equilibrium of a trial nearby, by Newton's method in place of the
            homotopy: less work, and the same branch of equilibria; the values of trials then depend on those
            before. If not, each is solved for anew. In cities it is the first prior of prior descent, which
            was found to save nothing: of the preset ``small`` two neighbours took 9 and 17 s, anew 11 and
            16, and efficiencies differed by 1.3 and .2 %, all within the tolerance of exploitability.
        coalition: the share of agents that collude, in (0, 1], others staying as they are: ``coalition_gain``
            is what a member gains per step, :func:`agents.coalition_gain`. A robust mechanism has little of
            it: an objective ``-coalition_gain``. None for no such measure. Of finite models, and a multiple
            of the work.
        recognise: whether two members of the coalition who meet know each other and choose both bids
            together, in the matching game; they gain far more so.
        **options: of the solver, such as ``tolerance``.

    Raises:
        ConfigError: for a game without a mean-field model, and a share of a coalition out of range or of a
            model without tables; and for ``recognise`` of a game other than matching.
    """

    def __init__(
        self,
        game: PopulationGame | str,
        *,
        method: str = "auto",
        rationality: float = np.inf,
        measures: Measured | None = None,
        derivatives: bool = False,
        warm: bool = False,
        coalition: float | None = None,
        recognise: bool = False,
        **options: Any,
    ) -> None:
        self._game = make(game) if isinstance(game, str) else game
        model = self._game.mean_field()
        if model is None:
            raise refusal("game", self._game.name, "one that has a mean-field model as it is configured")
        self._meanings = {EXPLOITABILITY: model.meaning}
        if coalition is not None:
            coalition = real("coalition", coalition, 0, 1, open_low=True)
            finite = as_finite_model(model)
            coalition_of(finite, coalition, recognise)  # may be refused
            self._meanings[COALITION_GAIN] = meaning_of(finite, coalition, recognise)
        self._coalition, self._recognise = coalition, recognise
        self._rationality = float(rationality)
        if np.isfinite(self._rationality):
            real("rationality", rationality, 0, open_low=True)
            options["rationality"] = self._rationality
        self._method, self._options = method, options
        self._measures, self._derivatives, self._warm = measures, derivatives, warm

    @property
    def meanings(self) -> Mapping[str, Meaning]:
        """Of the exploitability, exact, and of a coalition's gain, a lower bound, in the mean field."""
        return self._meanings

    def to_plain(self) -> dict[str, Any]:
        """The game, how it is solved and what is measured."""
        measures = (
            None if self._measures is None else f"{self._measures.__module__}:{self._measures.__name__}"
        )
        return {
            "problem": "equilibrium",
            "game": self._game.name,
            "version": type(self._game).VERSION,
            "config": self._game.config.to_dict(),
            "method": self._method,
            "rationality": self._rationality if np.isfinite(self._rationality) else "inf",
            "measures": measures,
            "derivatives": self._derivatives,
            "warm": self._warm,
            **({} if self._coalition is None else {"coalition": self._coalition}),
            **({"recognise": True} if self._recognise else {}),
            "options": {name: str(value) for name, value in self._options.items() if name != "rationality"},
        }

    def game_at(self, point: Point) -> PopulationGame:
        """The game with the parameters of a point."""
        return type(self._game)(with_point(self._game.config, point)) if point else self._game

    def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
        """The equilibrium with the parameters of a point; nothing is drawn, so the seed is not used."""
        game = self.game_at(point)
        model = game.mean_field()
        if model is None:
            raise refusal("point", point, "one whose game has a mean-field model")
        equilibrium = self._followed(model, warm) if self._warm and warm is not None else None
        if equilibrium is None:
            equilibrium = solve(model, self._method, **self._options)
        if equilibrium.interrupted:
            raise KeyboardInterrupt
        if not equilibrium.converged:
            raise NotConverged(
                equilibrium.reason or f"not within {equilibrium.tolerance:g} of an equilibrium"
            )
        slopes = self._slopes(game, equilibrium, point) if self._derivatives else None
        if self._measures is None:
            values = measures_of(equilibrium, model, _types_in(model, game))
        else:
            values = dict(self._measures(equilibrium, model))
        values[EXPLOITABILITY] = equilibrium.exploitability_normalised
        if self._coalition is not None:
            colluding = mean_field_coalition_gain(
                model, equilibrium.policy, self._coalition, recognise=self._recognise, starts=1
            )
            values[COALITION_GAIN] = colluding.gain.value
        return Evaluation(
            values=values,
            warm=_arrays(equilibrium, model, self._rationality) if self._warm else None,
            derivatives=None if slopes is None else _by_output(slopes),
            reach={} if slopes is None else _reach(slopes),
        )

    def _followed(self, model: MeanFieldModel, warm: Arrays) -> Equilibrium | None:
        """The equilibrium that one nearby leads to; None where it is lost."""
        if not isinstance(model, FiniteMeanFieldModel):
            return None
        if warm["policy"].shape != (model.n_types, model.n_states, model.n_actions):
            return None
        method = model.solver if self._method == "auto" else self._method
        if method == "prior_descent":
            equilibrium = solve(model, method, start=warm["policy"], **self._options)
            return equilibrium if equilibrium.converged or equilibrium.interrupted else None
        if method != "homotopy":
            return None
        own, tolerance = in_own_units(model), self._options.get("tolerance", 1e-10)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # Newton's method may diverge
            if np.isfinite(self._rationality):
                here = _followed_logit(own, warm, own.unit * self._rationality)
            else:
                start = assess(own, warm["policy"])
                here = exact_equilibrium(own, start.statistic, start.value, start.policy, tolerance=tolerance)
                here = here if here is not None and here.within(tolerance) else None
        if here is None:
            return None
        rests = True if np.isfinite(self._rationality) else None
        return as_equilibrium("followed", assessment_in(own.unit, here), tolerance, [], 0.0, rests=rests)

    def _slopes(self, game: PopulationGame, equilibrium: Equilibrium, point: Point) -> Sensitivity | None:
        """The derivatives by the parameters of the point that have any; None for a point without."""
        known = game.config.parameters()
        names = {name: name_in(game.config, name) for name in point}
        names = {name: own for name, own in names.items() if own in known}
        if not names:
            return None
        with np.errstate(over="ignore", invalid="ignore"):  # outputs without a derivative are NaN
            slopes = sensitivity(equilibrium, game, list(names.values()), rationality=self._rationality)
        return replace(slopes, parameters=tuple(names))


def measures_of(
    equilibrium: Equilibrium, model: MeanFieldModel, types: NDArray[np.int64]
) -> dict[str, float]:
    """What is measured of an equilibrium unless something else is.

    Args:
        equilibrium: of the model.
        model: of which a game's own type may have several types, such as agents with paths of their own.
        types: ``int64[types of the model]``, the game's own type of each.
    """
    measures = {"efficiency": equilibrium.efficiency, "payoff": equilibrium.payoff}
    if isinstance(equilibrium.policy, TabularPolicy) and isinstance(model, FiniteMeanFieldModel):
        problem = model.decision_problem(equilibrium.statistic)
        policy = np.asarray(equilibrium.policy.probabilities, np.float64)
        parts = equilibrium.mean_field, equilibrium.statistic, equilibrium.value, problem
        measures = standard_outputs(Population(model, policy, *parts))
    own_masses = np.bincount(types, model.masses)
    for name in ("efficiency", "payoff") if len(own_masses) > 1 else ():
        means = np.bincount(types, model.masses * getattr(equilibrium, f"{name}_by_type")) / own_masses
        for kind, mean in enumerate(means.tolist()):
            measures.setdefault(f"{name}_type_{kind}", mean)
    return measures


def _types_in(model: MeanFieldModel, game: PopulationGame) -> NDArray[np.int64]:
    """``int64[types of the model]``: the game's own type of each type of its model, which may be finer."""
    if len(game.discounts) == len(model.masses):
        return np.arange(len(model.masses))
    kinds = as_finite(game).kind_of_agent
    return np.asarray(game.type_of_agent[np.unique(kinds, return_index=True)[1]])


def _followed_logit(own: Any, warm: Arrays, rationality: float) -> Assessment | None:
    """The logit equilibrium near another."""
    system = LogitSystem(own)
    logits = np.where(system.legal, warm["logits"], -np.inf)
    value = warm["value"] / own.unit
    point = system.solve(LogitPoint(warm["statistic"], value, logits, rationality), rationality)
    return None if point is None else assess(own, system.policy(point.logits)[0])


def _arrays(equilibrium: Equilibrium, model: MeanFieldModel, rationality: float) -> Arrays | None:
    """What an equilibrium nearby can begin with; None where there are no tables."""
    if not isinstance(equilibrium.policy, TabularPolicy) or not isinstance(model, FiniteMeanFieldModel):
        return None
    problem = model.decision_problem(equilibrium.statistic)
    policy = equilibrium.policy.probabilities
    arrays = {"policy": policy, "statistic": equilibrium.statistic, "value": equilibrium.value}
    if np.isfinite(rationality):
        q = q_values(model, problem, equilibrium.value)
        arrays["logits"] = np.where(np.isfinite(q), rationality * q, 0.0)
    return arrays


def _by_output(slopes: Sensitivity) -> dict[str, dict[str, float]]:
    return {
        output: dict(zip(slopes.parameters, slopes.derivatives[i].tolist()))
        for i, output in enumerate(slopes.outputs)
    }


def _reach(slopes: Sensitivity) -> dict[str, tuple[float, float]]:
    """Between which values of each parameter the branch of equilibria goes on, where that has an end."""
    values = slopes.values.tolist()
    ends = {name: _ends(*each) for name, *each in zip(slopes.parameters, values, slopes.branches)}
    return {name: (low, high) for name, (low, high) in ends.items() if np.isfinite([low, high]).any()}


def _ends(value: float, branch: Branch) -> tuple[float, float]:
    """Where a branch turns back, at a kink or a smooth fold, below and above a value."""
    low = branch.low.value if branch.low.turns else -np.inf
    high = branch.high.value if branch.high.turns else np.inf
    if branch.turns_inside:
        low, high = (max(low, branch.fold), high) if branch.fold < value else (low, min(high, branch.fold))
    return low, high
