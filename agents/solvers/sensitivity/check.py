"""The same derivatives the hard way, from equilibria that are solved for on both sides of a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from agents.mean_field.units import in_own_units
from agents.policies.tabular import TabularPolicy
from agents.solvers.continuation.quantal_response import LogitPoint, LogitSystem
from agents.solvers.continuation.search import Found, continuation
from agents.solvers.equilibrium import Assessment, assess
from agents.solvers.sensitivity.branch import Branch
from agents.solvers.sensitivity.equations import Equations, Setting
from agents.solvers.sensitivity.population import Outputs, Population
from agents.solvers.sensitivity.result import Check, Sensitivity
from agents.solvers.sensitivity.varied import Varied
from karma_envs.mean_field.exploitability import exploitability_in

_WIDER = 10.0  # than differences of the model: equilibria are solved for to 1e-12 or so
_OF_THE_BRANCH = 0.25  # of the way to its next kink
_OF_THE_FOLD = 0.02  # of the way there: on it the derivative grows without bound
_NO_ROOM = 1e-3  # of the step that would be taken: on a side with less, there is none
_SMALL = 1e-3  # an output that is less, over the greatest, is told no better
_ROUNDING = 1e-9  # of an output, over the step: a derivative that is less is told by no difference


def checked(
    result: Sensitivity, equations: Equations, varied: Sequence[Varied], functions: Outputs
) -> Sensitivity:
    """The result with its check."""
    shape = result.derivatives.shape
    steps, derivatives, worst = np.empty(shape[1]), np.full(shape, np.nan), 0.0
    for j, (one, branch) in enumerate(zip(varied, result.branches)):
        step, side = _step(one, branch)
        stencil = one.around(step, side)
        steps[j] = step if stencil.two_sided else stencil.places[0] * step
        populations = [_solved(equations, setting) for setting in stencil.settings]
        followed = [population for population in populations if population is not None]
        if len(followed) == len(populations):
            numbers = [np.array(list(functions(population).values())) for population in followed]
            derivatives[:, j] = stencil.derivative(result.output_values, numbers)
            if np.isinf(equations.setting.rationality):
                worst = max(worst, *(_exploitability(population) for population in followed))
    magnitudes = np.abs(result.output_values)
    least = _ROUNDING * np.maximum(magnitudes, _SMALL * magnitudes.max())[:, None] / np.abs(steps)
    greatest = np.maximum(np.abs(result.derivatives), np.abs(derivatives))
    errors = np.abs(result.derivatives - derivatives) / np.maximum(greatest, 1e-300)
    errors[greatest <= least] = 0.0
    errors[~np.isfinite(derivatives)] = np.inf
    errors[np.isnan(result.derivatives)] = np.nan
    return replace(result, check=Check(steps, derivatives, errors, worst))


def _step(varied: Varied, branch: Branch) -> tuple[float, int]:
    """How far to move a parameter, and to which side: 1, -1, or 0 for both."""
    wanted = _WIDER * varied.step
    below, above = varied.value - branch.low.value, branch.high.value - varied.value
    side = 0
    if min(below, above) < _NO_ROOM * wanted:  # at a kink: the derivative is that of the other side
        side = 1 if above > below else -1
    room = min(below, above) if side == 0 else max(below, above) / 2
    if branch.turns_inside:
        wanted = min(wanted, _OF_THE_FOLD * abs(branch.fold - varied.value))
    return min(wanted, _OF_THE_BRANCH * room), side


def _solved(equations: Equations, setting: Setting) -> Population | None:
    """The equilibrium of another setting that the present one is followed to; None where it is lost."""
    nash = np.isinf(setting.rationality)
    found = _followed_nash(equations, setting) if nash else _followed_logit(equations, setting)
    if found is None:
        return None
    problem = setting.model.decision_problem(found.statistic)
    return Population(setting.model, found.policy, found.mean_field, found.statistic, found.value, problem)


def _followed_nash(equations: Equations, setting: Setting) -> Assessment | None:
    here = equations.equilibrium
    start = Found(
        policy=TabularPolicy(here.policy),
        mean_field=here.mean_field,
        statistic=here.statistic,
        value=here.value,
        efficiency=float(here.model.masses @ (here.flow * here.problem.reward).sum(axis=(1, 2))),
        exploitability_normalised=_exploitability(here),
        stationary_residual=0.0,
        origins=("equilibrium",),
    )
    return continuation([setting.model], start=start)[0]


def _followed_logit(equations: Equations, setting: Setting) -> Assessment | None:
    here, own = equations.equilibrium, in_own_units(setting.model)
    beta = setting.rationality * own.unit
    system = LogitSystem(own, setting.exploration)
    logits = np.where(system.legal, setting.rationality * here.q, -np.inf)
    point = system.solve(LogitPoint(here.statistic, here.value / own.unit, logits, beta), beta)
    return None if point is None else assess(setting.model, system.policy(point.logits)[0])


def _exploitability(population: Population) -> float:
    """Normalised, exact, in the mean field."""
    return exploitability_in(
        population.model, population.policy, population.mean_field, population.problem
    ).normalised
