"""What is best for all, by brute force: the parameters of a family of policies whose payoff is greatest.

    maximise  J(pi_theta; z_theta)  over theta,

where z_theta is the statistic that a population makes which plays pi_theta. Unlike a single agent, a team
counts what a policy does to the others through z.

Source: *Learning stationary strategies in large-population multi-agent systems with exchangeable agents*,
Definition 3 (stationary mean-field team optimal strategy) and section 3, which searches all of [0, 1] for it.

Differences from the source:
    The best of evenly spaced parameters is refined by golden section; several parameters are sought by the
    method of Nelder and Mead, begun anew where it ends.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize, minimize_scalar

from agents.solvers.equilibrium import Equilibrium, Observer, Step, equilibrium_of, from_play
from karma_envs.config import real, refusal, whole
from karma_envs.game import PopulationGame
from karma_envs.mean_field import FiniteMeanFieldModel, MeanFieldModel
from karma_envs.parametric import ParametricPolicy

_MOST_PARAMETERS = 10
_GAIN = 1e-12
"""A new start of Nelder and Mead's method that gains less, over |J|, was the last."""


@from_play
def team_optimum(
    game: PopulationGame,
    *,
    tolerance: float = 1e-10,
    points: int = 401,
    evaluations: int = 20_000,
    start: ArrayLike | None = None,
    observer: Observer | None = None,
) -> Equilibrium:
    """Search the family of policies that a game names, :meth:`~karma_envs.game.PopulationGame.policy_family`.

    Args:
        game: with such a family, of up to 10 parameters, and a mean-field model. It is not played.
        tolerance: how exact parameters are, over the width of their bounds; of one parameter 1e-8 is the
            best that can be told, as the payoff is flat where it is greatest.
        points: evenly spaced values of one bounded parameter, its bounds among them, that are looked at
            before the best is refined; at least 3.
        evaluations: the most policies that are looked at.
        start: parameters to begin with, ``float[p]``, whose payoff is finite; those of the family if None.
        observer: called at evaluations 1, 2, 4, 8 … with the best policy by then.

    Returns:
        the best policy. ``payoff`` is J, and ``exploitability`` what a single agent gains that minds only
        what is its own: what keeps it from being played. ``converged`` is whether the search ended by itself.

    Raises:
        ConfigError: for an option out of range, or a game without such a family or model.
    """
    tolerance = real("tolerance", tolerance, 0, 1, open_low=True)
    points, evaluations = whole("points", points, 3), whole("evaluations", evaluations, 1)
    family, model = game.policy_family(), game.mean_field()
    if family is None or model is None:
        raise refusal("game", game.name, "one that has a mean-field model, and names a family of policies")
    if len(family.parameters) > _MOST_PARAMETERS:
        raise refusal(
            "game", game.name, f"one whose family of policies has at most {_MOST_PARAMETERS} parameters"
        )
    if start is not None:
        family = family.with_parameters(np.array(start, np.float64))
    began = time.perf_counter()
    search = _Search(model, family, evaluations, observer)
    reason, interrupted = "", False
    try:
        if len(family.parameters) == 1 and np.isfinite(family.bounds).all():
            _scan(search, tolerance, points)
        else:
            _climb(search, tolerance)
    except _Exhausted:
        reason = f"it has not come to rest after {evaluations} policies"
    except KeyboardInterrupt:
        interrupted, reason = True, "it was interrupted"
    search.record()
    equilibrium = equilibrium_of(
        *(model, search.best, "team_optimum", tolerance, search.history, time.perf_counter() - began),
        interrupted=interrupted,
        reason=reason,
    )
    return replace(equilibrium, converged=not reason, reason=reason, sought="team's optimum")


class _Exhausted(Exception):  # noqa: N818  # no error
    """All evaluations that are allowed have been made."""


class _Search:
    """Looks at policies, and keeps the best.

    Args:
        model: which tells their payoffs.
        family: of the policies; the first that is looked at.
        evaluations: how many at most.
        observer: told of the best.
    """

    def __init__(
        self, model: MeanFieldModel, family: ParametricPolicy, evaluations: int, observer: Observer | None
    ) -> None:
        self.family, self.history = family, list[Step]()
        self._model, self._most, self._observer = model, evaluations, observer
        self._done, self.best, self.payoff = 0, family, -np.inf
        self.loss(family.parameters)

    def loss(self, parameters: NDArray[np.float64] | float) -> float:
        """-J of the policy with some parameters.

        Raises:
            _Exhausted: when there were too many.
        """
        if self._done == self._most:
            raise _Exhausted
        policy = self.family.with_parameters(np.atleast_1d(np.asarray(parameters, np.float64)))
        payoff = _payoff(self._model, policy)
        self._done += 1
        if payoff > self.payoff:
            self.best, self.payoff = policy, payoff
        if self._done & (self._done - 1) == 0:
            self.record()
        return -payoff

    def record(self) -> None:
        """Note how good the best policy is, once there is one."""
        if self.payoff == -np.inf:
            return
        distance = self._model.exploitability(self.best)
        efficiency = float(self._model.masses @ self._model.efficiency(self.best))
        self.history.append(Step(self._done, distance.normalised, efficiency))
        if self._observer is not None:
            self._observer(self.history[-1])


def _payoff(model: MeanFieldModel, policy: ParametricPolicy) -> float:
    """J where all play a policy; minus infinity where it is no number, as of what grows without end."""
    if isinstance(model, FiniteMeanFieldModel):
        return model.exploitability(policy).payoff
    statistic = model.statistic_of(policy)
    if not np.isfinite(statistic).all():
        return -np.inf
    payoff = float(model.masses @ model.policy_value(policy, statistic))
    return payoff if np.isfinite(payoff) else -np.inf


def _scan(search: _Search, tolerance: float, points: int) -> None:
    """All of the bounds of one parameter, and then around the best of it."""
    (low,), (high,) = search.family.bounds
    values = np.linspace(low, high, points)
    best = int(np.argmin([search.loss(value) for value in values]))
    around = values[max(best - 1, 0)], values[min(best + 1, points - 1)]
    minimize_scalar(search.loss, bounds=around, method="bounded", options={"xatol": tolerance * (high - low)})


def _climb(search: _Search, tolerance: float) -> None:
    """Uphill from the best, again and again until that gains nothing."""
    if search.payoff == -np.inf:
        shown = search.family.parameters.tolist()
        raise refusal(
            "start", shown, "parameters whose payoff is finite, as the search goes uphill from there"
        )
    low, high = search.family.bounds
    width = np.where(np.isfinite(high - low), high - low, 1.0)
    gain = np.inf
    while gain > _GAIN * abs(search.payoff):
        before = search.payoff
        minimize(
            search.loss,
            search.best.parameters,
            method="Nelder-Mead",
            bounds=list(zip(low, high)),
            options={"xatol": tolerance * float(width.min()), "fatol": 0.0, "maxfev": np.inf},
        )
        gain = search.payoff - before


SOLVER = team_optimum
